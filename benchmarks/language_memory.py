"""What a memory beside a language model costs: tokens a second, and the memory of the process over a long text.

The model is SmolLM2-135M where its package is installed, else a random one; windows of 128 tokens are read in turns by the bare
model and with a memory of 512 slots, which is full when the timing begins. Resident memory is taken in a fresh process: run as a
program, this file is that process, `language_memory.py MODEL TOKENS WINDOW SLOTS THREADS`, and prints one JSON object.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peers import optional
from report import NOT_INSTALLED, Section, Table, Target, megabytes
from timing import Contender, Race, Spread, race

from attractor.data import DataUnavailableError, load_language_model

BARE = "bare model"
WAYS = ("recommended preset", "the paper's preset")
TINY, REAL = "tiny", "smollm2"
LEAST_SPEED, MOST_CPU = 0.6, 1.8
FLAT = 1.05
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Sizes:
    """Windows of `window` tokens, `slots` slots; texts of `tiny_tokens` for a tiny model and of `real_tokens` for the real one."""

    window: int = 128
    slots: int = 512
    tiny_tokens: int = 102_400
    real_tokens: int = 16_384
    real: bool = True
    seconds: float = 30.0


QUICK = Sizes(window=16, slots=48, tiny_tokens=1600, real_tokens=0, real=False, seconds=0.1)


@dataclass(frozen=True)
class Speed:
    """A memory beside the bare model: time by the clock, and seconds of CPU of each in each round, after a first for warmth."""

    way: str
    race: Race
    cpu: dict[str, list[float]]

    @property
    def cpu_ratio(self) -> Spread:
        """In the same round."""
        pairs = zip(self.cpu[self.way][1:], self.cpu[BARE][1:], strict=True)
        return Spread.of([kept / max(bare, 1e-9) for kept, bare in pairs])


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    if optional("transformers") is None:
        return Section("Language models", [Table("Memory beside a language model", ("",), [[f"transformers {NOT_INSTALLED}"]])])
    name, model = real_or_random() if sizes.real else (TINY, random_model(64))
    found = []
    for way in WAYS:
        say(f"language: {name}, {way}")
        found.append(speed(model, way, sizes))
    grown = []
    texts = [(TINY, sizes.tiny_tokens)] + ([(REAL, sizes.real_tokens)] if name == REAL else [])
    for which, tokens in texts if STATUS.exists() else []:
        say(f"language: {which}, memory over {tokens:,} tokens")
        grown.append(in_fresh_process(which, tokens, sizes))
    tables = [speed_table(name, found, sizes), resident_table(grown, sizes)]
    return Section("Language models", tables, targets(found[0], grown), {"model": name, "speed": found, "resident": grown})


def real_or_random() -> tuple[str, Any]:
    try:
        return REAL, load_language_model(REAL).model
    except DataUnavailableError:
        return "random, 135M", random_model(576, layers=30, heads=9)


def random_model(width: int, layers: int = 2, heads: int = 4) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": width, "intermediate_size": 8 * width // 3, "num_hidden_layers": layers, "num_attention_heads": heads}
    config = LlamaConfig(vocab_size=4096, num_key_value_heads=heads // 3 or 1, max_position_embeddings=8192, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def settings(way: str, sizes: Sizes) -> Any:
    from attractor.language import CamelotConfig

    made = CamelotConfig.recommended if way == WAYS[0] else CamelotConfig.paper
    return made(sizes.slots, sizes.window)


def speed(model: Any, way: str, sizes: Sizes) -> Speed:
    """Windows read by the bare model and with a memory in turns."""
    from attractor.language import attach

    generator = torch.Generator().manual_seed(0)
    cpu: dict[str, list[float]] = {BARE: [], way: []}
    with attach(model, settings(way, sizes)) as memory:
        session = memory.session()
        with session:
            session.remember(torch.randint(3, 4000, (1, 2 * sizes.slots), generator=generator))
        text = torch.randint(3, 4000, (1, sizes.window), generator=generator)

        def with_memory() -> None:
            with session:
                session.logits(text)

        calls = {BARE: lambda: model(input_ids=text, use_cache=False), way: with_memory}
        timed = race([Contender(name, on_cpu(call, cpu[name])) for name, call in calls.items()], sizes.seconds)
    return Speed(way, timed, cpu)


def on_cpu(call: Callable[[], object], taken: list[float]) -> Callable[[], None]:
    """The same call, that notes the seconds of CPU it took."""

    def noted() -> None:
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)

    return noted


def speed_table(name: str, found: Sequence[Speed], sizes: Sizes) -> Table:
    rows = []
    for one in found:
        bare, kept = (f"{sizes.window / one.race.time(each):,.0f}" for each in (BARE, one.way))
        rows.append([one.way, bare, kept, str(one.race.ratio(one.way, BARE)), str(one.cpu_ratio)])
    columns = ("memory", "tokens a second without", "with it", "time over the bare model's", "CPU time over the bare model's")
    note = "Ratios in the same round, median (quartiles)."
    return Table(f"{name}: a window of {sizes.window} tokens, {sizes.slots} slots, all in use", columns, rows, note)


def resident_table(grown: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    title = f"Memory of the process, windows of {sizes.window}, {sizes.slots} slots"
    if not grown:
        return Table(title, ("",), [["not measured: this system does not tell"]])
    columns = ("model", "tokens", "after a tenth, MB", "at the end, MB", "bytes of the slots, a tenth and end, MB")
    rows = [
        [
            one["model"],
            f"{one['tokens']:,}",
            megabytes(one["early"]),
            megabytes(one["late"]),
            f"{megabytes(one['early_state'])}, {megabytes(one['late_state'])}",
        ]
        for one in grown
    ]
    return Table(title, columns, rows)


def targets(found: Speed, grown: Sequence[dict[str, Any]]) -> list[Target]:
    reached = 1 / found.race.ratio(found.way, BARE).median
    more = found.cpu_ratio
    listed = [
        Target("tokens a second with a memory over those without", f">= {LEAST_SPEED}", f"{reached:.2f}", reached >= LEAST_SPEED),
        Target("CPU time of a window with a memory over that without", f"<= {MOST_CPU}", str(more), more.median <= MOST_CPU),
    ]
    for one in grown:
        growth = one["late"] / one["early"]
        claim = f"memory of the process, {one['model']}, {one['tokens']:,} tokens over a tenth of them"
        listed.append(Target(claim, f"<= {FLAT}", f"{growth:.3f}", growth <= FLAT))
    return listed


def in_fresh_process(which: str, tokens: int, sizes: Sizes) -> dict[str, Any]:
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    numbers = (tokens, sizes.window, sizes.slots, torch.get_num_threads())
    command = [sys.executable, __file__, which, *map(str, numbers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process that reads {tokens} tokens failed:\n{done.stderr}")
    return {"model": which, "tokens": tokens, **json.loads(done.stdout)}


def resident_over(which: str, tokens: int, window: int, slots: int) -> dict[str, int]:
    """Bytes that this process holds, and the slots, after a tenth of a text and at its end."""
    from attractor.language import attach

    model = random_model(64) if which == TINY else load_language_model(REAL).model
    generator, found = torch.Generator().manual_seed(0), {}
    windows = tokens // window
    with attach(model, slots=slots, window=window, recent=window) as memory, memory.session() as session:
        for number in range(windows):
            session.remember(torch.randint(3, 4000, (1, window), generator=generator))
            name = {windows // 10 - 1: "early", windows - 1: "late"}.get(number)
            if name is not None:
                found |= {name: resident(), f"{name}_state": session.nbytes}
    return found


def resident() -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])


if __name__ == "__main__":
    which, *numbers = sys.argv[1:]
    tokens, window, slots, threads = map(int, numbers)
    torch.set_num_threads(threads)
    with torch.no_grad():
        print(json.dumps(resident_over(which, tokens, window, slots)))
