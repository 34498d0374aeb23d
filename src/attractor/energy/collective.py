"""Lagrangians whose activations depend on all entries of a group, and the soft-max family of them.

Activations and Hessian-vector products are closed forms, and autograd of each is the next one. A layer may hold many groups,
a soft-max over the channels of each pixel for example; the Lagrangian is the sum over them.

Sources: the table of Krotov and Hopfield 2021 (arXiv 2008.06996); Fanaskov and Oseledets 2024 (arXiv 2410.13866) for flat
directions and conjugates.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from attractor.energy.lagrangian import DEAD, Lagrangian
from attractor.energy.tempered import Tempered, rounding, total, within
from attractor.read.similarity import widened


class Collective(Lagrangian):
    """A Lagrangian of groups of entries; all of them keep activations bounded."""

    elementwise = False
    bounded = True

    @abstractmethod
    def axes(self, x: Tensor) -> tuple[int, ...]:
        """The dimensions of states `(b, *shape)` that make up one group.

        Raises:
            ValueError: a layer cannot have this shape.
        """

    @abstractmethod
    def flat(self, x: Tensor) -> list[Tensor]:
        """Fields of the shape of `x`, orthonormal in each group and zero where `dead`, along which activations stay as they are."""

    def dead(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x, dtype=torch.bool)

    def flat_basis(self, x: Tensor) -> Tensor:
        masks = group_masks(x, self.axes(x))
        return torch.cat([*(field[:, None] * masks for field in self.flat(x)), super().flat_basis(x)], dim=1)

    def check(self, shape: tuple[int, ...]) -> None:
        self.axes(torch.empty(1, *shape, device="meta"))


class Softmax(Tempered, Collective):
    """`L = log sum_i e^(beta x_i) / beta`, `g = softmax(beta x)`. A constant added to a group changes nothing.

    Entries whose activation is next to nothing count as dead, as those of a saturated sigmoid do.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.
        dim: the dimension of states `(b, *shape)` over which activations sum to one; `dim=1` are the channels of `(b, c, h, w)`.

    Raises:
        TypeError, ValueError: `beta` is not a positive finite number, `dim` is no integer or the batch; when used, `dim` is
            not a dimension of the states.

    Example:
        >>> Softmax(beta=4.0).activation(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, beta: float | Tensor = 1.0, *, dim: int = -1):
        super().__init__(beta)
        self.dim = check_dim(dim)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        return (axis_of(x, self.dim),)

    def value(self, x: Tensor) -> Tensor:
        return total((self.beta * widened(x)).logsumexp(self.axes(x), keepdim=True) / self.beta)

    def activation(self, x: Tensor) -> Tensor:
        return self._weights(x).to(x.dtype)

    def hvp(self, x: Tensor, z: Tensor) -> Tensor:
        p = self._weights(x)
        pz = p * z
        return (self.beta * (pz - p * pz.sum(self.axes(x), keepdim=True))).to(x.dtype)

    @property
    def curvature_bound(self) -> float:
        return self.number / 2

    def conjugate(self, g: Tensor) -> Tensor:
        slack = rounding(g.dtype)
        g = within(self, g, low=0.0, high=1.0)
        sums = g.sum(self.axes(g), keepdim=True)
        check_sums(self, sums, (sums - 1).abs() > slack, "sum to 1")
        return total(g.xlogy(g) / self.beta)

    def dead(self, x: Tensor) -> Tensor:
        # all dead ones of a group weigh next to nothing together; of two entries those are dead that a sigmoid calls so
        return self._weights(x) * x.shape[self.axes(x)[0]] < DEAD / 2

    def flat(self, x: Tensor) -> list[Tensor]:
        alive = (~self.dead(x)).to(x.dtype)
        return [alive * alive.sum(self.axes(x), keepdim=True).clamp(min=1).rsqrt()]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.dim == -1 else f", dim={self.dim}")

    def _weights(self, x: Tensor) -> Tensor:
        return (self.beta * widened(x)).softmax(self.axes(x)[0])


class Ghostmax(Softmax):
    """Soft-max with one more choice, nothing, of score 0: `L = log(1 + sum_i e^(beta x_i)) / beta`.

    Activations sum to less than one: all can be near zero. No direction is flat unless choices are dead, nothing included.

    Args:
        beta: inverse temperature, > 0; a number, tensor or parameter.
        dim: the dimension of states `(b, *shape)` over which choices compete.

    Raises:
        TypeError, ValueError: as `Softmax`.

    Example:
        >>> Ghostmax().activation(torch.zeros(1, 3))
        tensor([[0.2500, 0.2500, 0.2500]])
    """

    def value(self, x: Tensor) -> Tensor:
        return total(self._shares(x)[2] / self.beta)

    def conjugate(self, g: Tensor) -> Tensor:
        slack = rounding(g.dtype)
        g = within(self, g, low=0.0, high=1.0)
        sums = g.sum(self.axes(g), keepdim=True)
        check_sums(self, sums, sums > 1 + slack, "sum to 1 at most")
        nothing = (1 - sums).clamp(min=0)
        return total(g.xlogy(g) / self.beta) + total(nothing.xlogy(nothing) / self.beta)

    def flat(self, x: Tensor) -> list[Tensor]:
        _, nothing, _ = self._shares(x)
        return [field * (nothing * x.shape[self.axes(x)[0]] < DEAD / 2) for field in super().flat(x)]

    def _weights(self, x: Tensor) -> Tensor:
        return self._shares(x)[0]

    def _shares(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The weights of the choices and of nothing, and the logarithm of the sum that they were divided by."""
        axes = self.axes(x)
        x = widened(x)
        largest = x.detach().amax(axes, keepdim=True).clamp(min=0)
        choices, nothing = (self.beta * (x - largest)).exp(), (-self.beta * largest).exp()
        partition = choices.sum(axes, keepdim=True) + nothing
        return choices / partition, nothing / partition, self.beta * largest + partition.log()


def check_dim(dim: int) -> int:
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"dim must be an integer, got {type(dim).__name__}")
    if dim == 0:
        raise ValueError("dim must not be 0, the batch")
    return dim


def axis_of(x: Tensor, dim: int) -> int:
    """`dim` of states `(b, *shape)`, counted from the front."""
    axis = dim + x.ndim if dim < 0 else dim
    if not 1 <= axis < x.ndim:
        raise ValueError(f"dim {dim} must be a dimension of the layer, behind the batch; states have shape {tuple(x.shape)}")
    return axis


def group_masks(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """One mask `(groups, *shape)` for each group of entries."""
    counts = [1 if axis in axes else size for axis, size in enumerate(x.shape)][1:]
    groups = math.prod(counts)
    numbers = torch.arange(groups, device=x.device)
    return (numbers.view(counts) == numbers.view(-1, *[1] * len(counts))).expand(groups, *x.shape[1:])


def check_sums(lagrangian: Lagrangian, sums: Tensor, outside: Tensor, rule: str) -> None:
    """Refuse groups of activations that are `outside` of what states can give; `sums` is what the message shows."""
    if bool(outside.any()):
        worst = sums.detach()[outside].flatten()[0].item()
        raise ValueError(f"g must {rule} in each group to be activations of {lagrangian!r}, got {worst:g}")
