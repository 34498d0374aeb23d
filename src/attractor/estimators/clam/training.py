"""Training of the prototypes of many restarts as one batch: Adam on the completion loss.

All restarts see the same mini-batches. Where no value is missing, all samples of a mini-batch hide the same features: then the
descent needs overlaps only (`loss_by_overlaps`), several times cheaper than following every state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.estimators.clam.descent import rows_at_once
from attractor.estimators.clam.points import Points, Restarts
from attractor.nn.clam.completion import hidden_count, hidden_features
from attractor.nn.clam.dynamics import Landscape
from attractor.nn.clam.loss import loss_by_overlaps, loss_by_states

LAST_RATE = 0.02
"""What is left of the learning rate at the end."""
JUDGED = 4096
"""Rows on which the restarts are compared."""


@dataclass(frozen=True)
class Training:
    """How prototypes are trained; `mask_fraction` None hides nothing."""

    steps: int
    step_size: float
    mask_fraction: float | None
    batch_size: int
    learning_rate: float

    def train(
        self,
        points: Points,
        restarts: Restarts,
        rates: Sequence[float],
        generator: torch.Generator,
        tell: Callable[[float], None] = lambda done: None,
    ) -> Restarts:
        """The restarts after as many steps of Adam as there are `rates`, each on a mini-batch."""
        learned = [one.clone().requires_grad_() for one in restarts.learned]
        trained = restarts.with_learned(learned)
        optimiser = torch.optim.Adam(learned, fused=True)
        for one, state in zip(learned, restarts.moments, strict=False):
            optimiser.state[one] = {name: value.clone() for name, value in state.items()}
        batches = self.batches(len(points), generator)
        with flushed_denormals():
            for done, rate in enumerate(rates):
                optimiser.param_groups[0]["lr"] = rate * self.learning_rate
                optimiser.zero_grad()
                with torch.enable_grad():
                    self.drawn_losses(points.take(next(batches)), trained.landscape, generator).sum().backward()
                optimiser.step()
                tell((done + 1) / len(rates))
        return restarts.with_learned([one.detach() for one in learned], tuple(optimiser.state[one] for one in learned))

    def batches(self, count: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows of mini-batches of nearly equal size, pass after pass, each in a new order."""
        while True:
            yield from torch.randperm(count, generator=generator).chunk(max(1, count // self.batch_size))

    def drawn_losses(self, points: Points, landscape: Landscape, generator: torch.Generator) -> Tensor:
        """The loss `(restarts,)` of each restart with features hidden by chance."""
        dim = points.values.shape[1]
        if self.mask_fraction is None:
            return self.losses(points, landscape, None)
        if points.known is None and not landscape.spherical:
            return self.losses(points, landscape, torch.randperm(dim, generator=generator)[: hidden_count(dim, self.mask_fraction)])
        mask = hidden_features(len(points), dim, self.mask_fraction, known=points.known, generator=generator)
        return self._followed(points, landscape, mask.to(points.values.device))

    def losses(self, points: Points, landscape: Landscape, features: Tensor | None) -> Tensor:
        """The loss `(restarts,)` of each restart where these features are hidden; None: nothing is."""
        features = None if features is None else features.to(points.values.device)
        if points.known is None and not landscape.spherical:
            return loss_by_overlaps(landscape, points.values, features, steps=self.steps, step_size=self.step_size)
        mask = None if features is None else torch.zeros_like(points.values, dtype=torch.bool).index_fill_(1, features, True)
        return self._followed(points, landscape, mask)

    def _followed(self, points: Points, landscape: Landscape, mask: Tensor | None) -> Tensor:
        return loss_by_states(landscape, points.values, mask, steps=self.steps, step_size=self.step_size, known=points.known)

    @torch.no_grad()
    def judged(self, points: Points, restarts: Restarts, generator: torch.Generator) -> Tensor:
        """The loss `(restarts,)` on the same rows for all, where each feature is hidden once: no draw favours anyone."""
        landscape, dim = restarts.landscape, points.values.shape[1]
        rows = points.take(torch.randperm(len(points), generator=generator)[:JUDGED])
        hidden: Sequence[Tensor | None] = [None]
        if self.mask_fraction is not None:
            hidden = torch.randperm(dim, generator=generator).split(hidden_count(dim, self.mask_fraction))
        total, compared = restarts.prototypes.new_zeros(len(restarts.prototypes)), 0
        for part in rows.parts(rows_at_once(landscape)):
            for features in hidden:
                if count := part.count(features):
                    total += count * self.losses(part, landscape, features)
                    compared += count
        return total / compared


def cosine(steps: int) -> list[float]:
    """Factors of the learning rate, from 1 down.

    Example:
        >>> [round(rate, 2) for rate in cosine(3)]
        [1.0, 0.51, 0.02]
    """
    falls = [(1 + math.cos(math.pi * step / max(1, steps - 1))) / 2 for step in range(steps)]
    return [LAST_RATE + (1 - LAST_RATE) * fall for fall in falls]


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Within, numbers too small for full precision count as zero: weights far away are, and slow a processor down tenfold."""
    before = not torch.full((), 1e-310, dtype=torch.float64).mul(1.0).item()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
