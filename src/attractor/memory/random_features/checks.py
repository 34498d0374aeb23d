"""Checks of what users hand to a memory of random features."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor

from attractor.errors import AttractorWarning
from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.features import VECTORS_AT_ONCE
from attractor.memory.random_features.landscape import Geometry
from attractor.validation import check_count, check_matrix, check_positive

MOST_EXPONENT = 20.0
# from here on the variance rests on features so rare that a few thousand of them hardly contain one
HEAVY_TAILS = 2.0


def check_step(alpha: float) -> float:
    if check_positive("alpha", alpha) > 1:
        raise ValueError(f"alpha must be at most 1, got {alpha!r}")
    return float(alpha)


def check_seed(seed: int) -> int:
    if check_count("seed", seed, 0) >= 2**63:
        raise ValueError(f"seed must be below 2**63, got {seed}")
    return seed


def check_reach(name: str, vectors: Tensor, geometry: Geometry) -> None:
    """Positive features of long vectors estimate nothing: say so."""
    features = geometry.features
    if not features.feature_map.damping:
        return
    longest = longest_exponent(vectors, geometry)
    if longest > MOST_EXPONENT:
        raise ValueError(
            f"{name} must be shorter for the positive features of {features.feature_map!r}: beta |x|^2 reaches {longest:.3g} "
            f"(at most {MOST_EXPONENT:g}), where the variance of an estimate is about exp({4 * longest:.3g}) / {features.count}; "
            "take feature_map='sincos', scale the patterns, or lower beta"
        )


def warn_of_heavy_tails(name: str, vectors: Tensor, geometry: Geometry) -> None:
    """Long before positive features fail they look better than they are: the scatter between them is too small."""
    if geometry.features.feature_map.damping and (longest := longest_exponent(vectors, geometry)) > HEAVY_TAILS:
        warnings.warn(
            f"{name} are long for the positive features of {geometry.features.feature_map!r}: beta |x|^2 reaches {longest:.3g}; "
            f"above {HEAVY_TAILS:g} energies are off by more than their standard error tells; take feature_map='sincos'",
            AttractorWarning,
            stacklevel=4,
        )


def longest_exponent(vectors: Tensor, geometry: Geometry) -> float:
    """The largest `beta |x|^2`."""
    return max(float(geometry.scaled(some).square().sum(-1).max()) for some in vectors.split(VECTORS_AT_ONCE))


def chosen(name: str, value: Any, allowed: tuple[Any, ...], feature_map: FeatureMap) -> Any:
    """`value` where it is allowed for this map; the first of `allowed` for None."""
    if value is None:
        return allowed[0]
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))} for {feature_map!r}, got {value!r}")
    return value


def checked_center(center: Tensor, dim: int) -> Tensor:
    check_matrix("center", center[None] if center.dim() == 1 else center, dim)
    if center.dim() != 1:
        raise ValueError(f"center must have shape ({dim},), got {tuple(center.shape)}")
    return center.detach().double().clone()
