"""Random features of polynomial kernels, for the energy `-sum_mu (xi_mu . x + c)^n` of Krotov and Hopfield 2016.

* `PolynomialMap`: `psi = prod_(k=1..n) (s_k . x + sqrt(c) g_k)`, a product of `n` independent projections, whose mean product is
  `(x . y + c)^n` (the random Maclaurin features of Kar and Karnick 2012, with normal rows).
* `ArcCosine`: `psi = max(s . x, 0)^n`, whose kernel is the arc-cosine kernel `2 E[max(s.x, 0)^n max(s.y, 0)^n]` (Cho and Saul
  2009): it vanishes for opposite vectors and rises convexly with their agreement, as the rectified polynomial does, but is not
  equal to it.

Such a sum of kernels has a sign of its own or none, so that no logarithm is taken; and it grows without bound with the length of
`x`, so that states keep their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import acos, comb, factorial, pi, sqrt
from typing import Any

import torch
from torch import Tensor

from attractor.memory.random_features.feature_maps import FeatureMap, Slope
from attractor.validation import check_count


class PolynomialMap(FeatureMap):
    """Features of `(x . y + c)^n`; each takes `n` projections.

    Args:
        n: the power, >= 1.
        c: what is added to the product, >= 0.

    Raises:
        TypeError, ValueError: `n` is not a whole number of at least 1, or `c` is negative or not finite.

    Example:
        >>> PolynomialMap(3).kernel(0.5, 1.0, 1.0, beta=1.0)
        0.125
    """

    name = "polynomial"
    gaussian = False

    def __init__(self, n: int, c: float = 0.0):
        self.n = self.rows = check_count("n", n)
        if isinstance(c, bool) or not isinstance(c, (int, float)) or not 0 <= c < float("inf"):
            raise ValueError(f"c must be a finite number of at least 0, got {c!r}")
        self.c = float(c)

    def offsets(self, rows: int, generator: torch.Generator) -> Tensor | None:
        return sqrt(self.c) * torch.randn(rows, generator=generator) if self.c else None

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield h.unflatten(1, (-1, self.n)).prod(-1)

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        looks = h.unflatten(1, (-1, self.n))
        others = [looks[..., [k for k in range(self.n) if k != left_out]].prod(-1) for left_out in range(self.n)]
        along = torch.stack([product * weights[0] for product in others], -1).flatten(1)
        return Slope((others[0] * looks[..., 0]) @ weights[0], along)

    def kernel(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return (dot + self.c) ** self.n

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        second_moment = (xx + self.c) * (yy + self.c) + 2 * (dot + self.c) ** 2
        return second_moment**self.n - self.kernel(dot, xx, yy, beta) ** 2

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n, "c": self.c}


class ArcCosine(FeatureMap):
    """Features of the arc-cosine kernel of order `n`, a smooth relative of the rectified polynomial `max(x . y, 0)^n`.

    Args:
        n: the order, >= 1.

    Raises:
        TypeError, ValueError: `n` is not a whole number of at least 1.

    Example:
        >>> round(ArcCosine(1).kernel(1.0, 1.0, 1.0, beta=1.0), 6), round(ArcCosine(1).kernel(-1.0, 1.0, 1.0, beta=1.0), 6)
        (1.0, 0.0)
    """

    name = "arc-cosine"
    scale = 2.0
    gaussian = False

    def __init__(self, n: int = 2):
        self.n = check_count("n", n)

    def psi(self, h: Tensor, scratch: Tensor) -> Iterator[Tensor]:
        yield h.clamp_min_(0).pow_(self.n)

    def slope(self, h: Tensor, weights: Tensor) -> Slope:
        above = h.clamp_min(0)
        # the step of order 1 has no power left that vanishes below zero
        steep = (above.pow(self.n - 1) * (h > 0)).mul_(weights[0])
        return Slope((steep * above).sum(-1), steep.mul_(self.n))

    def kernel(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return arc_cosine(self.n, dot, xx, yy)

    def variance(self, dot: float, xx: float, yy: float, beta: float) -> float:
        return 2 * arc_cosine(2 * self.n, dot, xx, yy) - arc_cosine(self.n, dot, xx, yy) ** 2

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n}


def arc_cosine(n: int, dot: float, xx: float, yy: float) -> float:
    """`2 E[max(s.x, 0)^n max(s.y, 0)^n] = n! |x|^n |y|^n / pi` times the integral of `(cos u + cos t)^n` over `u` from 0 to
    `pi - t`, for the angle `t` between `x` and `y`."""
    if xx == 0 or yy == 0:
        return 0.0
    cosine = max(-1.0, min(1.0, dot / sqrt(xx * yy)))
    sine = sqrt(1 - cosine**2)
    # integrals of cos^k
    powers = [acos(-cosine), sine]
    for k in range(2, n + 1):
        powers.append((sine * (-cosine) ** (k - 1) + (k - 1) * powers[k - 2]) / k)
    whole = sum(comb(n, k) * cosine ** (n - k) * powers[k] for k in range(n + 1))
    return factorial(n) * (xx * yy) ** (n / 2) / pi * whole
