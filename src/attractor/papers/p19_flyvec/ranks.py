"""Rank correlation of two lists of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def spearman(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Rank correlation x 100; 0 where a side is constant or has fewer than two values.

    Example:
        >>> spearman(np.array([1, 2, 2, 9]), np.array([0, 5, 5, 6]))
        100.0
    """
    if len(first) < 2 or len(set(first.tolist())) < 2 or len(set(second.tolist())) < 2:
        return 0.0
    return round(100 * float(np.corrcoef(ranks(first), ranks(second))[0, 1]), 9)


def ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    shared: npt.NDArray[np.float64] = np.cumsum(times) - (times - 1) / 2
    return shared[place]
