"""Replay of a long sequence beside a bare loop of the matrix products that its steps need.

A step of a network without self-coupling needs three products: overlaps of the state with the patterns, and two read-outs; with
self-coupling it needs two. The bare loop makes them with matrices that lie ready, into tensors that lie ready, and nothing else.
Both run with one thread and with all: the products gain more from further threads than the passes between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from report import Section, Table, Target, milliseconds
from timing import Contender, race
from torch import Tensor

from attractor.memory.sequence import SequenceMemory

OURS, BARE = "replay", "bare products"
LIMIT = 1.2


@dataclass(frozen=True)
class Sizes:
    """`steps` of a sequence of `count` patterns of width `dim`; about `seconds` for each batch and number of threads."""

    count: int = 1000
    dim: int = 300
    steps: int = 1000
    batches: tuple[int, ...] = (1, 32, 128)
    seconds: float = 8.0


QUICK = Sizes(count=20, dim=30, steps=20, batches=(1, 2), seconds=0.1)
NETWORKS: dict[str, dict[str, Any]] = {
    "x^3": {"interaction": 3},
    "exponential": {"interaction": "exponential"},
    "x^3, self-coupling": {"interaction": 3, "self_coupling": True},
}


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 2, (sizes.count, sizes.dim), generator=generator) * 2.0 - 1
    found = []
    for name, settings in NETWORKS.items():
        memory = SequenceMemory(sizes.dim, **settings)
        memory.store(patterns)
        for threads, batch in product(sorted({1, torch.get_num_threads()}), sizes.batches):
            say(f"sequence: {name}, batch {batch}, {threads} threads")
            found.append({"network": name, "threads": threads, "batch": batch, **one(memory, patterns, batch, threads, sizes)})
    return Section("Sequences", [table(found, sizes)], targets(found, sizes), {"replays": found})


def one(memory: SequenceMemory, patterns: Tensor, batch: int, threads: int, sizes: Sizes) -> dict[str, Any]:
    cues = patterns[:batch]
    reached = memory.replay(cues, sizes.steps)[:, -1]
    wanted = patterns[(torch.arange(batch) + sizes.steps) % sizes.count]
    bare = bare_products(patterns, batch, sizes.steps, products=2 if memory.self_coupling else 3)
    contenders = [Contender(OURS, lambda: memory.replay(cues, sizes.steps)), Contender(BARE, bare)]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        timed = race(contenders, sizes.seconds)
    finally:
        torch.set_num_threads(before)
    return {"race": timed, "right": bool((reached == wanted).all())}


def bare_products(patterns: Tensor, batch: int, steps: int, *, products: int) -> Callable[[], None]:
    columns = (batch,) if batch > 1 else ()
    multiply = torch.mm if columns else torch.mv
    joint = patterns * patterns.roll(1, 0)
    state, weights = patterns.new_ones(patterns.shape[1], *columns), patterns.new_ones(len(patterns), *columns)
    overlaps, read = torch.empty_like(weights), torch.empty_like(state)

    def loop() -> None:
        for _ in range(steps):
            multiply(patterns, state, out=overlaps)
            multiply(patterns.T, weights, out=read)
            if products == 3:
                multiply(joint.T, weights, out=read)

    return loop


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    rows = []
    for one in found:
        timed = one["race"]
        cells = [milliseconds(timed.time(name) / sizes.steps) for name in (OURS, BARE)]
        ratio, right = str(timed.ratio(OURS, BARE)), "yes" if one["right"] else "no"
        rows.append([one["network"], str(one["threads"]), str(one["batch"]), *cells, ratio, right])
    columns = ("network", "threads", "batch", "replay, ms a step", "bare products, ms a step", "ratio", "sequence recalled")
    title = f"{sizes.steps:,} steps of a sequence of {sizes.count:,} patterns, d = {sizes.dim}, float32"
    return Table(title, columns, rows, "Ratio in the same round, median (quartiles).", labels=3)


def targets(found: list[dict[str, Any]], sizes: Sizes) -> list[Target]:
    listed = []
    for one in found:
        ratio = one["race"].ratio(OURS, BARE)
        which = f"{one['network']}, batch {one['batch']}, {one['threads']} threads"
        claim = f"{sizes.steps:,} steps at d = {sizes.dim}, {which}: time over its products"
        listed.append(Target(claim, f"<= {LIMIT:g}", str(ratio), ratio.median <= LIMIT))
        claim = f"sequence recalled, {which}"
        listed.append(Target(claim, "yes", "yes" if one["right"] else "no", one["right"]))
    return listed
