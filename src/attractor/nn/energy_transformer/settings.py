"""Settings of the block: named choices, inverse temperatures, and the first weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attractor.energy.synapses.attention import checked_betas
from attractor.read import SoftMax
from attractor.validation import check_positive

INITS = ("paper", "scaled")
ACTIVATIONS = ("relu", "softmax")


def betas_of(beta: float | Tensor, heads: int) -> Tensor:
    """Inverse temperatures of heads `(heads,)`, in float64.

    Raises:
        TypeError, ValueError: not positive, of another size, or a tensor whose gradient would be lost.
    """
    if isinstance(beta, Tensor) and (isinstance(beta, nn.Parameter) or beta.requires_grad):
        raise ValueError("beta must be a number or a tensor that is not learned, got a parameter; use learn_beta=True")
    given = beta if isinstance(beta, Tensor) else torch.tensor(check_positive("beta", beta), dtype=torch.float64)
    return checked_betas(given, heads).double().flatten().expand(heads)


def separation_of(activation: str | SoftMax) -> SoftMax | None:
    """The soft-max, or None for relu."""
    if isinstance(activation, str):
        return SoftMax(beta=1.0) if check_name("activation", activation, ACTIVATIONS) == "softmax" else None
    if type(activation) is not SoftMax:  # an Exponential is one with another energy
        raise TypeError(f"activation must be one of {list(ACTIVATIONS)} or a SoftMax, got {type(activation).__name__}")
    return activation


def normal(shape: tuple[int, ...], deviation: float, generator: torch.Generator | None) -> nn.Parameter:
    return nn.Parameter(deviation * torch.randn(shape, generator=generator))


def check_name(what: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise ValueError(f"{what} must be one of {list(known)}, got {name!r}")
    return name
