"""Mean and scale of features, some of whose values may be missing."""

from __future__ import annotations

import numpy as np


def location_and_scale(X: np.ndarray, standardise: bool, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    """What to take from each feature and to divide it by, from what is known of it."""
    # a feature without any value stays at zero
    known = ~np.isnan(X)
    counts = np.maximum(known.sum(0), 1)
    values = np.where(known, X, 0.0).astype(np.float64)
    mean = values.sum(0) / counts
    variance = (np.where(known, values - mean, 0.0) ** 2).sum(0) / counts
    if not standardise:
        if spherical:
            return np.zeros_like(mean), np.ones_like(mean)
        variance = np.full_like(variance, variance.mean())
    # rounding leaves a constant feature a variance of this size
    constant = variance <= (10 * np.finfo(np.float64).eps * np.abs(mean)) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


def check_known(X: np.ndarray) -> None:
    """Raise where a sample has no value at all."""
    empty = np.flatnonzero(np.isnan(X).all(1))
    if len(empty):
        raise ValueError(f"X must have a value in each sample, rows without any: {empty[:8].tolist()}")
