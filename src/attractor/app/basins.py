"""Where recall ends from each cell of a window on the plane: fixed points, their basins, and the energy beside them.

A fixed point is what a recall comes to rest at; its basin is the set of cues that end there (Krotov and Hopfield 2016). At a low
inverse temperature stored patterns blend, and fixed points lie between them (Ramsauer et al. 2021, the metastable states).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.memory import DenseMemory
from attractor.validation import check_count

BORDER = -1
"""The label of cells in no basin: they rest at a saddle, or never."""
SAME = 1e-3
"""Ends nearer than this part of the window's width are one fixed point."""
AT_MEMORY = 0.05
"""A fixed point is at a stored memory within this part of the way to the nearest other one."""
STEPS, PATIENCE = 50, 3000
"""Most steps of every cell, and of the few ends that are carried on."""


class Window(NamedTuple):
    """A part of the plane, from `left` to `right` and from `bottom` to `top`."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, points: Tensor) -> Window:
        """A square about `points (n, 2)`, with room beside the outermost."""
        low, high = points.amin(0), points.amax(0)
        x, y = ((low + high) / 2).tolist()
        half = 0.75 * max(float((high - low).max()), 0.5 * float(points.abs().max()), 1e-3)
        return cls(x - half, x + half, y - half, y + half)

    def cells(self, resolution: int) -> Tensor:
        """Centres `(resolution, resolution, 2)` of equal cells, the lowest row first."""
        middles = (torch.arange(resolution, dtype=torch.float64) + 0.5) / resolution
        x = self.left + (self.right - self.left) * middles
        y = self.bottom + (self.top - self.bottom) * middles
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


@dataclass(frozen=True)
class FixedPoint:
    """A stable fixed point.

    Attributes:
        position: where it lies.
        nearest: row of the nearest stored memory.
        distance: from there.
        stored: whether that is near enough to be the memory; else it is a blend.
        share: of the window's cells that end at it.
    """

    position: tuple[float, float]
    nearest: int
    distance: float
    stored: bool
    share: float


@dataclass(frozen=True, eq=False)
class Basins:
    """What was measured.

    Attributes:
        window: of the plane.
        energy: `(r, r)` at the cells' centres, the lowest row first.
        labels: `(r, r)` int64, place in `fixed_points` where a recall from the cell's centre ends, or `BORDER`.
        fixed_points: those at stored memories first, in their order.
    """

    window: Window
    energy: Tensor
    labels: Tensor
    fixed_points: tuple[FixedPoint, ...]

    @property
    def border(self) -> float:
        """Share of the cells in no basin."""
        return float((self.labels == BORDER).double().mean())


def measure_basins(memory: DenseMemory, window: Window, *, resolution: int = 200) -> Basins:
    """Energy, fixed points and basins of a memory of the plane, from one batched recall.

    Args:
        memory: of width 2, in float64, with at least one pattern.
        window: the part of the plane to look at.
        resolution: cells along a side.

    Raises:
        TypeError, ValueError: the memory is of another width, dtype, or empty; a window without an inside; a bad resolution.

    Example:
        >>> from attractor.read import SoftMax
        >>> memory = DenseMemory(2, separation=SoftMax(beta=20.0))
        >>> ids = memory.store(torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
        >>> basins = measure_basins(memory, Window(-2, 2, -2, 2), resolution=10)
        >>> [(point.nearest, point.stored, point.share) for point in basins.fixed_points]
        [(0, True, 0.5), (1, True, 0.5)]
    """
    if not (window.left < window.right and window.bottom < window.top and all(map(math.isfinite, window))):
        raise ValueError(f"window must have finite left < right and bottom < top, got {window}")
    cells = window.cells(check_count("resolution", resolution)).flatten(0, 1)
    energy = memory.energy(cells)
    recalled = memory.recall(cells, max_steps=STEPS)
    radius = SAME * (window.right - window.left)
    # ends that share a square of this size are carried on together: near a bifurcation recall creeps for thousands of steps
    _, group = (recalled.patterns / radius).round().unique(dim=0, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(group)).scatter_reduce(0, group, torch.arange(len(group)), "amin")
    limits, settled, moved = carry_on(memory, recalled.patterns[first], radius)
    labels, positions = merged(limits, 2 * radius)
    labels = torch.where(settled, labels, BORDER)[group]
    # a cell at rest that a nudge sends far away lies on a border: its end is a saddle
    labels[recalled.converged & (moved[group] > 10 * radius)] = BORDER
    return in_order(memory, window, energy.view(resolution, resolution), labels.view(resolution, resolution), positions)


def carry_on(memory: DenseMemory, ends: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Recall further from `ends (k, 2)`, nudged off any saddle: the limits `(k, 2)`, whether each is at rest, how far it moved.

    Nudged twice, at a right angle: of a saddle one nudge at least is off the way in.
    """
    aside = torch.tensor([[0.54, 0.84], [0.84, -0.54]], dtype=ends.dtype)
    recalled = memory.recall((ends + radius * aside[:, None]).flatten(0, 1), tol=1e-9, max_steps=PATIENCE)
    limits = recalled.patterns.unflatten(0, (2, -1))
    moved, farther = (limits - ends).norm(dim=-1).max(0)
    return limits[farther, torch.arange(len(ends))], recalled.converged.view(2, -1).all(0), moved


def merged(points: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """One label `(k,)` for `points (k, 2)` within `radius` of each other, and where each label lies."""
    labels = torch.full((len(points),), BORDER)
    positions: list[Tensor] = []
    while bool((free := labels == BORDER).any()):
        position = points[free][0]
        labels[free & ((points - position).norm(dim=-1) <= radius)] = len(positions)
        positions.append(position)
    return labels, torch.stack(positions)


def in_order(memory: DenseMemory, window: Window, energy: Tensor, labels: Tensor, positions: Tensor) -> Basins:
    """The fixed points that hold cells, described, those at memories first."""
    patterns = memory.bank.get(memory.bank.ids()).patterns
    apart = torch.cdist(patterns, patterns)
    apart = torch.where(apart > 0, apart, torch.inf).amin(-1)
    found = []
    for label, position in enumerate(positions):
        cells = labels == label
        if not bool(cells.any()):
            continue
        distances = (patterns - position).norm(dim=-1)
        nearest = int(distances.argmin())
        distance = float(distances[nearest])
        stored = distance <= AT_MEMORY * min(float(apart[nearest]), window.right - window.left)
        x, y = position.tolist()
        found.append((FixedPoint((x, y), nearest, distance, stored, float(cells.double().mean())), cells))
    found.sort(key=lambda one: (not one[0].stored, one[0].nearest, -one[0].share))
    ordered = torch.full_like(labels, BORDER)
    for place, (_, cells) in enumerate(found):
        ordered[cells] = place
    return Basins(window, energy, ordered, tuple(point for point, _ in found))
