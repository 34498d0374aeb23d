"""Time of importing all of `attractor` beside `import torch`, each in fresh processes that take turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from report import Section, Table, Target
from timing import Spread

IMPORT = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
IMPORTS = ("import torch", "from attractor import *")


@dataclass(frozen=True)
class Sizes:
    """How often each is run, after a first time that is not counted."""

    rounds: int = 9


QUICK = Sizes(rounds=2)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    say("import")
    for statement in IMPORTS:
        seconds_of(statement)
    seconds: dict[str, list[float]] = {statement: [] for statement in IMPORTS}
    for turn in range(sizes.rounds):
        for statement in IMPORTS[:: 1 if turn % 2 else -1]:
            seconds[statement].append(seconds_of(statement))
    ratio = Spread.of([ours / torch for torch, ours in zip(*seconds.values(), strict=True)])
    rows = [[statement, f"{Spread.of(times).median:.2f}"] for statement, times in seconds.items()]
    rows.append(["attractor over torch, paired", str(ratio)])
    note = "Inside the interpreter: starting Python is not counted. Median (quartiles)."
    target = Target("`from attractor import *` over `import torch`", "< 1.50", str(ratio), ratio.median < 1.5)
    return Section("Import", [Table("Import", ("", "seconds"), rows, note)], [target], {"seconds": seconds})


def seconds_of(statement: str) -> float:
    done = subprocess.run([sys.executable, "-c", IMPORT.format(statement)], capture_output=True, text=True, check=True)
    return float(done.stdout)
