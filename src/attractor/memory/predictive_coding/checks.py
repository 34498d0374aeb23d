"""Checks of what users hand to a memory by predictive coding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.memory.predictive_coding.activations import ACTIVATIONS
from attractor.validation import check_not_negative, check_positive, shorten


def check_activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}")
    return name


def check_precisions(precisions: Sequence[float | Tensor], dim: int, depth: int) -> None:
    """One precision of each of `depth + 1` layers, the first a number or a vector.

    Raises:
        ValueError: another number of them, one that is not positive (missing senses and the last may be 0), or another width.
    """
    if len(precisions) != depth + 1:
        raise ValueError(f"precisions must be one of each of {depth + 1} layers, the senses first, got {len(precisions)}")
    senses, *hidden, top = precisions
    if isinstance(senses, Tensor) and senses.dim():
        if senses.shape != (dim,):
            raise ValueError(f"precisions of the senses must be a number or have shape ({dim},), got {tuple(senses.shape)}")
        if not bool(senses.isfinite().all() & (senses >= 0).all() & (senses > 0).any()):
            raise ValueError(
                f"precisions of the senses must be finite, from 0 and not all 0, got {senses.min():g} to {senses.max():g}"
            )
    else:
        check_positive("precisions of the senses", float(senses))
    for one in hidden:
        check_positive("precisions of hidden layers", float(one))
    check_not_negative("precisions of the memory layer", float(top))


def check_confidence(confidence: float | Tensor | None, cues: Tensor, known: Tensor | None) -> Tensor | None:
    """The confidence `(b, d)` in each entry of the cues, or None.

    Raises:
        ValueError: it came beside `known`, has another shape, negative or infinite entries, or a row of zeros.
    """
    if confidence is None:
        return None
    if known is not None:
        raise ValueError("confidence must be None where known is given: it says by itself which entries are missing, with 0")
    if isinstance(confidence, Tensor):
        if confidence.shape not in ((), cues.shape[1:], cues.shape):
            wanted = f"(), {tuple(cues.shape[1:])} or {tuple(cues.shape)}"
            raise ValueError(f"confidence must be a number or have shape {wanted}, got {tuple(confidence.shape)}")
    elif isinstance(confidence, bool) or not math.isfinite(confidence):
        raise ValueError(f"confidence must be a finite number or a tensor, got {confidence!r}")
    each = torch.as_tensor(confidence, dtype=cues.dtype, device=cues.device).expand(cues.shape)
    if not bool((each >= 0).all() & each.isfinite().all()):
        raise ValueError(f"confidence must be finite and from 0, got {float(each.min()):g} to {float(each.max()):g}")
    empty = (each == 0).all(-1).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"confidence must be above 0 in at least one entry of each cue, rows of zeros: {shorten(empty)}")
    return each
