"""Exactness of the soft-max read: float32 beside float64 on the same inputs, and beside the naive formula's own error.

A read-out may be off by `max(1e-5, 16 eps beta max|score terms|)` of the largest entry of the patterns, eps that of float32, and
by no more than twice what the naive float32 formula is off, unless both are within 1e-5. The terms of a Euclidean score are the
product and half the squared length of a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peers import naive
from report import Section, Table, Target
from torch import Tensor

from attractor import DenseMemory, Dot, Euclidean, SoftMax
from attractor.read import Similarity

EPS = torch.finfo(torch.float32).eps
FLOOR = 1e-5


@dataclass(frozen=True)
class Sizes:
    """Numbers of patterns, their width, and the inverse temperatures."""

    counts: tuple[int, ...] = (1, 1000, 300_000)
    dim: int = 64
    betas: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
    cues: int = 16


QUICK = Sizes(counts=(1, 1000, 40_000), betas=(1e-3, 1.0, 1e4))


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    figures: list[dict[str, Any]] = []
    for similarity in (Euclidean(), Dot()):
        for count in sizes.counts:
            say(f"exactness: {similarity.name}, {count:,} patterns")
            patterns, cues = inputs(count, sizes)
            memory = DenseMemory(sizes.dim, similarity=similarity, separation=SoftMax(beta=1.0))
            memory.store(patterns)
            figures += [one(memory, patterns, cues, similarity, beta) for beta in sizes.betas]
    return Section("Exactness", [table(figures, sizes)], targets(figures), {"reads": figures})


def inputs(count: int, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Standard normal patterns; half of the cues lie near stored ones, half anywhere."""
    generator = torch.Generator().manual_seed(count)
    patterns = torch.randn(count, sizes.dim, generator=generator)
    near = patterns[torch.randint(count, (sizes.cues // 2,), generator=generator)]
    near = near + 0.3 * torch.randn(near.shape, generator=generator)
    return patterns, torch.cat([near, torch.randn(sizes.cues - len(near), sizes.dim, generator=generator)])


def one(memory: DenseMemory, patterns: Tensor, cues: Tensor, similarity: Similarity, beta: float) -> dict[str, Any]:
    euclidean = isinstance(similarity, Euclidean)
    norms = patterns.square().sum(-1) if euclidean else None
    wide = patterns.double()
    truth = naive(cues.double(), wide, beta, wide.square().sum(-1) if euclidean else None)
    read = DenseMemory(bank=memory.bank, similarity=similarity, separation=SoftMax(beta=beta)).read(cues)
    largest = patterns.abs().amax()
    ours, theirs = (
        float((values.double() - truth).abs().amax() / largest) for values in (read.values, naive(cues, patterns, beta, norms))
    )
    term = float((cues @ patterns.T).abs().amax())
    if norms is not None:
        term = max(term, float(norms.amax()) / 2)
    bound = max(FLOOR, 16 * EPS * beta * term) if beta * term > 10 else FLOOR
    kept = ours <= bound and ours <= max(2 * theirs, FLOOR)
    about = {"similarity": similarity.name, "count": len(patterns), "beta": beta}
    return {**about, "error": ours, "bound": bound, "naive": theirs, "kept": kept}


def table(figures: Sequence[dict[str, Any]], sizes: Sizes) -> Table:
    columns = ("similarity", "patterns", "beta", "error", "bound", "error of the naive formula", "kept")
    rows = [
        [
            one["similarity"],
            f"{one['count']:,}",
            f"{one['beta']:g}",
            f"{one['error']:.1e}",
            f"{one['bound']:.1e}",
            f"{one['naive']:.1e}",
            "yes" if one["kept"] else "no",
        ]
        for one in figures
    ]
    note = (
        "Largest error of an entry, in units of the largest entry of the patterns. The bound is max(1e-5, 16 eps beta |largest "
        "term of a score|), and an error above 1e-5 may not exceed twice that of the naive formula."
    )
    return Table(f"Soft-max read in float32 against float64, width {sizes.dim}", columns, rows, note, labels=3)


def targets(figures: Sequence[dict[str, Any]]) -> list[Target]:
    share = max(one["error"] / one["bound"] for one in figures)
    beside = max((one["error"] / one["naive"] for one in figures if one["error"] > FLOOR), default=0.0)
    return [
        Target("float32 read: error in units of its bound, worst row", "<= 1", f"{share:.2g}", share <= 1),
        Target("float32 read: error over that of the naive formula, worst row above 1e-5", "<= 2", f"{beside:.2g}", beside <= 2),
    ]
