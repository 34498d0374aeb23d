"""Checks of what the Hopfield layers are given."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from attractor.validation import check_finite, check_floating, finite


def check_names(name: str, given: Collection[str], known: tuple[str, ...]) -> None:
    if isinstance(given, str) or not isinstance(given, Collection) or any(one not in known for one in given):
        raise ValueError(f"{name} must be a collection of names among {list(known)}, got {given!r}")


def checked_betas(beta: Tensor, heads: int) -> Tensor:
    """The inverse temperatures `(heads,)` in float64.

    Raises:
        ValueError: another number of them, one that is not positive and finite, or gradients are wanted.
    """
    if beta.requires_grad or isinstance(beta, torch.nn.Parameter):
        raise ValueError(
            "beta must be plain numbers, of which the layer keeps a copy, got a parameter; learn_beta=True learns them"
        )
    if not beta.is_floating_point() or beta.numel() not in (1, heads):
        raise ValueError(f"beta must hold one number or one for each of {heads} heads, got {beta.dtype} {tuple(beta.shape)}")
    if not bool(((beta > 0) & beta.isfinite()).all()):
        raise ValueError(f"beta must be positive and finite, got {beta.tolist()}")
    return beta.double().flatten().expand(heads)


def check_sets(name: str, sets: Tensor, width: int) -> None:
    """`sets (b, n, width)` of vectors."""
    check_floating(name, sets)
    if sets.dim() != 3 or sets.shape[-1] != width:
        raise ValueError(f"{name} must have shape (b, n, {width}), got {tuple(sets.shape)}")


def check_entries(name: str, sets: Tensor, weight: Tensor | None, states: Tensor) -> None:
    """Sets of the precision of the layer, or of the states where it has no weights; finite, unless they are traced.

    Raises:
        ValueError: another precision outside autocast, or NaN or infinity.
    """
    like, whose = (states, "the states") if weight is None else (weight, "the weights of the layer")
    # autocast leaves double precision as it is
    fixed = torch.float64 in (sets.dtype, like.dtype) or sets.is_meta or not torch.is_autocast_enabled(sets.device.type)
    if sets.dtype != like.dtype and fixed:
        raise ValueError(f"{name} must be {like.dtype} like {whose}, or stand under autocast, got {sets.dtype}")
    if not (sets.is_meta or torch.compiler.is_compiling() or finite(sets)):
        check_finite(name, sets.flatten(0, 1))


def checked_mask(mask: Tensor | None, *shape: int) -> Tensor | None:
    """The mask in a form that broadcasts to `(b, heads, l, s)`.

    Raises:
        TypeError: it is not Boolean.
        ValueError: another shape.
    """
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        came = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"mask must be a Boolean tensor, True where a state may read a pattern, got {came}")
    by_heads = mask[:, None] if mask.dim() == 3 else mask
    fits = mask.dim() in (2, 3, 4) and by_heads.shape[-1] == shape[-1]
    if not fits or any(have not in (1, want) for have, want in zip(by_heads.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"mask must broadcast to (b, heads, l, s) = {shape}, got shape {tuple(mask.shape)}")
    return by_heads
