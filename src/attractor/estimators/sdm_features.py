"""What an SDM classifier makes of features, as its neurons know no negative input and keep the addresses that they are given."""

from __future__ import annotations

import warnings

import numpy as np

from attractor.errors import AttractorWarning


def mean_and_scale(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, in double precision; a scale of 1 where only rounding makes it vary."""
    wide = X.astype(np.float64)
    mean, scale = wide.mean(0), wide.std(0)
    scale[scale <= 10 * np.finfo(X.dtype).eps * np.abs(mean)] = 1
    return mean, scale


def split_signs(X: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """What lies above the mean and what lies below, `(n, 2 features)`, in units of the scale."""
    scores = (X.astype(np.float64) - mean) / scale
    return np.hstack([scores.clip(min=0), (-scores).clip(min=0)])


def refuse_negative(X: np.ndarray, name: str) -> np.ndarray:
    """`X` as it is.

    Raises:
        ValueError: it has negative entries.
    """
    if X.min() < 0:
        raise ValueError(f"Negative values in data passed to SDMClassifier as {name} with centre=False, the least is {X.min():g}")
    return X


def warn_of_few(y: np.ndarray, neurons: int, classes: np.ndarray) -> None:
    """Warn where a first batch with labels `y` is no good place to take all addresses from."""
    shown = len(np.unique(y))
    if len(y) < neurons or shown < len(classes):
        warnings.warn(
            f"X of the first call sets the addresses: {len(y)} items for {neurons} neurons, of {shown} classes out of "
            f"{len(classes)}; give unlabelled items of all kinds as init_addresses",
            AttractorWarning,
            stacklevel=3,
        )
