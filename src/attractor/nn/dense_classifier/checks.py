"""Checks of items and labels that also let a transformed or compiled forward pass through."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.validation import check_floating, check_shape


def check_states(name: str, states: Tensor, width: int) -> None:
    """`states (b, width)` must be numbers from -1 to 1.

    Raises:
        TypeError: not a tensor.
        ValueError: another shape, integers, or entries outside of [-1, 1], NaN included.
    """
    check_floating(name, states)
    check_shape(name, states, width, allow_empty=True)
    if not holds(states.detach().abs() <= 1):
        low, high = states.detach().aminmax()
        raise ValueError(f"{name} must lie in [-1, 1], got values from {float(low):g} to {float(high):g}; scale them")


def check_labels(name: str, labels: Tensor, count: int, classes: int) -> None:
    """`labels (count,)` must be integers from 0 to `classes - 1`.

    Raises:
        TypeError: not a tensor of integers.
        ValueError: another shape, or a label out of range.
    """
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        came = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"{name} must be a tensor of integers, one class an item, got {came}")
    if labels.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), one class an item, got {tuple(labels.shape)}")
    if not holds((labels >= 0) & (labels < classes)):
        raise ValueError(f"{name} must be from 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")


def holds(condition: Tensor) -> bool:
    """Whether `condition` is True everywhere; it counts as True where values cannot be read: within `torch.vmap` or a compiler."""
    if torch.compiler.is_compiling():
        return True
    try:
        return bool(condition.all())
    except RuntimeError:
        return True
