"""Synapses that are bilinear in two layers: `E = -g2 . A g1` for a linear map `A` and its transpose."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor

from attractor.energy.synapses.base import Synapse


class Bilinear(Synapse):
    """`-g2 . A g1`; the ends are the lower layer, which `A` acts on, and the upper one."""

    ends = 2
    quadratic = True

    @abstractmethod
    def up(self, lower: Tensor) -> Tensor:
        """`A g1`, of the shape of the upper layer."""

    @abstractmethod
    def down(self, upper: Tensor, shape: tuple[int, ...]) -> Tensor:
        """`A^T g2`; `shape` is the lower layer's."""

    def energy(self, *activations: Tensor) -> Tensor:
        lower, upper = activations
        return -(self.up(lower) * upper).flatten(1).sum(-1)

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        lower, upper = activations
        return self.down(upper, tuple(lower.shape[1:])), self.up(lower)

    def curvature(self, activations: Sequence[Tensor], directions: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return self.drive(*directions)

    def degree(self, *ends: int) -> float | None:
        return len(set(ends))

    def concave_in(self, *ends: int) -> bool:
        # linear in each end, indefinite in both
        return len(set(ends)) < 2
