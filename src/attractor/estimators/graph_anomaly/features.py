"""Features of nodes in units of their own: mean 0 and deviation 1 over the nodes that are learned from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attractor.validation import finite

CONSTANT = 1e-14
"""Deviation of a feature, in units of its largest entry, below which it is rounding."""


def location_and_scale(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and deviation `(f,)` of each feature in float64; the largest entry in place of a deviation that is only rounding.

    Features are divided by their largest entries first: squares would overflow or vanish.

    Example:
        >>> location_and_scale(np.array([[1e200, 0.1], [3e200, 0.1]]))
        (array([2.e+200, 1.e-001]), array([1.e+200, 1.e-001]))
    """
    X = X.astype(np.float64)
    largest = np.abs(X).max(0)
    largest[largest == 0] = 1
    mean, deviation = (X / largest).mean(0), (X / largest).std(0)
    deviation[deviation < CONSTANT] = 1
    return mean * largest, deviation * largest


def standardised(X: np.ndarray, mean: np.ndarray, scale: np.ndarray, like: Tensor) -> Tensor:
    """Features in the precision and at the place of `like`.

    Raises:
        ValueError: some are not finite then.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        features = torch.from_numpy((X - mean) / scale).to(like)
    if not finite(features):
        raise ValueError("X must have features that are finite once they are standardised, got some too large or all but equal")
    return features
