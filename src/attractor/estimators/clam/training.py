"""Training of the prototypes of many restarts as one batch: Adam on the completion loss, with a rate that falls along a cosine.

All restarts see the same mini-batches. Where no value is missing, all samples of a mini-batch hide the same features: then the
descent needs overlaps only (`shared_completion_loss`), several times cheaper than following every state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from attractor.nn.clam import completion_loss, hidden_features, shared_completion_loss
from attractor.nn.clam.dynamics import Landscape

LAST_RATE = 0.02
"""What is left of the learning rate at the end."""
JUDGED = 4096
"""Rows on which the restarts are compared."""
NUMBERS = 2**22
"""Most numbers of one tensor when labels are found."""


@dataclass(frozen=True)
class Points:
    """Scaled data `(n, d)`, zero where a value is missing, and where one is `known (n, d)`; None: all of them are."""

    values: Tensor
    known: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def trained_on(self, device: str | torch.device) -> Points:
        """In float32 on the device."""
        return Points(self.values.float().to(device), None if self.known is None else self.known.to(device))

    def take(self, rows: Tensor) -> Points:
        rows = rows.to(self.values.device)
        return Points(self.values[rows], None if self.known is None else self.known[rows])


@dataclass(frozen=True)
class Restarts:
    """Prototypes `(restarts, k, d)` and logarithms of the weights of clusters `(restarts, k)` or None; `beta (restarts, 1, 1)`."""

    prototypes: Tensor
    weight_logits: Tensor | None
    beta: Tensor
    spherical: bool

    @property
    def landscape(self) -> Landscape:
        weights = None if self.weight_logits is None else self.weight_logits.log_softmax(-1)
        prototypes = normalize(self.prototypes, dim=-1) if self.spherical else self.prototypes
        return Landscape(prototypes, self.beta, weights, self.spherical)


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
        rates: Iterator[float] | list[float],
        generator: torch.Generator,
        tell: Callable[[float], None] = lambda done: None,
    ) -> Restarts:
        """The restarts after as many steps of Adam as there are `rates`, each on a mini-batch."""
        learned = [one.clone().requires_grad_() for one in (restarts.prototypes, restarts.weight_logits) if one is not None]
        trained = Restarts(learned[0], learned[1] if len(learned) > 1 else None, restarts.beta, restarts.spherical)
        rates = list(rates)
        optimiser = torch.optim.Adam(learned, fused=True)
        batches = self.batches(len(points), generator)
        with flushed_denormals():
            for done, rate in enumerate(rates):
                optimiser.param_groups[0]["lr"] = rate * self.learning_rate
                optimiser.zero_grad()
                with torch.enable_grad():
                    self.losses(points.take(next(batches)), trained.landscape, generator).sum().backward()
                optimiser.step()
                tell((done + 1) / len(rates))
        final = [one.detach() for one in learned]
        return Restarts(final[0], final[1] if len(final) > 1 else None, restarts.beta, restarts.spherical)

    def batches(self, count: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows of mini-batches of nearly equal size, pass after pass, each in a new order."""
        while True:
            yield from torch.randperm(count, generator=generator).chunk(max(1, count // self.batch_size))

    def losses(self, points: Points, landscape: Landscape, generator: torch.Generator) -> Tensor:
        """The loss `(restarts,)` of each restart under fresh masks."""
        values, known = points.values, points.known
        settings = {"steps": self.steps, "step_size": self.step_size}
        if known is None and not landscape.spherical:
            hidden = None if self.mask_fraction is None else self._hidden(1, points, generator).nonzero()[:, 1]
            return shared_completion_loss(landscape, values, hidden, **settings)  # type: ignore[arg-type]  # one is a whole number
        masks = None if self.mask_fraction is None else self._hidden(len(points), points, generator)
        return completion_loss(landscape, values, masks, known=known, **settings)  # type: ignore[arg-type]

    @torch.no_grad()
    def judged(self, points: Points, restarts: Restarts, generator: torch.Generator) -> Tensor:
        """The loss `(restarts,)` on the same rows and masks for all: each feature is hidden once or nearly so."""
        rows = points.take(torch.randperm(len(points), generator=generator)[:JUDGED])
        draws = 1 if self.mask_fraction is None else math.ceil(1 / self.mask_fraction)
        return torch.stack([self.losses(rows, restarts.landscape, generator) for _ in range(draws)]).mean(0)

    def _hidden(self, rows: int, points: Points, generator: torch.Generator) -> Tensor:
        assert self.mask_fraction is not None
        known = points.known if rows == len(points) else None
        mask = hidden_features(rows, points.values.shape[1], self.mask_fraction, known=known, generator=generator)
        return mask.to(points.values.device)


def cosine(steps: int) -> list[float]:
    """Factors of the learning rate, from 1 down.

    Example:
        >>> [round(rate, 2) for rate in cosine(3)]
        [1.0, 0.51, 0.02]
    """
    falls = [(1 + math.cos(math.pi * step / max(1, steps - 1))) / 2 for step in range(steps)]
    return [LAST_RATE + (1 - LAST_RATE) * fall for fall in falls]


@torch.no_grad()
def descended(landscape: Landscape, points: Points, steps: int, step_size: float) -> Iterator[Tensor]:
    """States `(..., rows, d)` after the descent, of some rows after the other; missing values are filled in first."""
    *leading, clusters, dim = landscape.prototypes.shape
    rows = max(1, NUMBERS // (math.prod(leading) * max(clusters, dim)))
    for part in torch.arange(len(points), device=points.values.device).split(rows):
        some = points.take(part)
        states = some.values
        if some.known is not None:
            states = filled(landscape, some, steps, step_size)
        for _ in range(steps):
            states = landscape.step(states, step_size)
        yield states


def filled(landscape: Landscape, points: Points, steps: int, step_size: float) -> Tensor:
    """The points `(..., n, d)` with their missing values filled in by the descent; the known ones stay as they are."""
    assert points.known is not None
    states = points.values.expand(*landscape.prototypes.shape[:-2], *points.values.shape)
    for _ in range(steps):
        states = landscape.step(states, step_size, ~points.known)
    return states


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Within, numbers too small for full precision count as zero: weights far away are, and slow a processor down tenfold."""
    before = not torch.full((), 1e-310, dtype=torch.float64).mul(1.0).item()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
