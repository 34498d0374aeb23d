"""What a set of features, any embedding table, is worth as a code: separation, bounds, confusable pairs, a temperature.

Retrieval from the ball of radius `r` around a memory, for unit features and `r < Delta / 2`: where
`Delta >= log(2 (M - 1) / r) / beta + 2 r`, a step of the soft-max in feature space stays in the ball, for the others weigh together
at most `(M - 1) exp(-beta (Delta - 2 r)) <= r / 2` there, and each lies at most 2 away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.memory.kernel.codes import optimal_separation, separation_lower_bound, separation_upper_bound
from attractor.read.kernel import unit
from attractor.validation import check_count, check_matrix, check_positive, shorten

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class CodeReport:
    """A code of `count` unit vectors in `dim` dimensions.

    Attributes:
        separation: `1 - max cos`, the smallest over all pairs; zero for duplicates.
        angle: the minimal angle, in degrees.
        radius: half the smallest distance between two of them.
        bounds: what the best code of this size reaches, from below and from above.
        optimum: exactly that, where it is known.
        confusable: the closest pairs of rows and their cosines, closest first.
        beta: an inverse temperature at which each is retrieved from some ball around it; None with duplicates.
    """

    count: int
    dim: int
    separation: float
    angle: float
    radius: float
    bounds: tuple[float, float]
    optimum: float | None
    confusable: tuple[tuple[int, int, float], ...]
    beta: float | None

    def __repr__(self) -> str:
        best = f"at most {self.bounds[1]:.4g}" if self.optimum is None else f"optimum {self.optimum:.4g}"
        beta = "none" if self.beta is None else f"{self.beta:.4g}"
        place = f"{self.count} points in {self.dim} dimensions"
        return f"CodeReport({place}, separation {self.separation:.4g} ({best}), {self.angle:.4g} degrees, beta {beta})"


@torch.no_grad()
def code_report(features: Tensor, *, pairs: int = 5) -> CodeReport:
    """How good a code `features (n, D)` are, once normalised.

    Args:
        features: any embedding table; only directions count.
        pairs: how many of the closest pairs to name.

    Raises:
        TypeError, ValueError: wrong shape or type, NaN, fewer than two rows, or a row of length zero.

    Example:
        >>> code_report(torch.eye(3)).separation
        1.0
    """
    check_matrix("features", features)
    check_count("pairs", pairs)
    count, dim = features.shape
    if count < 2:
        raise ValueError(f"features must have at least 2 rows, got {count}")
    check_lengths("features", features)
    points = unit(features)
    closest = closest_pairs(points, pairs)
    separation = gap(closest[0][2], points)
    low, high = separation_lower_bound(count, dim), separation_upper_bound(count, dim)
    return CodeReport(
        count,
        dim,
        separation,
        math.degrees(math.acos(max(-1.0, 1 - separation))),
        math.sqrt(separation / 2),
        (low, high),
        optimal_separation(count, dim),
        closest,
        suggested_beta(separation, count) if separation > 0 else None,
    )


def needed_separation(beta: float, count: int, radius: float) -> float:
    """The separation at which the soft-max at `beta` keeps the ball of `radius` around each of `count` unit features.

    `log(2 (M - 1) / r) / beta + 2 r`, sufficient for `radius` below half the separation.

    Raises:
        ValueError: `beta` or `radius` is not positive, or `count` is below 2.

    Example:
        >>> round(needed_separation(20.0, 10, 0.1), 4)
        0.4596
    """
    check_positive("beta", beta)
    check_positive("radius", radius)
    return math.log(2 * (check_count("count", count, 2) - 1) / radius) / beta + 2 * radius


def suggested_beta(separation: float, count: int) -> float:
    """The smallest inverse temperature, over the radii of the ball, that the retrieval condition allows."""
    radii = [separation / 2 * step / 64 for step in range(1, 64)]
    return min(math.log(2 * (count - 1) / radius) / (separation - 2 * radius) for radius in radii)


def gap(cosine: float, points: Tensor) -> float:
    """One minus the cosine of two of `points`, zero where that is rounding."""
    return 1 - cosine if 1 - cosine > 8 * torch.finfo(points.dtype).eps else 0.0


def closest_pairs(points: Tensor, count: int) -> tuple[tuple[int, int, float], ...]:
    """The pairs of rows with the largest cosines."""
    found: list[tuple[float, int, int]] = []
    places = torch.arange(len(points), device=points.device)
    for rows, own in zip(points.split(ROWS_AT_ONCE), places.split(ROWS_AT_ONCE), strict=True):
        cosines = (rows @ points.T).masked_fill(places <= own[:, None], -math.inf).flatten()
        best = cosines.topk(min(count, len(cosines)))
        for cosine, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if cosine > -math.inf:
                found.append((cosine, int(own[0]) + place // len(points), place % len(points)))
    found.sort(key=lambda pair: (-pair[0], pair[1:]))
    return tuple((left, right, cosine) for cosine, left, right in found[:count])


def check_lengths(name: str, features: Tensor) -> None:
    """Features must have a length before they can be normalised."""
    zero = (features == 0).all(-1).nonzero().flatten().tolist()
    if zero:
        raise ValueError(f"{name} must have a length, the features of these rows are zero: {shorten(zero)}")
