"""Mean and scale of features, some of whose values may be missing, from all rows at once or batch by batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of each feature, `(d,)` float64: how many values are known, their mean, and their standard deviation."""

    counts: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> Moments:
        known = ~np.isnan(X)
        counts = known.sum(0)
        values = np.where(known, X, 0.0).astype(np.float64)
        # in units in which no square overflows or vanishes; powers of two, so that nothing is rounded
        unit = np.ldexp(1.0, np.frexp(np.abs(values).max(0))[1] - 1)
        values /= unit
        mean = values.sum(0) / np.maximum(counts, 1)
        variance = (np.where(known, values - mean, 0.0) ** 2).sum(0) / np.maximum(counts, 1)
        return cls(counts.astype(np.float64), mean * unit, np.sqrt(variance) * unit)

    def merged(self, other: Moments) -> Moments:
        """Those of all rows of both."""
        counts = self.counts + other.counts
        share = other.counts / np.maximum(counts, 1)
        apart = other.mean - self.mean
        unit = np.maximum.reduce([self.deviation, other.deviation, np.abs(apart)])
        unit = np.where(unit > 0, unit, 1.0)
        within = (1 - share) * (self.deviation / unit) ** 2 + share * (other.deviation / unit) ** 2
        variance = within + share * (1 - share) * (apart / unit) ** 2
        return Moments(counts, self.mean + share * apart, np.sqrt(variance) * unit)


def location_and_scale(moments: Moments, standardise: bool, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    """What to take from each feature and to divide it by.

    Raises:
        ValueError: the features are too large to be scaled.
    """
    mean, scale = moments.mean, moments.deviation
    if not standardise:
        if spherical:
            return np.zeros_like(mean), np.ones_like(mean)
        largest = scale.max() if scale.max() > 0 else 1.0
        scale = np.full_like(scale, largest * np.sqrt(np.mean((scale / largest) ** 2)))
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise ValueError(f"X must be smaller to be scaled, got features up to {np.abs(mean).max():g} with deviations that overflow")
    # rounding leaves a constant feature a deviation of this size
    constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, scale)


def check_known(X: np.ndarray) -> None:
    """Raise where a sample has no value at all."""
    empty = np.flatnonzero(np.isnan(X).all(1))
    if len(empty):
        raise ValueError(f"X must have a value in each sample, rows without any: {empty[:8].tolist()}")
