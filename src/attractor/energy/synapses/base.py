"""The contract of a synapse: an energy of the activations of the layers that it joins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attractor.energy.differentiate import gradients


class Synapse(nn.Module, ABC):
    """A hyperedge: one number per sample from the activations `(b, *shape)` at its ends.

    Attributes:
        ends: how many layers it joins.
        quadratic: the energy is at most quadratic in all activations together, so that `D` is the same everywhere.
    """

    ends: int
    quadratic: bool = False

    @abstractmethod
    def energy(self, *activations: Tensor) -> Tensor:
        """The energy `(b,)`."""

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        """`-dE/dg` for each end: what the synapse asks of each layer. By autograd, unless a subclass knows the closed form."""
        self._check_differentiable()
        return tuple(-one for one in gradients(self.energy, *activations))

    def curvature(self, activations: Sequence[Tensor], directions: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """`D z` for each end, `D = -d^2E/dg^2`: how drives change along `directions z`. `D` is symmetric."""
        self._check_differentiable()

        def along(*points: Tensor) -> Tensor:
            drives = self.drive(*points[: self.ends])
            return torch.stack([(one * z).sum() for one, z in zip(drives, points[self.ends :], strict=True)])

        return gradients(along, *activations, *directions)[: self.ends]

    def concave_in(self, *ends: int) -> bool:
        """Whether the energy is concave in the activations at `ends` together, all others fixed: what a block step asks for."""
        return False

    def degree(self, *ends: int) -> float | None:
        """The power with which the energy can grow in the activations at `ends` together; None where it is not known."""
        return None

    def check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Check the shapes of the layers at the ends.

        Raises:
            ValueError: a shape does not fit; both shapes are named.
        """

    def _check_differentiable(self) -> None:
        if any(one.is_inference() for one in self.parameters()):
            raise ValueError(f"{type(self).__name__} must be made outside torch.inference_mode() for autograd to give its drives")
