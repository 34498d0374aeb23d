"""Peak memory that one read takes beside what is stored: each way of reading in a fresh process.

Run as a program, this file is that process: `peak_memory.py WAY COUNT DIM BATCH THREADS` prints one JSON object. Where Linux
lets a process reset its high-water mark, the peak of the read alone is taken; elsewhere the rise of the process's highest mark,
which earlier peaks can hide.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peers import naive, sdpa
from report import Section, Table, Target, megabytes
from torch import Tensor

from attractor import DenseMemory, Euclidean, RamBank, SoftMax

WAYS = {
    "attractor diffuse": 0.01,
    "attractor peaked": 1.0,
    "naive": 0.01,
    "SDPA": 0.01,
}
LIMIT = 256_000_000


@dataclass(frozen=True)
class Sizes:
    """`count` patterns of width `dim`, read once for `batch` cues."""

    count: int = 262_144
    dim: int = 256
    batch: int = 512


QUICK = Sizes(count=32_768, dim=64, batch=64)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    if find_spec("resource") is None:
        return Section("Memory", [Table("Peak memory", ("",), [["not measured: this system does not tell"]])])
    measured: list[dict[str, Any]] = []
    for way in WAYS:
        say(f"memory: {way}")
        measured.append(in_fresh_process(way, sizes))
    return Section("Memory", [table(measured, sizes)], targets(measured), {"peaks": measured})


def in_fresh_process(way: str, sizes: Sizes) -> dict[str, Any]:
    # a fixed threshold hands every large block back to the system as soon as it is freed, so that no peak hides in an old one
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    numbers = (sizes.count, sizes.dim, sizes.batch, torch.get_num_threads())
    command = [sys.executable, __file__, way, *map(str, numbers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process that measures {way!r} failed:\n{done.stderr}")
    return {"way": way, **json.loads(done.stdout)}


def table(measured: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    columns = ("read by", "peak beside the patterns, MB", "shadow kept, MB")
    rows = [[one["way"], megabytes(one["peak"]), megabytes(one["shadow"])] for one in measured]
    scores = megabytes(4 * sizes.count * sizes.batch)
    note = f"The matrix of all scores would take {scores} MB, the patterns take {megabytes(4 * sizes.count * sizes.dim)} MB."
    if not all(one["exact"] for one in measured):
        note += " This system cannot reset the high-water mark: what an earlier peak hides is not counted."
    return Table(f"One read of {sizes.count:,} x {sizes.dim} float32, {sizes.batch} cues, Euclidean", columns, rows, note)


def targets(measured: Sequence[dict[str, Any]]) -> list[Target]:
    worst = max(one["peak"] for one in measured if one["way"].startswith("attractor"))
    return [Target("peak memory of a read beside patterns and shadow", "< 256 MB", f"{megabytes(worst)} MB", worst < LIMIT)]


def peak_of_a_read(way: str, count: int, dim: int, batch: int) -> dict[str, Any]:
    """Bytes that one read takes at its highest, after a read of one cue has loaded and built what stays."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(count, dim, generator=generator)
    beta = WAYS[way]
    if beta < 1:
        cues = torch.randn(batch, dim, generator=generator)
    else:
        near = patterns[torch.randint(count, (batch,), generator=generator)]
        cues = near + 0.3 * torch.randn(near.shape, generator=generator)
    read, nbytes = reader(way, patterns, beta)
    stored = nbytes()
    del patterns
    read(cues[:1])
    shadow = nbytes() - stored
    exact = reset_high_water()
    before = status("VmRSS") if exact else highest()
    read(cues)
    after = status("VmHWM") if exact else highest()
    return {"peak": max(0, after - before - (nbytes() - stored - shadow)), "shadow": nbytes() - stored, "exact": exact}


def reader(way: str, patterns: Tensor, beta: float) -> tuple[Callable[[Tensor], object], Callable[[], int]]:
    """What reads, and what tells the bytes it holds."""
    if way.startswith("attractor"):
        bank = RamBank(patterns.shape[1])
        memory = DenseMemory(bank=bank, similarity=Euclidean(), separation=SoftMax(beta=beta))
        memory.store(patterns)
        return memory.read, lambda: bank.nbytes
    formula = naive if way == "naive" else sdpa
    norms = patterns.square().sum(-1)
    return lambda cues: formula(cues, patterns, beta, norms), lambda: patterns.nbytes


def reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def status(field: str) -> int:
    """A size of this process in bytes, as Linux tells it."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return 1024 * int(found.group(1))


def highest() -> int:
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    way, *numbers = sys.argv[1:]
    count, dim, batch, threads = map(int, numbers)
    torch.set_num_threads(threads)
    with torch.no_grad():
        print(json.dumps(peak_of_a_read(way, count, dim, batch)))
