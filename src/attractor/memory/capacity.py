"""How many random patterns a dense memory can be expected to recall, by the theory of its separation."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from torch import Tensor

from attractor.errors import CapacityWarning
from attractor.memory.states import Binary, State
from attractor.read import Polynomial, Separation


@dataclass(frozen=True)
class CapacityEstimate:
    """`patterns` that can be recalled, the `law` in words, and its `source`; random patterns are assumed."""

    patterns: float
    law: str
    source: str


def capacity_of(separation: Separation, state: State, dim: int, *, beta: float = 1.0, length: float = 1.0) -> CapacityEstimate:
    """The theory for random patterns of width `dim` and norm `length sqrt(d - 1)`, read at the inverse temperature `beta`.

    Example:
        >>> from attractor.read import Polynomial
        >>> round(capacity_of(Polynomial(2), Binary(), 1000).patterns)
        138
    """
    if isinstance(separation, Polynomial):
        n = separation.n
        if n == 2:
            return CapacityEstimate(0.138 * dim, "0.138 d, a few wrong bits allowed", "Amit, Gutfreund and Sompolinsky 1985")
        odd_product = math.prod(range(2 * n - 3, 1, -2))
        patterns = dim ** (n - 1) / (2 * odd_product * math.log(dim)) if dim > 1 else 1.0
        return CapacityEstimate(patterns, f"d^{n - 1} / (2 (2n - 3)!! ln d), no wrong bit", "Krotov and Hopfield 2016")
    if isinstance(state, Binary):
        return CapacityEstimate(2.0 ** min(dim / 2, 1000), "2^(d/2)", "Demircigil et al. 2017")
    return spherical_capacity(dim, beta, length)


def spherical_capacity(dim: int, beta: float, length: float, failure: float = 0.001) -> CapacityEstimate:
    """Patterns on a sphere of radius `length sqrt(d - 1)`, retrieved except with the chance `failure`."""
    source = "Ramsauer et al. 2021, theorem 3"
    if dim < 3:
        return CapacityEstimate(float(dim), "two opposite points a dimension", source)
    a = 2 / (dim - 1) * (1 + math.log(2 * beta * length**2 * failure * (dim - 1)))
    b = 2 * length**2 * beta / 5
    c = b / lambert_w(b * math.exp(a))
    exponent = (dim - 1) / 4 * math.log(c) + math.log(failure) / 2
    return CapacityEstimate(math.exp(min(exponent, 700.0)), f"sqrt({failure:g}) {c:.3g}^((d - 1) / 4)", source)


def lambert_w(value: float) -> float:
    """The `w` with `w exp(w) = value`, for `value > 0`, by Newton's method."""
    w = math.log1p(value)
    for _ in range(50):
        w -= (w * math.exp(w) - value) / (math.exp(w) * (1 + w))
    return w


def warn_over_capacity(count: int, estimate: CapacityEstimate, stacklevel: int) -> None:
    """Say aloud that `count` patterns are too many."""
    if count > max(estimate.patterns, 1.0):
        warnings.warn(
            f"{count} patterns are stored, about {estimate.patterns:.0f} random ones can be recalled "
            f"({estimate.law}; {estimate.source})",
            CapacityWarning,
            stacklevel=stacklevel + 1,
        )


def warn_of_blending(lead: Tensor, beta: float, count: int, stacklevel: int) -> None:
    """Say aloud that recalls came to rest between patterns.

    `lead (b,)` is the best score minus the potential at rest: where weights sum to one, the winner weighs `exp(beta lead)`.
    """
    blended = float((lead * beta < math.log(0.5)).float().mean())
    if blended > 0.5:
        warnings.warn(
            f"{blended:.0%} of the cues came to rest between patterns, not at one: at beta={beta:.4g} the {count} stored patterns "
            "blend. Raise beta, or leave it 'auto'",
            CapacityWarning,
            stacklevel=stacklevel + 1,
        )
