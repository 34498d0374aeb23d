"""The settings of `ClAM`, checked and resolved."""

from __future__ import annotations

from typing import Any, Literal

from attractor.estimators.clam.descent import Descent
from attractor.estimators.clam.start import STARTS
from attractor.estimators.clam.training import Training
from attractor.nn.clam.settings import resolved_beta, resolved_step_size
from attractor.validation import check_count, check_fraction, check_positive

FEW_FEATURES = 5
"""Below, one hidden feature is too much of a sample to be told by the others: `mask_fraction="auto"` hides none."""
MASK_FRACTION = 0.2
Select = Literal["loss", "silhouette"]
COUNTS = ("n_clusters", "n_init", "steps", "max_iter", "batch_size")


def check_settings(estimator: Any) -> None:
    """Raise TypeError or ValueError that names the first setting of another kind or out of its range."""
    for name in COUNTS:
        check_count(name, getattr(estimator, name))
    check_select(estimator.select)
    if isinstance(estimator.init, str) and estimator.init not in STARTS:
        raise ValueError(f"init must be one of {', '.join(STARTS)} or an array, got {estimator.init!r}")
    if estimator.missing not in ("error", "complete"):
        raise ValueError(f"missing must be 'error' or 'complete', got {estimator.missing!r}")
    if estimator.missing == "complete" and estimator.spherical:
        raise ValueError("spherical must be False with missing='complete': the length of an incomplete sample is not known")
    if estimator.mask_fraction not in (None, "auto"):
        check_fraction("mask_fraction", estimator.mask_fraction)
    check_positive("learning_rate", estimator.learning_rate)
    resolved_beta(estimator.beta, 1, estimator.spherical)
    resolved_step_size(estimator.step_size, estimator.steps, estimator.spherical)


def check_select(select: str) -> None:
    if select not in ("loss", "silhouette"):
        raise ValueError(f"select must be 'loss' or 'silhouette', got {select!r}")


def masked(estimator: Any, features: int) -> float | None:
    """The fraction of so many features that is hidden."""
    fraction = estimator.mask_fraction
    if fraction == "auto":
        return None if features < FEW_FEATURES else MASK_FRACTION
    return None if fraction is None else float(fraction)


def training_of(estimator: Any, features: int) -> Training:
    step_size = resolved_step_size(estimator.step_size, estimator.steps, estimator.spherical)
    return Training(estimator.steps, step_size, masked(estimator, features), estimator.batch_size, estimator.learning_rate)


def descent_of(estimator: Any, features: int) -> Descent:
    step_size = resolved_step_size(estimator.step_size, estimator.steps, estimator.spherical)
    return Descent.of(estimator.steps, step_size, masked=masked(estimator, features) is not None)
