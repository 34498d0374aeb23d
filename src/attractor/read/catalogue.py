"""Separations and similarities by name, and from plain data."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attractor.read.kernel import Kernel
from attractor.read.polynomial import Identity, Polynomial, RectifiedPolynomial
from attractor.read.separation import Exponential, Separation, SoftMax
from attractor.read.similarity import SIMILARITIES, Similarity
from attractor.read.sparse import Entmax, Sparsemax, TopK

SEPARATIONS: dict[str, type[Separation]] = {
    kind.name: kind for kind in (SoftMax, Exponential, Polynomial, RectifiedPolynomial, Identity, Sparsemax, Entmax, TopK)
}


def separation_from(settings: str | dict[str, Any]) -> Separation:
    """Rebuild a separation from its name or its `settings()`.

    Raises:
        ValueError: the name is not known, or settings came that it does not take.

    Example:
        >>> separation_from({"name": "softmax", "beta": 4.0})
        SoftMax(beta=4.0)
    """
    settings = {"name": settings} if isinstance(settings, str) else settings
    name = settings.get("name") if isinstance(settings, dict) else settings
    if not isinstance(name, str) or name not in SEPARATIONS:
        raise ValueError(f"separation must be one of {sorted(SEPARATIONS)}, got {name!r}")
    arguments = {key: value for key, value in settings.items() if key != "name"}
    try:
        return SEPARATIONS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"separation {name!r} does not take these settings: {sorted(arguments)}") from error


def similarity_from(settings: dict[str, Any], tensors: dict[str, Tensor] | None = None) -> Similarity:
    """Rebuild a similarity from its `settings()` and `tensors()`; a kernel without tensors gets a new feature map.

    Raises:
        ValueError: the name is not known, settings came that it does not take, or tensors that do not fit.

    Example:
        >>> similarity_from({"name": "dot"})
        Dot()
    """
    name = settings.get("name") if isinstance(settings, dict) else None
    if name == Kernel.name:
        return Kernel.from_plain(settings, tensors)
    if not isinstance(name, str) or name not in SIMILARITIES:
        raise ValueError(f"similarity must be one of {sorted({*SIMILARITIES, Kernel.name})}, got {name!r}")
    if extra := sorted(set(settings) - {"name"}):
        raise ValueError(f"similarity {name!r} takes no settings, got {extra}")
    return SIMILARITIES[name]()
