"""Clustering with associative memories, with scikit-learn's interface (Saha, Krotov, Zaki and Ram 2023, arXiv 2306.03209)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from copy import copy
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.clam.fitting import Fitting
from attractor.estimators.clam.persistence import load_clam, save_clam
from attractor.estimators.clam.points import Points, Restarts
from attractor.estimators.clam.scaling import Moments, check_known, location_and_scale
from attractor.estimators.clam.settings import Select, check_settings
from attractor.estimators.clam.start import Start
from attractor.nn.clam.settings import resolved_beta
from attractor.validation import check_device

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data

    from attractor.estimators.clam.reading import PRECISIONS, FittedClusters
except ImportError as error:
    raise ImportError("ClAM needs scikit-learn: pip install 'attractor[sklearn]'") from error

PRIVATE = ("_seed", "_moments", "_adam", "_asked")
"""What is learned beside the attributes: the seed, moments of the features, those of Adam, and the clusters asked for."""


class ClAM(FittedClusters, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]  # not annotated
    """Clusters by the descent of samples into learned prototypes: which one a sample falls into is its label.

    Prototypes learn by completion: some features of a sample are hidden, and its descent down the energy is to fill them in. That
    needs features that tell something of each other; where most are noise it fails, and `mask_fraction=None` or a PCA before it
    does better. All restarts train as one batch, on the same mini-batches.

    Args:
        n_clusters: how many prototypes; those that no sample falls into are dropped after `fit`.
        n_init: restarts, of which the best is kept.
        select: what the best is judged by: the completion `"loss"`, or the `"silhouette"` coefficient (by at most 4,096 rows). The
            second favours few clusters and outliers apart: look at `n_clusters_`.
        init: `"k-means"` after `"k-means++"` seeds, these seeds alone, `"normal"` numbers as in the paper's code, which need some
            hundred steps, `"random"` rows, or an array `(n_clusters, n_features)` in the units of the data.
        beta: inverse temperature on scaled features. `"scale"`: `5 / n_features` (spherical: 10). Small: prototypes merge; large:
            some never move.
        steps: down the energy.
        step_size: of each, above 0 and below 2 (spherical: at most 1). Default: `1 / steps`.
        mask_fraction: of the features that are hidden, one at least. None: none are, and the whole sample is to come back.
            `"auto"`: None below 5 features, 0.2 from there.
        max_iter: steps of Adam in `fit`.
        batch_size: samples in each.
        learning_rate: the first; it falls along a cosine.
        standardise: each feature to mean 0 and variance 1. Otherwise all by the same factor, which keeps the shape of the data.
        spherical: only directions of the (scaled) samples count.
        weighted: each cluster has a weight, which is learned.
        missing: `"complete"`: NaN stands for a value that is not there and is filled in; `"error"`: it is refused.
        device: that prototypes are trained on. Labels are always found on the CPU in float64.
        random_state: of the start, the mini-batches and the masks.

    Attributes:
        cluster_centers_: `(n_clusters_, n_features)`, in the units of the data (spherical: of scaled length one). With hidden
            features they lie further out than the means of the clusters, as a descent ends before it arrives.
        labels_: `(n_samples,)` of the data given to `fit`, or to the last `partial_fit`.
        n_clusters_: prototypes; after `fit` each has samples.
        loss_: the completion loss of the restart that was kept, on scaled features.
        losses_: `(n_init,)` of all restarts.
        silhouettes_: `(n_init,)` of all restarts, with `select="silhouette"`.
        beta_: inverse temperature as a number.
        weights_: `(n_clusters_,)` of the clusters; they sum to one.
        mean_, scale_: what is taken from each feature, and what it is divided by.
        n_iter_: steps of Adam so far.
        n_features_in_: number of features.

    Example:
        >>> from sklearn.datasets import make_blobs
        >>> X, y = make_blobs(300, 10, centers=3, random_state=0)
        >>> clusterer = ClAM(3, random_state=0).fit(X)
        >>> clusterer.n_clusters_, [len(set(y[clusterer.labels_ == label])) for label in range(3)]
        (3, [1, 1, 1])
        >>> known = np.arange(10) != 4
        >>> filled = clusterer.complete(X[:1], known=known[None])
        >>> bool(abs(filled - X[:1]).max() < abs(X[0, 4] - X[:, 4].mean()))
        True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_init: int = 10,
        select: Select = "loss",
        init: Any = "k-means",
        beta: float | Literal["scale"] = "scale",
        steps: int = 5,
        step_size: float | None = None,
        mask_fraction: float | Literal["auto"] | None = "auto",
        max_iter: int = 60,
        batch_size: int = 64,
        learning_rate: float = 0.05,
        standardise: bool = True,
        spherical: bool = False,
        weighted: bool = False,
        missing: Literal["error", "complete"] = "error",
        device: str | torch.device = "cpu",
        random_state: Any = None,
    ):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.select = select
        self.init = init
        self.beta = beta
        self.steps = steps
        self.step_size = step_size
        self.mask_fraction = mask_fraction
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.standardise = standardise
        self.spherical = spherical
        self.weighted = weighted
        self.missing = missing
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, progress: Callable[[float], None] | None = None) -> Self:
        """Learn prototypes of `X (n_samples, n_features)` from the start.

        Args:
            X: samples.
            y: ignored.
            progress: told of the fraction that is done.

        Raises:
            TypeError: a setting of another kind.
            ValueError: fewer samples than clusters, values that are not finite (NaN with `missing="complete"` excepted), a sample
                without any value, a setting out of its range, or training that diverges; nothing has changed then.
        """
        fresh, exact, fitting = self._begun(X)
        restarts = fitting.trained(fresh._start, [fresh.beta_] * fresh._count, progress or (lambda done: None))
        fresh.losses_ = fitting.judged(restarts)
        best = int(fresh.losses_.argmin())
        if self.select == "silhouette":
            fresh.silhouettes_, _ = fitting.silhouettes(restarts)
            best = int(fresh.silhouettes_.argmax())
        fresh.loss_, fresh.n_iter_ = float(fresh.losses_[best]), self.max_iter
        fresh._keep(restarts.one(best), exact)
        self.__dict__ = fresh.__dict__
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on learning: one pass over `X (n_samples, n_features)`; the rate falls as the root of the steps so far.

        The first call keeps the restart of least loss, so its samples should be like those to come. Mean and scale are those of
        all samples so far. No prototype is dropped; `labels_` are those of this `X`.

        Raises:
            TypeError, ValueError: as `fit`, or another `n_clusters` than before; nothing has changed then.
        """
        if not hasattr(self, "cluster_centers_"):
            fresh, exact, fitting = self._begun(X)
            restarts = fitting.begun(fresh._start, [fresh.beta_] * fresh._count)
            fresh.n_iter_ = 0
        else:
            fresh, exact, fitting = self._resumed(X)
            restarts = fresh._restarts
        passes = max(1, len(exact) // self.batch_size)
        rates = [1 / math.sqrt(1 + fresh.n_iter_ + step) for step in range(passes)]
        restarts = fitting.training.train(fitting.points, restarts, rates, fitting.generator)
        fresh.losses_ = fitting.judged(restarts)
        best = int(fresh.losses_.argmin())
        fresh.loss_ = float(fresh.losses_[best])
        fresh.n_iter_ += passes
        fresh._adopt(restarts.one(best))
        fresh.labels_ = fresh._labels(exact)
        self.__dict__ = fresh.__dict__
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted clusterer to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a setting that is no number, string or None (an array as `init` excepted), such as a random state.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        save_clam(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a clusterer that `save` has written; its `device` need not be there before it learns on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format.
        """
        return cast(Self, load_clam(cls, path))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "complete"
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.n_clusters_)

    @property
    def _count(self) -> int:
        """Restarts: with a given start there is one."""
        return self.n_init if isinstance(self.init, str) else 1

    @property
    def _start(self) -> Start | Tensor:
        """What prototypes begin with, scaled where it is given."""
        if isinstance(self.init, str):
            return cast(Start, self.init)
        wanted = (self.n_clusters, self.n_features_in_)
        try:
            centres = np.asarray(self.init, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"init must be the name of a start or numbers of shape {wanted}: {error}") from error
        if centres.shape != wanted or not np.isfinite(centres).all():
            raise ValueError(f"init must be finite, of shape {wanted}, got an array of shape {centres.shape}")
        return torch.from_numpy((centres - self.mean_) / self.scale_)[None]

    def _begun(self, X: Any) -> tuple[ClAM, Points, Fitting]:
        """An unfitted copy that knows the scale of its data, these in float64, and what is needed to fit it."""
        check_settings(self)
        check_device(self.device)
        fresh = copy(self)
        for name in [name for name in vars(fresh) if name.endswith("_") or name in PRIVATE]:
            delattr(fresh, name)
        X = validate_data(fresh, X, dtype=PRECISIONS, ensure_all_finite="allow-nan" if self.missing == "complete" else True)
        check_known(X)
        if len(X) < self.n_clusters:
            raise ValueError(f"n_samples={len(X)} should be >= n_clusters={self.n_clusters}")
        fresh._seed = int(check_random_state(self.random_state).randint(2**31))
        fresh._asked = self.n_clusters
        return fresh._scaled(Moments.of(X), X, fresh._seed)

    def _resumed(self, X: Any) -> tuple[ClAM, Points, Fitting]:
        """The same for a fitted one that goes on."""
        check_settings(self)
        check_device(self.device)
        if self.n_clusters != self._asked:
            raise ValueError(f"n_clusters must stay {self._asked} in partial_fit, got {self.n_clusters}: fit begins anew")
        X = self._checked(X)
        fresh = copy(self)
        fresh.__dict__.pop("silhouettes_", None)
        return fresh._scaled(self._moments.merged(Moments.of(X)), X, self._seed + self.n_iter_)

    def _scaled(self, moments: Moments, X: np.ndarray, seed: int) -> tuple[ClAM, Points, Fitting]:
        self._moments = moments
        self.mean_, self.scale_ = location_and_scale(moments, self.standardise, self.spherical)
        self.beta_ = resolved_beta(self.beta, X.shape[1], self.spherical)
        exact = self._points(X)
        return self, exact, Fitting(exact.trained_on(self.device), self, torch.Generator().manual_seed(seed))

    def _keep(self, restart: Restarts, points: Points) -> None:
        """Take over a restart, without prototypes that no sample falls into."""
        while True:
            self._adopt(restart)
            self.labels_ = self._labels(points)
            used = np.unique(self.labels_)
            if len(used) == self.n_clusters_:
                return
            # the others then get what the dropped ones drew
            restart = restart.only(torch.from_numpy(used))

    def _adopt(self, restart: Restarts) -> None:
        restart = restart.to("cpu")
        prototypes = restart.landscape.prototypes[0].double()
        logarithms = torch.zeros(len(prototypes)) if restart.weight_logits is None else restart.weight_logits[0]
        self.cluster_centers_ = prototypes.numpy() * self.scale_ + self.mean_
        self.weights_ = logarithms.double().softmax(0).numpy()
        self.n_clusters_ = len(prototypes)
        self._adam = restart.moments

    @property
    def _restarts(self) -> Restarts:
        """The fitted prototypes as a restart, to go on from."""
        landscape = self._landscape
        weights = None if landscape.log_weights is None else landscape.log_weights.float()[None]
        beta = torch.full((1, 1, 1), self.beta_)
        return Restarts(landscape.prototypes.float()[None], weights, beta, self.spherical, self._adam).to(self.device)
