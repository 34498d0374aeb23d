"""Settings of a descent among prototypes and what it is given, checked."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.validation import check_floating, check_number, check_positive

SHARPNESS = 5.0
"""`beta="scale"` times the number of features: on features of unit variance squared distances grow with that number."""
SPHERICAL_SHARPNESS = 10.0


def resolved_beta(beta: float | str, dim: int, spherical: bool) -> float:
    """`beta` as a number.

    Raises:
        TypeError, ValueError: it is neither a positive number nor `"scale"`.
    """
    if isinstance(beta, str):
        if beta != "scale":
            raise ValueError(f"beta must be a positive number or 'scale', got {beta!r}")
        return SPHERICAL_SHARPNESS if spherical else SHARPNESS / dim
    return check_positive("beta", beta)


def resolved_step_size(step_size: float | None, steps: int, spherical: bool) -> float:
    """The step size as a number.

    Raises:
        TypeError, ValueError: it is no number, or one with which the energy may rise.
    """
    if step_size is None:
        return 1 / steps
    check_number("step_size", step_size)
    if not 0 < step_size <= (1 if spherical else 2) or (step_size == 2 and not spherical):
        raise ValueError(f"step_size must be above 0 and {'at most 1' if spherical else 'below 2'}, got {step_size!r}")
    return float(step_size)


def check_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    """A Boolean tensor of that shape."""
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(mask).__name__}")
    if mask.dtype != torch.bool or mask.shape != shape:
        raise ValueError(f"{name} must be Boolean of shape {tuple(shape)}, got {mask.dtype} of {tuple(mask.shape)}")


def as_precise(name: str, value: Tensor, prototypes: Tensor) -> Tensor:
    """`value` in the precision of the prototypes, which it must have outside autocast."""
    check_floating(name, value)
    if value.dtype != prototypes.dtype and not torch.is_autocast_enabled(value.device.type):
        raise ValueError(f"{name} must be {prototypes.dtype} like the prototypes, or stand under autocast, got {value.dtype}")
    return value.to(prototypes.dtype)
