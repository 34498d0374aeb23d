"""Recall by the sparsest error, a batch at once, beside a loop over cues and neurons that takes the same steps.

The loop is the network as it is written: each constraint neuron sums what it hears of the coordinates, each coordinate what it
hears of the constraints. It gets the orthonormal constraints as lists that lie ready, and stops where the library does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from report import Section, Table, Target, milliseconds
from timing import LEAST_ROUNDS, Contender, Race, race
from torch import Tensor

from attractor.memory import SparseRecoveryMemory
from attractor.memory.sparse_recovery import LinearCode, random_errors

OURS, LOOP = "attractor", "loop over neurons"
FASTER = 10
RIGHT = 0.98
THRESHOLD, OVER_RELAXATION, SETTLED = 0.1, 1.6, 1e-8
LOOK_EVERY = 10


@dataclass(frozen=True)
class Sizes:
    """`cues` of patterns of `width` with `errors` wrong entries, half as many constraints; `looped` of them by the loop."""

    width: int = 200
    errors: int = 24
    cues: int = 500
    looped: int = 1
    seconds: float = 10.0


QUICK = Sizes(width=40, errors=3, cues=20, looped=1, seconds=0.1)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    say("sparse recovery: recall")
    generator = torch.Generator().manual_seed(0)
    code = LinearCode.gaussian(sizes.width, sizes.width // 2, generator=generator)
    memory = SparseRecoveryMemory(sizes.width)
    memory.store(code.directions)
    true = code.draw(sizes.cues, generator=generator)[1]
    cues = true + random_errors(true, sizes.errors, generator=generator)
    rows = memory.subspace.dual.tolist()
    few = cues[: sizes.looped].tolist()
    timed = race(
        [
            Contender(OURS, lambda: memory.recall(cues)),
            Contender(LOOP, lambda: [recall(rows, cue) for cue in few], rounds=LEAST_ROUNDS),
        ],
        sizes.seconds,
    )
    looped = torch.tensor([recall(rows, cue) for cue in few], dtype=true.dtype)
    right = {OURS: rate(memory.recall(cues).patterns, true), LOOP: rate(looped, true[: sizes.looped])}
    faster = timed.ratio(LOOP, OURS).median * sizes.cues / sizes.looped
    figures = {"race": timed, "right": right, "faster": faster}
    return Section("Sparse recovery", [table(timed, right, faster, sizes)], targets(right, faster, sizes), {"sparse": figures})


def recall(rows: Sequence[Sequence[float]], cue: Sequence[float]) -> list[float]:
    """The cue without its sparsest error, by Douglas-Rachford splitting."""
    target = violation(rows, cue)
    scale = max(map(abs, target))
    sparse, dual, point = target, [0.0] * len(cue), target
    for step in range(1, 2001):
        before = [one - other for one, other in zip(sparse, dual, strict=True)]
        violated = violation(rows, before)
        point = [one - part + asked for one, part, asked in zip(before, violated, target, strict=True)]
        relaxed = [OVER_RELAXATION * one - (OVER_RELAXATION - 1) * old for one, old in zip(point, sparse, strict=True)]
        moved = [one + other for one, other in zip(relaxed, dual, strict=True)]
        sparse = [shrunk(one, THRESHOLD * scale) for one in moved]
        dual = [one - kept for one, kept in zip(moved, sparse, strict=True)]
        if step % LOOK_EVERY == 0 and max(abs(one - kept) for one, kept in zip(point, sparse, strict=True)) <= SETTLED * scale:
            break
    return [one - wrong for one, wrong in zip(cue, sparse, strict=True)]


def violation(rows: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    """What the constraints hear, sent back to the coordinates."""
    heard = [sum(weight * value for weight, value in zip(row, vector, strict=True)) for row in rows]
    return [sum(row[place] * value for row, value in zip(rows, heard, strict=True)) for place in range(len(vector))]


def shrunk(value: float, threshold: float) -> float:
    return value - max(-threshold, min(threshold, value))


def rate(found: Tensor, true: Tensor) -> float:
    """The share of patterns right to a thousandth of their norm."""
    return float(((found - true).norm(dim=1) <= 1e-3 * true.norm(dim=1)).double().mean())


def table(timed: Race, right: dict[str, float], faster: float, sizes: Sizes) -> Table:
    rows = [
        [OURS, milliseconds(timed.time(OURS) / sizes.cues), f"{right[OURS]:.3f}", f"{faster:.0f}"],
        [LOOP, milliseconds(timed.time(LOOP) / sizes.looped), f"{right[LOOP]:.3f}", "1"],
    ]
    title = f"{sizes.cues:,} cues of {sizes.width:,} entries, {sizes.errors} of them wrong, {sizes.width // 2:,} constraints"
    return Table(title, ("", "ms a cue", "right", "times faster than the loop"), rows, "Ratios in the same round, median.")


def targets(right: dict[str, float], faster: float, sizes: Sizes) -> list[Target]:
    what = f"sparse recovery, {sizes.width:,} entries, {sizes.errors} wrong"
    return [
        Target(f"{what}: times faster than the loop", f">= {FASTER}", f"{faster:.0f}", faster >= FASTER),
        Target(f"{what}: patterns recalled", f">= {RIGHT}", f"{right[OURS]:.3f}", right[OURS] >= RIGHT),
    ]
