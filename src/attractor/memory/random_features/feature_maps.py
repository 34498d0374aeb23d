"""Feature maps: `phi` with `E[phi(x) . phi(y)] = kernel(x, y)`, so that a sum of kernels is one product with a sum of features.

With `h = sqrt(beta) S x`, the Gaussian kernel `exp(-beta/2 |x - y|^2)` has four (Hoover et al. 2024, table 1):

* `SinCos`: `[cos h, sin h]`, bounded, the least variance (Rahimi and Recht 2007);
* `Cos`: `sqrt(2) cos(h + b)` with random phases `b`, half the size, twice the variance;
* `Exp`: `exp(h - beta |x|^2)`, positive (Choromanski et al. 2021);
* `ExpExp`: `[exp(h), exp(-h)] exp(-beta |x|^2) / sqrt(2)`, positive.

The variance of the positive ones grows as `exp(4 beta x.y)`: they serve where `beta |x|^2` is about 1 or less.

A map is written `phi = sqrt(scale / Y) exp(-beta damping |x|^2) psi(h)`, so that only `psi`, a function of each entry of `h`,
differs. `damping` is 1 for the positive maps, 0 for all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import exp, sqrt, tau
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor


class Slope(NamedTuple):
    """`value (b,)`, the product of `psi(h)` with weights, and its derivative `along (b, rows)` by `h`."""

    value: Tensor
    along: Tensor


class FeatureMap(ABC):
    """`psi`, its derivative, and what is known of the kernel that it estimates.

    Attributes:
        name: of the map.
        parts: entries of `psi` for each feature.
        rows: projections for each feature.
        scale: factor of the estimate.
        damping: power of `exp(-beta |x|^2)` in `phi`.
        floor: the least estimate of a sum of kernels of which a logarithm is taken; 0 for positive features. It is far below the
            noise, about `sqrt(K / 2Y)` for `K` patterns: see `ErrorEstimate`.
        gaussian: whether the kernel is `exp(-beta/2 |x - y|^2)`, of which a logarithm may be taken.
        pairs: whether `psi` of two vectors together takes less than twice `psi` of one: see `psi_of_pairs`.
    """

    name: ClassVar[str]
    parts: ClassVar[int] = 1
    rows: int = 1
    scale: ClassVar[float] = 1.0
    damping: ClassVar[int] = 0
    floor: ClassVar[float] = 1e-5
    gaussian: ClassVar[bool] = True
    pairs: ClassVar[bool] = False

    def offsets(self, rows: int, generator: torch.Generator) -> Tensor | None:
        """Random numbers `(rows,)` to add to `h`; None for none."""
        return None

    @abstractmethod
    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        """The parts `(b, features)` of `psi`, one after the other; `h (b, rows)` and `scratch`, of its shape, are overwritten."""

    def psi_of_pairs(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        """The parts `(b, features)` of `(psi(x) + psi(y)) / 2`, from `h (2b, rows)` of `b` halved sums `(x + y) / 2`, then as many
        halved differences `(x - y) / 2`; `h` and `scratch` are overwritten."""
        raise NotImplementedError(f"{self!r} takes vectors one by one")

    @abstractmethod
    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        """`sum psi(h) weights` with its derivative, for `weights (parts, features)`."""

    @abstractmethod
    def kernel(self, dot: float, xx: float, yy: float, beta: float) -> float:
        """The kernel of two vectors with the products `x.y`, `x.x` and `y.y`."""

    @abstractmethod
    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        """The variance of the estimate by one feature; that of `Y` independent ones is `1/Y` of it."""

    def largest_variance(self, xx: float, yy: float, beta: float) -> float:
        """The variance for the worst direction between vectors of these squared lengths."""
        return self.variance(sqrt(xx * yy), xx, yy, beta)

    def settings(self) -> dict[str, Any]:
        """What rebuilds this map, as plain data."""
        return {"name": self.name}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureMap) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(tuple(self.settings().values()))

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items() if key != "name")
        return f"{type(self).__name__}({inside})"


class GaussianMap(FeatureMap):
    """A map of the Gaussian kernel."""

    def kernel(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return exp(-beta / 2 * (xx + yy - 2 * dot))


class SinCos(GaussianMap):
    """`[cos h, sin h]`, the default.

    Example:
        >>> SinCos().variance(0.5, 1.0, 1.0, beta=2.0) == (1 - SinCos().kernel(0.5, 1.0, 1.0, beta=2.0) ** 2) ** 2 / 2
        True
    """

    name = "sincos"
    parts = 2
    pairs = True

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield torch.cos(h, out=scratch)
        yield h.sin_()

    def psi_of_pairs(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        # exp(ia) + exp(ib) = 2 cos((a - b) / 2) exp(i (a + b) / 2): three of these functions in place of four
        middle, apart = h.chunk(2)
        shared = apart.cos_()
        yield torch.cos(middle, out=scratch[: len(middle)]).mul_(shared)
        yield middle.sin_().mul_(shared)

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        cos, sin = h.cos(), h.sin_()
        value = cos @ weights[0] + sin @ weights[1]
        return Slope(value, cos.mul_(weights[1]).sub_(sin.mul_(weights[0])))

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return (1 - self.kernel(dot, xx, yy, beta) ** 2) ** 2 / 2

    def largest_variance(self, xx: float, yy: float, beta: float) -> float:
        return 0.5


class Cos(GaussianMap):
    """`sqrt(2) cos(h + b)` with phases `b` uniform in a turn: half the numbers of `SinCos`, twice its variance or more."""

    name = "cos"
    scale = 2.0

    def offsets(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.rand(rows, generator=generator) * tau

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield h.cos_()

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        return Slope(h.cos() @ weights[0], h.sin_().mul_(-weights[0]))

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        square = self.kernel(dot, xx, yy, beta) ** 2
        return 1 - square + square**2 / 2

    def largest_variance(self, xx: float, yy: float, beta: float) -> float:
        return 1.0


class Exp(GaussianMap):
    """`exp(h - beta |x|^2)`: estimates are never negative."""

    name = "exp"
    damping = 1
    floor = 0.0

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield h.exp_()

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        grown = h.exp_()
        return Slope(grown @ weights[0], grown * weights[0])

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return exp(4 * beta * dot) - self.kernel(dot, xx, yy, beta) ** 2


class ExpExp(GaussianMap):
    """`[exp(h), exp(-h)] exp(-beta |x|^2) / sqrt(2)`: even in `h`, less variance than `Exp`, twice the numbers."""

    name = "expexp"
    parts = 2
    scale = 0.5
    damping = 1
    floor = 0.0

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield torch.exp(h, out=scratch)
        yield h.neg_().exp_()

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        grown, fallen = h.exp() * weights[0], (-h).exp() * weights[1]
        return Slope((grown + fallen).sum(-1), grown - fallen)

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return (exp(4 * beta * dot) + exp(-2 * beta * (xx + yy))) / 2 - self.kernel(dot, xx, yy, beta) ** 2
