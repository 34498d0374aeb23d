"""Entropic memory beside the loop form of its definitions, the bare accesses to memory that its operations need, and a plain copy.

Registering has to add one to a cell of each column of each object, recognition has to look each of them up, and a draw has to look
up about `log2 m` sums in a table. The bare forms do that at places that lie ready, and nothing else. The copy is of the cues
themselves, 8 bytes for each column.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from report import Section, Table, Target, milliseconds
from timing import LEAST_ROUNDS, Contender, race
from torch import Tensor

from attractor.memory import EntropicMemory

OURS, LOOP, BARE, COPY = "attractor", "loop over columns and rows", "bare accesses", "plain copy"
FASTER = 10
LIMIT = 8
SIGMA = 0.025
OPERATIONS = ("register", "recognise", "retrieve")


@dataclass(frozen=True)
class Sizes:
    """`cues` of width `n` in memories of several numbers of levels that hold `stored`; about `seconds` for each row."""

    n: int = 1024
    levels: tuple[int, ...] = (16, 64)
    stored: int = 12_000
    cues: int = 512
    looped: int = 4
    seconds: float = 8.0


QUICK = Sizes(n=32, levels=(4,), stored=100, cues=16, looped=2, seconds=0.1)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    found = []
    for levels in sizes.levels:
        generator = torch.Generator().manual_seed(0)
        # codes as an encoder gives them: most of them about the middle of their range
        spread = torch.randn(sizes.stored, sizes.n, generator=generator) / 6 + 0.5
        codes = (spread * levels).long().clamp_(0, levels - 1)
        memory = EntropicMemory(sizes.n, levels, sigma=SIGMA)
        memory.registers.register(codes)
        for operation in OPERATIONS:
            say(f"entropic memory: {operation}, {levels} levels")
            found.append({"operation": operation, "levels": levels, **one(operation, memory, codes[: sizes.cues], sizes)})
    return Section("Entropic memory", [table(found, sizes)], targets(found, sizes), {"entropic": found})


def one(operation: str, memory: EntropicMemory, cues: Tensor, sizes: Sizes) -> dict[str, Any]:
    registers = memory.registers
    spare = EntropicMemory(memory.dim, registers.m).registers
    rows, few = registers.weights[0].tolist(), cues[: sizes.looped].tolist()
    spare_rows = [[0] * registers.m for _ in rows]
    ours: dict[str, Callable[[], object]] = {
        "register": lambda: spare.register(cues),
        "recognise": lambda: memory.recognise(cues),
        "retrieve": lambda: memory.retrieve(cues),
    }
    loops: dict[str, Callable[[], object]] = {
        "register": lambda: [register(spare_rows, cue) for cue in few],
        "recognise": lambda: [recognise(rows, cue) for cue in few],
        "retrieve": lambda: [retrieve(rows, cue) for cue in few],
    }
    contenders = [
        Contender(OURS, ours[operation]),
        Contender(LOOP, loops[operation], rounds=LEAST_ROUNDS),
        Contender(BARE, bare(operation, registers.weights, cues)),
        Contender(COPY, partial(torch.empty_like(cues).copy_, cues)),
    ]
    right = bool(memory.recognise(cues).accepted.all()) and held(memory, cues)
    return {"race": race(contenders, sizes.seconds), "right": right, "scale": sizes.cues / sizes.looped}


def bare(operation: str, weights: Tensor, cues: Tensor) -> Callable[[], object]:
    """The accesses of an operation, at places that lie ready."""
    _, columns, levels = weights.shape
    place = (cues + torch.arange(columns) * levels).view(-1)
    flat, once = weights.clone().view(-1), torch.ones(place.numel(), dtype=torch.int32)
    if operation == "register":
        return lambda: flat.scatter_add_(0, place, once)
    if operation == "recognise":
        return lambda: flat.index_select(0, place)
    sums, lookups = torch.rand(columns * (levels + 1) * levels), math.ceil(math.log2(levels)) + 1
    start = (place.view(cues.shape) * (levels + 1)).clamp_(max=sums.numel() - 1).view(-1)

    def draw() -> None:
        torch.rand(cues.shape)
        for _ in range(lookups):
            sums.index_select(0, start)

    return draw


def held(memory: EntropicMemory, cues: Tensor) -> bool:
    """Whether all that is retrieved has weight."""
    return bool((memory.weights.gather(1, memory.retrieve(cues).codes.T) > 0).all())


def register(rows: list[list[int]], cue: list[int]) -> None:
    for column, value in enumerate(cue):
        rows[column][value] = min(1023, rows[column][value] + 1)


def recognise(rows: list[list[int]], cue: list[int]) -> bool:
    weights = [rows[column][value] for column, value in enumerate(cue)]
    return sum(weight == 0 for weight in weights) == 0 and sum(weights) / len(weights) >= 0


def retrieve(rows: list[list[int]], cue: list[int]) -> list[int]:
    found, width = [], 2 * (SIGMA * len(rows[0])) ** 2
    for weights, value in zip(rows, cue, strict=True):
        odds = [weight * math.exp(-((row - value) ** 2) / width) for row, weight in enumerate(weights)]
        target, row = random.random() * sum(odds), 0
        while row < len(odds) - 1 and target >= odds[row]:
            target -= odds[row]
            row += 1
        found.append(row)
    return found


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    rows = []
    for each in found:
        timed, scale = each["race"], each["scale"]
        cells = [milliseconds(timed.time(OURS) / sizes.cues), milliseconds(timed.time(LOOP) / sizes.looped)]
        cells.append(milliseconds(timed.time(BARE) / sizes.cues))
        ratios = f"{timed.ratio(LOOP, OURS).median * scale:.0f}", str(timed.ratio(OURS, BARE)), str(timed.ratio(OURS, COPY))
        rows.append([each["operation"], str(each["levels"]), *cells, *ratios, "yes" if each["right"] else "no"])
    columns = (
        "operation",
        "m",
        "ms a cue",
        "loop, ms a cue",
        "bare, ms a cue",
        "times the loop",
        "over bare",
        "over a copy",
        "right",
    )
    title = f"{sizes.cues:,} cues, n = {sizes.n:,}, {sizes.stored:,} registered"
    return Table(title, columns, rows, "Ratios in the same round, median (quartiles).", labels=2)


def targets(found: list[dict[str, Any]], sizes: Sizes) -> list[Target]:
    listed = []
    for each in found:
        timed, what = each["race"], f"{each['operation']}, n = {sizes.n:,}, m = {each['levels']}"
        faster, over = timed.ratio(LOOP, OURS).median * each["scale"], timed.ratio(OURS, BARE)
        listed.append(Target(f"{what}: times faster than the loop", f">= {FASTER}", f"{faster:.0f}", faster >= FASTER))
        listed.append(Target(f"{what}: time over its accesses to memory", f"<= {LIMIT}", str(over), over.median <= LIMIT))
        right = "yes" if each["right"] else "no"
        listed.append(Target(f"{what}: cues recognised, rows with weight", "yes", right, each["right"]))
    return listed
