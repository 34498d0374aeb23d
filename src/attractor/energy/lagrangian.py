"""Lagrangians: convex functions of a layer's state whose gradient is its activation.

`L(x)` gives one number per sample, `g = dL/dx` the activation, `H = d^2 L/dx^2` how activations follow states. The table of
Krotov and Hopfield 2021 (arXiv 2008.06996), with closed forms that do not overflow where the function itself does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

DEAD = 1e-12
"""A direction counts as flat where its curvature is below this part of the largest one that there can be."""


class Lagrangian(nn.Module, ABC):
    """A convex function of states `(b, *shape)`; the first dimension is the batch.

    Attributes:
        elementwise: each activation depends on its own entry alone.
        bounded: activations stay in a bounded set, whatever the state.
        convex: the Hessian is positive semi-definite everywhere.
    """

    elementwise: ClassVar[bool]
    bounded: ClassVar[bool]
    convex: bool = True

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """`L(x)`, one number `(b,)` for each sample."""

    @abstractmethod
    def activation(self, x: Tensor) -> Tensor:
        """`g(x) = dL/dx`, of the shape of `x`."""

    @abstractmethod
    def hvp(self, x: Tensor, z: Tensor) -> Tensor:
        """The Hessian at `x` times `z`, of the shape of `x`."""

    @property
    @abstractmethod
    def curvature_bound(self) -> float:
        """The largest eigenvalue that the Hessian can have, infinite where there is no bound."""

    @abstractmethod
    def conjugate(self, g: Tensor) -> Tensor:
        """The convex conjugate `L*(g) = max_x [g.x - L(x)]`, `(b,)`.

        Raises:
            ValueError: `g` lies outside the domain of the conjugate, or the Lagrangian is not convex.
        """

    @abstractmethod
    def dead(self, x: Tensor) -> Tensor:
        """True where an entry can move a little, in at least one direction, without changing any activation."""

    def flat_basis(self, x: Tensor) -> Tensor:
        """Directions along which activations stay as they are: orthonormal rows `(b, k, *shape)`, padded with zero rows.

        There are as many as the Hessian has zero eigenvalues, but for single points where it vanishes and nothing is flat:
        the origin of even powers, and where norms without `eps` have no direction.
        """
        dead = self.dead(x).flatten(1)
        most = int(dead.sum(-1).amax()) if len(dead) else 0
        # the dead entries come first, in order: a stable sort of False before True
        places = (~dead).to(torch.int8).argsort(dim=-1, stable=True)[:, :most]
        rows = x.new_zeros(len(x), most, dead.shape[1])
        rows.scatter_(2, places[:, :, None], dead.gather(1, places)[:, :, None].to(x.dtype))
        return rows.unflatten(2, x.shape[1:])

    def jumps(self, x: Tensor, near: float) -> Tensor:
        """Whether the activation may jump within `near` of each entry of a state, `(b,)`."""
        return torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse a layer of this shape with a `ValueError`; element-wise Lagrangians take every one."""

    def forward(self, x: Tensor) -> Tensor:
        """The activation."""
        return self.activation(x)


class Elementwise(Lagrangian):
    """A Lagrangian that is a sum over entries, given by functions of one entry."""

    elementwise = True

    @abstractmethod
    def slope(self, x: Tensor) -> Tensor:
        """The second derivative of each entry."""

    def hvp(self, x: Tensor, z: Tensor) -> Tensor:
        return self.slope(x) * z
