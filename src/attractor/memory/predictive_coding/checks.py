"""Checks of what users hand to a memory by predictive coding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from warnings import warn

import torch
from torch import Tensor

from attractor.bank import RamBank
from attractor.errors import AttractorWarning
from attractor.memory.base import IfPresent, present_rows
from attractor.memory.predictive_coding.activations import ACTIVATIONS
from attractor.validation import check_ids, check_like, check_matrix, check_not_negative, check_positive, shorten

LARGEST = 10.0
ALIKE = 1e-3
SHOWN = 3


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


Metadata = Sequence[Mapping[str, Any] | None]


def check_new(patterns: Tensor, metadata: Metadata | None, bank: RamBank, if_present: IfPresent) -> tuple[Tensor, Metadata | None]:
    """Those of the patterns that are to be stored, with their metadata.

    Raises:
        TypeError, ValueError: they do not fit the bank, or are stored already where that is refused.
    """
    check_matrix("patterns", patterns, bank.dim)
    check_like("patterns", patterns, bank.dtype, bank.device)
    if metadata is not None and len(metadata) != len(patterns):
        raise ValueError(f"metadata must have one entry for each of the {len(patterns)} patterns, got {len(metadata)}")
    new = present_rows(patterns, bank.contains, if_present)
    kept = None if metadata is None else [entry for entry, wanted in zip(metadata, new.tolist(), strict=True) if wanted]
    return patterns.detach()[new], kept


def check_left(ids: Tensor, bank: RamBank) -> Tensor:
    """Which rows of a bank are left without these ids, `(n,)` Boolean.

    Raises:
        ValueError: an id is not stored, or comes twice.
    """
    gone = bank.positions(check_ids("ids", ids))
    left = torch.ones(len(bank), dtype=torch.bool, device=gone.device).index_fill(0, gone, False)
    if len(gone) != int((~left).sum()):
        raise ValueError("ids must not repeat")
    return left


def check_not_empty(bank: RamBank) -> None:
    if len(bank) == 0:
        raise ValueError("the memory is empty: store patterns first")


def warn_of_patterns(patterns: Tensor, old: int) -> None:
    """Warn of those of `patterns (n, d)` from row `old` on that will be stored badly: far from 1, or nearly like another one."""
    least, most = (float(end) for end in torch.aminmax(patterns[old:]))
    if max(-least, most) > LARGEST:
        warn(
            f"patterns reach from {least:g} to {most:g}, first weights suit entries of about 1: scale them, such as pixels / 255",
            AttractorWarning,
            stacklevel=3,
        )
    if pairs := nearly_alike(patterns, old):
        warn(
            "patterns must differ to be told apart, these pairs nearly do not, counted from the first that is stored: "
            f"{', '.join(map(str, pairs[:SHOWN]))}{', ...' if len(pairs) > SHOWN else ''}",
            AttractorWarning,
            stacklevel=3,
        )


def nearly_alike(patterns: Tensor, old: int) -> list[tuple[int, int]]:
    """Pairs of rows, the second from `old` on, at a squared distance below a thousandth of the mean one, but not equal."""
    centred = patterns - patterns.mean(0)
    near = torch.cdist(centred[old:], centred).square() < ALIKE * 2 * centred.square().sum(1).mean()
    new, other = near.nonzero(as_tuple=True)
    new = new + old
    differ = (other < new) & (patterns[new] != patterns[other]).any(-1)
    return list(zip(other[differ].tolist(), new[differ].tolist(), strict=True))
