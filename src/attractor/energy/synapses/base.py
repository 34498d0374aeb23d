"""The contract of a synapse: an energy of the activations of the layers that it joins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Synapse(nn.Module, ABC):
    """A hyperedge: one number per sample from the activations `(b, *shape)` at its ends.

    Attributes:
        ends: how many layers it joins.
    """

    ends: int

    @abstractmethod
    def energy(self, *activations: Tensor) -> Tensor:
        """The energy `(b,)`."""

    def drive(self, *activations: Tensor) -> tuple[Tensor, ...]:
        """`-dE/dg` for each end: what the synapse asks of each layer. By autograd, unless a subclass knows the closed form."""
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            # views keep two ends apart that are given the same tensor
            ends = [
                one.view_as(one) if differentiable and one.requires_grad else one.detach().requires_grad_() for one in activations
            ]
            energy = self.energy(*ends).sum()
            gradients = torch.autograd.grad(energy, ends, create_graph=differentiable, materialize_grads=True)
        return tuple(-one for one in gradients)

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
