"""Settings of the block: named choices, and the first weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from attractor.read import SoftMax

INITS = ("paper", "scaled")
ACTIVATIONS = ("relu", "softmax")


def separation_of(activation: str | SoftMax) -> SoftMax | None:
    """The soft-max, or None for relu."""
    if isinstance(activation, str):
        return SoftMax(beta=1.0) if check_name("activation", activation, ACTIVATIONS) == "softmax" else None
    if not isinstance(activation, SoftMax):
        raise TypeError(f"activation must be one of {list(ACTIVATIONS)} or a SoftMax, got {type(activation).__name__}")
    return activation


def normal(shape: tuple[int, ...], deviation: float, generator: torch.Generator | None) -> nn.Parameter:
    return nn.Parameter(deviation * torch.randn(shape, generator=generator))


def check_name(what: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise ValueError(f"{what} must be one of {list(known)}, got {name!r}")
    return name
