"""Feature maps by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attractor.memory.random_features.feature_maps import Cos, Exp, ExpExp, FeatureMap, SinCos
from attractor.memory.random_features.polynomial import ArcCosine, PolynomialMap

FEATURE_MAPS: dict[str, type[FeatureMap]] = {kind.name: kind for kind in (SinCos, Cos, Exp, ExpExp, PolynomialMap, ArcCosine)}


def feature_map_from(settings: Mapping[str, Any]) -> FeatureMap:
    """The feature map with these settings, as `FeatureMap.settings` gives them.

    Raises:
        ValueError: there is none of that name, the message lists the names; or settings are missing or unknown.
    """
    words = dict(settings)
    name = words.pop("name", None)
    if not isinstance(name, str) or name not in FEATURE_MAPS:
        raise ValueError(f"feature_map must be one of {sorted(FEATURE_MAPS)}, got {name!r}")
    try:
        return FEATURE_MAPS[name](**words)
    except TypeError as error:
        raise ValueError(
            f"feature_map {name!r} takes other settings: {error}; give the object, such as PolynomialMap(3)"
        ) from error
