"""Storing in random features: its speed beside the matrix product that it needs, and memory beside the number of patterns.

The product is that of the same tiles of patterns with the same blocks of projections, into the same kind of buffer. Both take turns
on slices of the patterns, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from peak_memory import highest, reset_high_water, status
from report import Section, Table, Target, megabytes
from torch import Tensor

from attractor.memory.random_features import RandomFeatureMemory
from attractor.memory.random_features.features import NUMBERS_PER_TILE

LEAST_SHARE = 0.5
MOST_GROWTH = 16_000_000


@dataclass(frozen=True)
class Sizes:
    """`count` patterns of width `dim` stored in `features`, in `slices`; memory is taken at `count` and at the few of `least`."""

    count: int = 1_000_000
    dim: int = 128
    features: int = 10_000
    slices: int = 20
    least: int = 1000


QUICK = Sizes(count=20_000, features=1024, slices=3, least=1000)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    say(f"random features: {sizes.count:,} patterns")
    speed = store_beside_product(sizes)
    memory = [in_fresh_process(count, sizes) for count in (sizes.least, sizes.count)] if find_spec("resource") else []
    targets = [
        Target(
            "storing in random features, of the matrix product's speed",
            f">= {LEAST_SHARE}",
            f"{speed['share']:.2f}",
            speed["share"] >= LEAST_SHARE,
        )
    ]
    if memory:
        growth = memory[1]["peak"] - memory[0]["peak"]
        targets.append(
            Target(
                f"memory for {sizes.count:,} patterns beyond that for {sizes.least:,}",
                "< 16 MB",
                f"{megabytes(growth)} MB",
                growth < MOST_GROWTH,
            )
        )
    return Section(
        "Random features", [speed_table(speed, sizes), memory_table(memory, sizes)], targets, {"speed": speed, "memory": memory}
    )


def store_beside_product(sizes: Sizes) -> dict[str, Any]:
    """Seconds for all patterns, by storing and by the product alone; their ratio is the median over slices."""
    generator = torch.Generator().manual_seed(0)
    rows = max(1, sizes.count // sizes.slices)
    memory = RandomFeatureMemory(sizes.dim, features=sizes.features)
    patterns = torch.randn(rows, sizes.dim, generator=generator) * sizes.dim**-0.5
    blocks = [block.drawn for block in memory.features.blocks(patterns)]
    times: dict[str, list[float]] = {"store": [], "product": []}
    calls = {"store": lambda: memory.store(patterns), "product": lambda: product(patterns, blocks)}
    for call in calls.values():
        call()
    for place in range(sizes.slices):
        patterns.copy_(torch.randn(rows, sizes.dim, generator=generator) * sizes.dim**-0.5)
        for name in sorted(calls, reverse=bool(place % 2)):
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
    share = median(bare / whole for bare, whole in zip(times["product"], times["store"], strict=True))
    return {"share": share, **{name: sum(some) for name, some in times.items()}}


def product(patterns: Tensor, blocks: Sequence[Tensor]) -> None:
    """The projections of all patterns, a tile at a time, each overwriting the one before."""
    tile = NUMBERS_PER_TILE["cpu"] // len(blocks[0])
    buffer = patterns.new_empty(tile * len(blocks[0]))
    for block in blocks:
        for some in patterns.split(tile):
            torch.mm(some, block.T, out=buffer[: len(some) * len(block)].view(len(some), len(block)))


def in_fresh_process(count: int, sizes: Sizes) -> dict[str, Any]:
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, __file__, *map(str, (count, sizes.dim, sizes.features, torch.get_num_threads()))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process that stores {count} patterns failed:\n{done.stderr}")
    return {"count": count, **json.loads(done.stdout)}


def peak_of_storing(count: int, dim: int, features: int) -> dict[str, Any]:
    """Bytes that storing takes at its highest beside the slice that is handed over, and those of the memory's tensors."""
    generator = torch.Generator().manual_seed(0)
    memory = RandomFeatureMemory(dim, features=features)
    patterns = torch.randn(1000, dim, generator=generator)
    memory.store(patterns)
    exact = reset_high_water()
    before = status("VmRSS") if exact else highest()
    for _ in range(max(1, count // len(patterns)) - 1):
        memory.store(patterns)
    after = status("VmHWM") if exact else highest()
    return {"peak": after - before, "kept": sum(buffer.nbytes for buffer in memory.buffers()), "stored": len(memory)}


def speed_table(speed: dict[str, Any], sizes: Sizes) -> Table:
    rows = [
        ["matrix product alone", f"{speed['product']:.1f}", f"{1e9 * speed['product'] / sizes.count / sizes.features:.2f}"],
        ["store", f"{speed['store']:.1f}", f"{1e9 * speed['store'] / sizes.count / sizes.features:.2f}"],
    ]
    title = f"{sizes.count:,} patterns x {sizes.dim} into {sizes.features:,} features"
    return Table(
        title,
        ("", "seconds", "ns per pattern and feature"),
        rows,
        f"Share of the product's speed: {speed['share']:.2f}. Patterns of unit mean square length.",
    )


def memory_table(memory: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    rows = [[f"{one['count']:,}", megabytes(one["peak"]), megabytes(one["kept"])] for one in memory]
    note = "" if memory else "not measured: this system does not tell"
    return Table("Memory of storing, a thousand patterns at a time", ("patterns", "rise, MB", "kept, MB"), rows, note)


if __name__ == "__main__":
    count, dim, features, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    print(json.dumps(peak_of_storing(count, dim, features)))
