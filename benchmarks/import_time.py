"""Time of `import attractor` beside `import torch`, each in fresh processes that take turns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from report import Section, Table, Target
from timing import Spread

IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
MODULES = ("torch", "attractor")


@dataclass(frozen=True)
class Sizes:
    """How often each module is imported, after a first time that is not counted."""

    rounds: int = 9


QUICK = Sizes(rounds=2)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    say("import")
    for module in MODULES:
        seconds_of_import(module)
    seconds: dict[str, list[float]] = {module: [] for module in MODULES}
    for turn in range(sizes.rounds):
        for module in MODULES[:: 1 if turn % 2 else -1]:
            seconds[module].append(seconds_of_import(module))
    ratio = Spread.of([ours / torch for torch, ours in zip(*seconds.values(), strict=True)])
    rows = [[f"import {module}", f"{Spread.of(times).median:.2f}"] for module, times in seconds.items()]
    rows.append(["attractor over torch, paired", str(ratio)])
    note = "Inside the interpreter: starting Python is not counted. Median (quartiles)."
    target = Target("`import attractor` over `import torch`", "< 1.50", str(ratio), ratio.median < 1.5)
    return Section("Import", [Table("Import", ("", "seconds"), rows, note)], [target], {"seconds": seconds})


def seconds_of_import(module: str) -> float:
    done = subprocess.run([sys.executable, "-c", IMPORT.format(module)], capture_output=True, text=True, check=True)
    return float(done.stdout)
