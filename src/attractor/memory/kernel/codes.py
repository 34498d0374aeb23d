"""Spherical codes: how far apart `M` unit vectors in `D` dimensions can stand.

Unit features of stored memories are a spherical code. Its separation `Delta = 1 - max cos` decides how many memories a kernel can
keep apart; the best codes bound it from above (Hu et al. 2024). Bounds: Rankin 1955 (simplex and orthoplex); areas of caps: caps of
half the angle do not overlap, caps of the whole angle cover the sphere.
"""

from __future__ import annotations

import math

import torch

from attractor.validation import check_count

ANGLES = {
    4: 109.4712, 5: 90.0, 6: 90.0, 7: 77.8695, 8: 74.8585, 9: 70.5288, 10: 66.1468, 12: 63.4349,
    16: 52.2444, 20: 47.4310, 24: 43.6908, 32: 37.4752,
}  # fmt: skip
"""Largest known minimal angles, in degrees, of so many points on the sphere in three dimensions; proved up to 14 and for 24."""

KISSING = {
    1: (2, 2), 2: (6, 6), 3: (12, 12), 4: (24, 24), 5: (40, 44), 6: (72, 77), 7: (126, 134), 8: (240, 240), 24: (196560, 196560),
}  # fmt: skip
"""Best known bounds of the kissing number by dimension; equal where it is known."""

SLICES = 4000


def optimal_separation(count: int, dim: int) -> float | None:
    """The largest `1 - max cos` of `count` points on the sphere in `dim` dimensions; None where it is not in the tables.

    In three dimensions with more than six points it is that of the best code known.

    Raises:
        ValueError: `count` is below 2, or `dim` below 1.

    Example:
        >>> optimal_separation(5, 4), optimal_separation(8, 4), round(optimal_separation(12, 3), 4)
        (1.25, 1.0, 0.5528)
    """
    check_count("count", count, 2)
    check_count("dim", dim)
    if count <= dim + 1:
        return 1 + 1 / (count - 1)
    if dim == 1:
        return 0.0
    if dim == 2:
        return 1 - math.cos(2 * math.pi / count)
    if count <= 2 * dim:
        return 1.0
    return 1 - math.cos(math.radians(ANGLES[count])) if dim == 3 and count in ANGLES else None


def separation_upper_bound(count: int, dim: int) -> float:
    """No code of `count` points in `dim` dimensions has a larger `1 - max cos`.

    The least of Rankin's bounds and `2 [2 sqrt(pi) Gamma((D + 1) / 2) / (M Gamma(D / 2))]^(2 / (D - 1))`, from caps that do not
    overlap. (The exponent `1 / (D - 1)`, found in the literature, gives a valid but looser bound.)

    Example:
        >>> separation_upper_bound(12, 3) >= optimal_separation(12, 3)
        True
    """
    check_count("count", count, 2)
    check_count("dim", dim)
    if count <= dim + 1:
        return 1 + 1 / (count - 1)
    if dim == 1:
        return 0.0
    caps = 2 * math.exp(2 / (dim - 1) * (math.log(2 * math.sqrt(math.pi) / count) + gamma_ratio(dim + 1, dim)))
    return min(1.0, caps)


def separation_lower_bound(count: int, dim: int) -> float:
    """Some code of `count` points in `dim` dimensions has at least this `1 - max cos`.

    `1/2 [sqrt(pi) Gamma((D + 1) / 2) / (M Gamma(D / 2 + 1))]^(2 / (D - 1))`, from caps that cover the sphere.

    Example:
        >>> separation_lower_bound(12, 3) <= optimal_separation(12, 3)
        True
    """
    check_count("count", count, 2)
    check_count("dim", dim)
    if dim == 1:
        return 2.0 if count == 2 else 0.0
    return 0.5 * math.exp(2 / (dim - 1) * (math.log(math.sqrt(math.pi) / count) + gamma_ratio(dim + 1, dim + 2)))


def code_size_bounds(separation: float, dim: int) -> tuple[float, float]:
    """Bounds of how many points in `dim` dimensions can keep `1 - cos >= separation`: both grow exponentially with `dim`.

    Raises:
        ValueError: `separation` is not between 0 and 2, or `dim` is below 2.

    Example:
        >>> low, high = code_size_bounds(0.5, 3)
        >>> low < 12 < high
        True
    """
    check_count("dim", dim, 2)
    if not 0 < separation <= 2:
        raise ValueError(f"separation must lie above 0 and be at most 2, got {separation!r}")
    angle = math.acos(1 - separation)
    return max(2.0, 1 / cap_share(angle, dim)), 1 / cap_share(angle / 2, dim)


def kissing_bounds(dim: int) -> tuple[float, float]:
    """Bounds of how many points in `dim` dimensions can stand 60 degrees apart, the separation 1/2.

    Example:
        >>> kissing_bounds(3)
        (12, 12)
    """
    check_count("dim", dim)
    return KISSING[dim] if dim in KISSING else code_size_bounds(0.5, dim)


def cap_share(angle: float, dim: int) -> float:
    """The share of the sphere in `dim` dimensions that lies within `angle` of a point."""
    sines = torch.linspace(0, angle, SLICES + 1, dtype=torch.float64).sin() ** (dim - 2)
    area = float(torch.trapezoid(sines, dx=angle / SLICES))
    return area * math.exp(gamma_ratio(dim, dim - 1)) / math.sqrt(math.pi)


def gamma_ratio(over: int, under: int) -> float:
    """`log(Gamma(over / 2) / Gamma(under / 2))`."""
    return math.lgamma(over / 2) - math.lgamma(under / 2)
