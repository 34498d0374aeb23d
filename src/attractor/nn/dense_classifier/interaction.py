"""Interaction functions `F(x)` of the vertex `n`: how strongly a memory at the overlap `x` pulls.

`polynomial`: `x^n`; `rectified`: `max(x, 0)^n`; `leaky`: `x^n` above zero, `leak x` below (Krotov and Hopfield 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

InteractionName = Literal["polynomial", "rectified", "leaky"]
LEAK = 0.01


def polynomial(overlaps: Tensor, n: int, leak: float) -> Tensor:
    return overlaps**n


def rectified(overlaps: Tensor, n: int, leak: float) -> Tensor:
    return overlaps.clamp_min(0) ** n


def leaky(overlaps: Tensor, n: int, leak: float) -> Tensor:
    return torch.where(overlaps > 0, rectified(overlaps, n, leak), leak * overlaps)


INTERACTIONS: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "polynomial": polynomial,
    "rectified": rectified,
    "leaky": leaky,
}
