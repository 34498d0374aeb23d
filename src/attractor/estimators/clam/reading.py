"""What a fitted `ClAM` is asked: labels, assignments, distances, densities and completed samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted, validate_data
from torch.nn.functional import normalize

from attractor.estimators.clam.descent import Descent
from attractor.estimators.clam.points import Points
from attractor.estimators.clam.scaling import check_known
from attractor.estimators.clam.settings import descent_of
from attractor.nn.clam.dynamics import Landscape
from attractor.validation import shorten

PRECISIONS = (np.float64, np.float32)
FARTHEST = 1e100
"""Deviations that a sample may lie from the mean: squares of more overflow."""


class FittedClusters:
    """The part of `ClAM` that learns nothing."""

    spherical: bool
    weighted: bool
    missing: str
    cluster_centers_: np.ndarray
    weights_: np.ndarray
    mean_: np.ndarray
    scale_: np.ndarray
    beta_: float
    n_clusters_: int
    n_features_in_: int

    def predict(self, X: Any) -> np.ndarray:
        """The label `(n_samples,)` of each sample: the prototype that it is at after the descent.

        Raises:
            NotFittedError: before `fit`.
            ValueError: another number of features, or values that are not finite.
        """
        return self._labels(self._points(self._checked(X)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Soft assignments `(n_samples, n_clusters_)` after the descent; the largest is the label.

        Errors are those of `predict`.
        """
        points = self._points(self._checked(X))
        states = self._descent.states(self._landscape, points)
        return torch.cat([self._landscape.assignments(some) for some in states]).numpy()

    def transform(self, X: Any) -> np.ndarray:
        """Distances `(n_samples, n_clusters_)` of scaled samples to the prototypes, in the precision of `X`.

        Errors are those of `predict`.
        """
        X = self._checked(X)
        points = self._points(X)
        values = self._descent.filled(self._landscape, points)
        return torch.cdist(values, self._landscape.prototypes, compute_mode="donot_use_mm_for_euclid_dist").numpy().astype(X.dtype)

    def score_samples(self, X: Any) -> np.ndarray:
        """The log-density `(n_samples,)` of each sample, low for an outlier, with missing values filled in.

        The energy is that of Gaussians at the prototypes, of variance `1 / (2 beta)` on scaled features. Their density is in units
        of the data: settings may be compared by it. A spherical estimator leaves the factor out that depends on `beta` alone:
        compare it at one `beta`. Errors are those of `predict`.
        """
        points = self._points(self._checked(X))
        landscape = self._landscape
        values = self._descent.filled(landscape, points)
        scores = -self.beta_ * landscape.energy(values).numpy()
        if not self.weighted:
            scores = scores - math.log(self.n_clusters_)
        if self.spherical:
            return scores
        return scores + self.n_features_in_ / 2 * math.log(self.beta_ / math.pi) - np.log(self.scale_).sum()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`; `y` is ignored."""
        return float(self.score_samples(X).mean())

    def complete(self, X: Any, known: Any = None) -> np.ndarray:
        """Fill in what is missing by the descent; known values stay as they are.

        Args:
            X: samples `(n_samples, n_features)`; NaN is missing.
            known: `(n_samples, n_features)`, False where a value is missing as well, whatever stands there.

        Raises:
            NotFittedError: before `fit`.
            ValueError: another shape, infinite values, a sample without any known value, or a spherical estimator.
        """
        check_is_fitted(self)
        if self.spherical:
            raise ValueError("spherical must be False to complete samples: a direction has no length")
        X = validate_data(self, X, dtype=PRECISIONS, reset=False, ensure_all_finite=False)
        if known is not None:
            known = np.asarray(known)
            if known.dtype != bool or known.shape != X.shape:
                raise ValueError(f"known must be Boolean of shape {X.shape}, got {known.dtype} of {known.shape}")
            X = np.where(known, X, np.nan).astype(X.dtype)
        if np.isinf(X).any():
            raise ValueError("X must be finite where it is known, got infinity")
        check_known(X)
        values = self._descent.filled(self._landscape, self._points(X)).numpy() * self.scale_ + self.mean_
        return np.where(np.isnan(X), values, X).astype(X.dtype)

    @property
    def _descent(self) -> Descent:
        return descent_of(self, self.n_features_in_)

    @property
    def _landscape(self) -> Landscape:
        prototypes = torch.from_numpy((self.cluster_centers_ - self.mean_) / self.scale_)
        return Landscape(prototypes, self.beta_, torch.from_numpy(self.weights_).log() if self.weighted else None, self.spherical)

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        finite = "allow-nan" if self.missing == "complete" else True
        X = validate_data(self, X, dtype=PRECISIONS, reset=False, ensure_all_finite=finite)
        check_known(X)
        return X

    def _points(self, X: np.ndarray) -> Points:
        """Scaled samples in float64 on the CPU."""
        known = ~np.isnan(X)
        with np.errstate(over="ignore"):
            scaled = np.where(known, (X - self.mean_) / self.scale_, 0.0)
        far = ~(np.abs(scaled) < FARTHEST).all(1)
        if far.any():
            rows = shorten(np.flatnonzero(far).tolist())
            raise ValueError(f"X must lie within {FARTHEST:g} deviations of the data of fit, rows beyond: {rows}")
        values = torch.from_numpy(scaled)
        return Points(normalize(values, dim=-1) if self.spherical else values, None if known.all() else torch.from_numpy(known))

    def _labels(self, points: Points) -> np.ndarray:
        return self._descent.labels(self._landscape, points).numpy()
