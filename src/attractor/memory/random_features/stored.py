"""What a memory of random features keeps of its patterns: as many numbers however many patterns there are.

Patterns `xi_mu` whose features have the weights `w_mu` are kept as `T = sum_mu w_mu psi(xi_mu)`: the sums over two sets of patterns
add up, and a part can be taken away. Weights grow as `exp(beta/2 |xi|^2)`: `T` is kept divided by `exp(log_scale)`, which is of the
order of the largest weight, so that nothing overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from attractor.memory.random_features.features import VECTORS_AT_ONCE
from attractor.memory.random_features.landscape import Geometry

# what is left after forgetting is lost below so many times the rounding of what went, and is more than rounding above this share
LEAST_LEFT = 100
MOST_ROUNDING = 0.01
# patterns in double precision that stay in the cache between one pass and the next
DOUBLES_AT_ONCE = 2**9


@dataclass(frozen=True, eq=False)
class Stored:
    """Sums over patterns, all float64 but `count`.

    Attributes:
        sums: `(parts, Y)`, the features of the patterns times their weights, divided by `exp(log_scale)`.
        log_scale: `()`.
        weight: `()`, the sum of the weights of the kernels, divided by `exp(log_scale)`.
        longest: `()`, no squared length of a pattern from the center is larger. Taking patterns out does not lower it, as long as
            others are left: sums cannot tell which.
        moments: `(2, dim)`, the sums of the entries and of their squares.
        count: `()`, int64, how many patterns.

    Example:
        >>> nothing = Stored.nothing(parts=2, features=100, dim=4)
        >>> nothing.empty, nothing.sums.shape
        (True, torch.Size([2, 100]))
    """

    sums: Tensor
    log_scale: Tensor
    weight: Tensor
    longest: Tensor
    moments: Tensor
    count: Tensor

    @classmethod
    def nothing(cls, parts: int, features: int, dim: int, device: torch.device | None = None) -> Self:
        """The sums over no patterns."""
        sums = torch.zeros(parts, features, dtype=torch.float64, device=device)
        log_scale, weight, longest = (sums.new_zeros(()) for _ in range(3))
        return cls(sums, log_scale, weight, longest, sums.new_zeros(2, dim), sums.new_zeros((), dtype=torch.int64))

    @classmethod
    def of(cls, patterns: Tensor, geometry: Geometry, log_scale: Tensor) -> Self:
        """The sums over `patterns (n, dim)`.

        Raises:
            ValueError: features are too large for their precision.
        """
        features = geometry.features
        nothing = cls.nothing(features.feature_map.parts, features.count, features.dim, patterns.device)
        sums, weight, moments, longest = nothing.sums, nothing.weight, nothing.moments, nothing.longest
        for some in patterns.split(VECTORS_AT_ONCE):
            sums += features.sums(geometry.scaled(some), (geometry.log_weights(some) - log_scale).exp().to(some.dtype))
            weight += geometry.kernel_weights(some, log_scale).sum()
            for few in some.split(DOUBLES_AT_ONCE):
                wide = few.double()
                longest = longest.maximum((wide - geometry.center).square_().sum(-1).max())
                moments += torch.stack([wide.sum(0), wide.square().sum(0)])
        if not bool(sums.isfinite().all()):
            raise ValueError("patterns must be small enough for finite features: scale them, or lower beta")
        return cls(sums, log_scale, weight, longest, moments, nothing.count + len(patterns))

    @property
    def empty(self) -> bool:
        return int(self.count) == 0

    def copy_to(self, device: torch.device) -> Self:
        """The same at another place, sharing no memory."""
        return type(self)(*(one.to(device, copy=True) for one in vars(self).values()))

    def at(self, log_scale: Tensor) -> Self:
        """The same sums divided by `exp(log_scale)`."""
        factor = (self.log_scale - log_scale).exp()
        return replace(self, sums=self.sums * factor, weight=self.weight * factor, log_scale=log_scale)

    def plus(self, other: Self) -> Self:
        """The sums over the patterns of both."""
        # the scale of nothing says nothing
        if self.empty or other.empty:
            return other if self.empty else self
        log_scale = self.log_scale.maximum(other.log_scale)
        mine, theirs = self.at(log_scale), other.at(log_scale)
        return type(self)(
            mine.sums + theirs.sums,
            log_scale,
            mine.weight + theirs.weight,
            self.longest.maximum(other.longest),
            self.moments + other.moments,
            self.count + other.count,
        )

    def minus(self, other: Self, rounding: float) -> Self:
        """The sums over the patterns of this one that are not in `other`.

        Args:
            other: sums over some of the patterns of this one.
            rounding: of the weight of `other`, on the scale of this one.

        Raises:
            ValueError: `other` has as many patterns as this one but not the same, or outweighs the rest by so much that those would
                be lost in the rounding.
        """
        gone = other.at(self.log_scale)
        sums, weight = self.sums - gone.sums, self.weight - gone.weight
        if int(other.count) == int(self.count):
            if float(sums.norm()) > MOST_ROUNDING * float(self.sums.norm()):
                raise ValueError(f"patterns must be stored ones, got {int(other.count)} that are not all those stored")
            return type(self)(*(torch.zeros_like(one) for one in vars(self).values()))
        if float(weight) < LEAST_LEFT * rounding:
            raise ValueError(
                "patterns must not outweigh the others by so much that those are lost in their rounding: "
                f"{float(weight / gone.weight):.2g} of their weight would be left; store the others in a new memory"
            )
        # the floor below which states are clipped follows the weights that are left
        shrunk = weight.clamp_max(1)
        return type(self)(
            sums / shrunk,
            self.log_scale + shrunk.log(),
            weight / shrunk,
            self.longest,
            self.moments - other.moments,
            self.count - other.count,
        )

    def mean(self) -> Tensor:
        """The mean pattern `(dim,)`."""
        return self.moments[0] / self.count

    def mean_square(self, center: Tensor) -> Tensor:
        """The mean of each squared entry from `center (dim,)`, `(dim,)`."""
        mean, square = self.moments / self.count
        return (square - 2 * center * mean + center.square()).clamp_min(0)
