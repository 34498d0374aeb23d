"""The descent of given points among learned prototypes, some rows after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.estimators.clam.points import Points
from attractor.nn.clam.dynamics import Landscape

NUMBERS = 2**22
"""Most numbers of one tensor."""


@dataclass(frozen=True)
class Descent:
    """So many `steps` of a `step_size`.

    From zero they go a part `reach` of the way to the prototypes. Those that learned with hidden features lie further out for that,
    and `reach` is 1; where nothing was hidden, what is filled in has to be divided by it.
    """

    steps: int
    step_size: float
    reach: float

    @classmethod
    def of(cls, steps: int, step_size: float, *, masked: bool) -> Descent:
        return cls(steps, step_size, 1.0 if masked else 1 - (1 - step_size) ** steps)

    @torch.no_grad()
    def states(self, landscape: Landscape, points: Points) -> Iterator[Tensor]:
        """Where the points end, `(..., rows, d)`; their missing values are filled in before."""
        for part in points.parts(rows_at_once(landscape)):
            states = self.filled(landscape, part)
            for _ in range(self.steps):
                states = landscape.step(states, self.step_size)
            yield states

    @torch.no_grad()
    def labels(self, landscape: Landscape, points: Points) -> Tensor:
        """The prototype `(..., n)` with the largest assignment where each point ends."""
        return torch.cat([landscape.scores(states).argmax(-1) for states in self.states(landscape, points)], -1)

    @torch.no_grad()
    def filled(self, landscape: Landscape, points: Points) -> Tensor:
        """The points `(..., n, d)` with their missing values filled in; the known ones stay as they are."""
        if points.known is None:
            return points.values
        states = points.values.expand(*landscape.prototypes.shape[:-2], *points.values.shape)
        for _ in range(self.steps):
            states = landscape.step(states, self.step_size, ~points.known)
        return torch.where(points.known, states, states / self.reach)


def rows_at_once(landscape: Landscape) -> int:
    """Rows whose states and scores among all the prototypes stay within bounds."""
    *leading, clusters, dim = landscape.prototypes.shape
    return max(1, NUMBERS // (math.prod(leading) * max(clusters, dim)))
