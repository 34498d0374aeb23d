"""How near a location must be to be active: the Hamming distance within which random addresses lie with a given chance.

Between random bit vectors of width n the distance is binomial, `B(n, 1/2)`. All sums are of whole numbers, so there is no rounding.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb

import torch
from torch import Tensor

from attractor.validation import check_count, check_positive


@lru_cache(maxsize=4096)
def radius_for(dim: int, activation: float) -> int:
    """The smallest r with `P[B(dim, 1/2) <= r] >= activation`.

    Raises:
        TypeError, ValueError: `dim` below 1, or `activation` not in (0, 1].

    Example:
        >>> radius_for(1000, 0.000368)
        447
    """
    check_count("dim", dim)
    if check_positive("activation", activation) > 1:
        raise ValueError(f"activation must be at most 1, got {activation!r}")
    wanted, total, ways = Fraction(float(activation)) * 2**dim, 0, 1
    for distance in range(dim + 1):
        total += ways
        if total >= wanted:
            return distance
        ways = ways * (dim - distance) // (distance + 1)
    return dim


def radii_for(cues: Tensor, known: Tensor | None, activation: float) -> Tensor:
    """The radius for each of `cues (b, dim)`, `(b, 1)`: it shrinks with what is `known`, so that as many locations are active."""
    if known is None:
        return torch.full((1, 1), radius_for(cues.shape[1], activation), device=cues.device)
    widths, place = known.sum(-1).unique(return_inverse=True)
    radii = [radius_for(width, activation) for width in widths.tolist()]
    return torch.tensor(radii, device=cues.device)[place][:, None]


def reached_share(dim: int, radius: int) -> float:
    """`P[B(dim, 1/2) <= radius]`: the share of random locations that a cue activates.

    Example:
        >>> round(reached_share(1000, 451), 5)
        0.00107
    """
    return float(Fraction(sum(comb(dim, distance) for distance in range(radius + 1)), 2**dim))
