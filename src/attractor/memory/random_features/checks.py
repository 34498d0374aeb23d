"""Checks of what users hand to a memory of random features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.landscape import Geometry
from attractor.validation import check_matrix, check_positive

MOST_EXPONENT = 20.0


def check_step(alpha: float) -> float:
    if check_positive("alpha", alpha) > 1:
        raise ValueError(f"alpha must be at most 1, got {alpha!r}")
    return float(alpha)


def check_reach(name: str, vectors: Tensor, geometry: Geometry) -> None:
    """Positive features of long vectors estimate nothing: say so."""
    features = geometry.features
    if not features.feature_map.damping:
        return
    longest = float(geometry.scaled(vectors).square().sum(-1, dtype=torch.float64).max())
    if longest > MOST_EXPONENT:
        raise ValueError(
            f"{name} must be shorter for the positive features of {features.feature_map!r}: beta |x|^2 reaches {longest:.3g} "
            f"(at most {MOST_EXPONENT:g}), where the variance of an estimate is about exp({4 * longest:.3g}) / {features.count}; "
            "take feature_map='sincos', scale the patterns, or lower beta"
        )


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
    return center.detach().double()
