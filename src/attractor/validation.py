"""Checks of what users hand in. Each one names the argument, what came and what was expected, and changes nothing."""

from __future__ import annotations

import math
from numbers import Integral, Real

import torch
from torch import Tensor


def check_matrix(name: str, value: Tensor, dim: int | None = None, *, allow_empty: bool = False) -> Tensor:
    """Return `value` when it is a finite floating-point matrix `(rows, dim)`.

    Raises:
        TypeError: not a tensor.
        ValueError: not two-dimensional, wrong width, no rows, integer or complex, NaN or infinite entries.
    """
    check_floating(name, value)
    check_shape(name, value, dim, allow_empty=allow_empty)
    check_finite(name, value)
    return value


def check_shape(name: str, value: Tensor, dim: int | None = None, *, allow_empty: bool = False) -> None:
    if value.dim() == 1:
        raise ValueError(f"{name} must have shape (rows, dim), got {tuple(value.shape)}; for one vector pass {name}[None]")
    if value.dim() != 2:
        raise ValueError(f"{name} must have shape (rows, dim), got {tuple(value.shape)}")
    if dim is not None and value.shape[1] != dim:
        raise ValueError(f"{name} must have width {dim}, got shape {tuple(value.shape)}")
    if value.shape[1] == 0 or (value.shape[0] == 0 and not allow_empty):
        raise ValueError(f"{name} must not be empty, got shape {tuple(value.shape)}")


def check_floating(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}; torch.as_tensor converts arrays")
    if not value.is_floating_point():
        raise ValueError(
            f"{name} must be floating point, got {value.dtype}; convert with {name}.float(), "
            f"{name}.float() / 255 for bytes, or {name}.float() * 2 - 1 for bits of a binary memory"
        )


def check_finite(name: str, value: Tensor) -> None:
    if not finite(value):
        bad = (~value.isfinite()).any(-1).nonzero().flatten().tolist()
        raise ValueError(f"{name} must be finite, got NaN or infinity in rows {shorten(bad)}")


def finite(value: Tensor) -> bool:
    """Whether every entry is finite; NaN and infinity both surface in the extremes, so no Boolean copy is made."""
    if value.numel() == 0:
        return True
    least, most = torch.aminmax(value.detach())
    return bool(least.isfinite() & most.isfinite())


def check_like(name: str, value: Tensor, dtype: torch.dtype | None, device: torch.device | None) -> None:
    """`value` must have the precision and place of the stored patterns, where there are any."""
    if (dtype is not None and value.dtype != dtype) or (device is not None and value.device != device):
        raise ValueError(f"{name} must be {dtype} on {device} like the stored patterns, got {value.dtype} on {value.device}")


def check_directions(name: str, value: Tensor) -> None:
    """Rows of `value` must have a direction."""
    zero = (value == 0).all(-1)
    if bool(zero.any()):
        rows = shorten(zero.nonzero().flatten().tolist())
        raise ValueError(f"{name} must have a direction, rows that are zero where they are trusted: {rows}")


def check_known(known: Tensor | None, cues: Tensor) -> Tensor | None:
    """Return the mask `known (rows, dim)` of trusted entries, or None.

    Raises:
        TypeError: not a Boolean tensor.
        ValueError: another shape than `cues`, or a row with nothing known.
    """
    if known is None:
        return None
    if not isinstance(known, Tensor) or known.dtype != torch.bool:
        came = known.dtype if isinstance(known, Tensor) else type(known).__name__
        raise TypeError(f"known must be a Boolean tensor, True where the cue is trusted, got {came}")
    if known.shape != cues.shape:
        raise ValueError(f"known must have the shape of cues {tuple(cues.shape)}, got {tuple(known.shape)}")
    empty = (~known.any(-1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"known must trust at least one entry of each cue, rows without any: {shorten(empty)}")
    return known


def check_ids(name: str, ids: Tensor) -> Tensor:
    """Return `ids` as a flat int64 tensor."""
    ids = torch.as_tensor(ids)
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, got {ids.dtype}")
    return ids.reshape(-1).to(torch.int64)


def check_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")


def check_share(name: str, value: float) -> float:
    """A number from 0, below 1."""
    check_number(name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
    return float(value)


def check_fraction(name: str, value: float) -> float:
    """A number above 0, at most 1."""
    check_number(name, value)
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be above 0 and at most 1, got {value!r}")
    return float(value)


def check_proportion(name: str, value: float) -> float:
    """A number from 0 to 1."""
    check_number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    return float(value)


def check_not_negative(name: str, value: float) -> float:
    check_number(name, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number from 0, got {value!r}")
    return float(value)


def check_positive(name: str, value: float) -> float:
    check_number(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive finite number, got {value!r}")
    return float(value)


def check_count(name: str, value: int, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device must be one that torch knows and this machine has, got {device!r}") from error


def shorten(items: list[int], most: int = 8) -> str:
    """The first few items, for an error message."""
    head = ", ".join(map(str, items[:most]))
    return f"[{head}, ... {len(items)} in all]" if len(items) > most else f"[{head}]"
