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
from torch.nn.functional import normalize

from attractor.estimators.clam.scaling import check_known, location_and_scale
from attractor.estimators.clam.silhouette import silhouettes
from attractor.estimators.clam.start import STARTS, Start, start
from attractor.estimators.clam.training import Points, Restarts, Training, cosine, descended, filled
from attractor.estimators.saving import load_estimator, save_estimator
from attractor.nn.clam.completion import check_fraction
from attractor.nn.clam.dynamics import Landscape
from attractor.nn.clam.layer import resolved_beta, resolved_step_size
from attractor.validation import check_count, check_device, check_positive

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("ClAM needs scikit-learn: pip install 'attractor[sklearn]'") from error

PRECISIONS = (np.float64, np.float32)
FEW_FEATURES = 5
"""Below, one hidden feature is too much of a sample to be told by the others: `mask_fraction="auto"` hides none."""
MASK_FRACTION = 0.2
JUDGED = 4096
"""Rows on which the Silhouette Coefficients of restarts are compared."""
Select = Literal["loss", "silhouette"]


class ClAM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]  # not annotated
    """Clusters by the descent of samples into learned prototypes: which one a sample falls into is its label.

    Prototypes learn by completion: some features of a sample are hidden, and its descent down the energy is to fill them in. That
    needs features that tell something of each other; where most are noise it fails, and `mask_fraction=None` or a PCA before it
    does better. All restarts train as one batch, on the same mini-batches.

    Args:
        n_clusters: how many prototypes; those that no sample falls into are dropped after `fit`.
        n_init: restarts, of which the best is kept.
        select: what the best is judged by: the completion `"loss"`, or the `"silhouette"` coefficient (by at most 4,096 rows). The
            second favours few clusters and outliers apart: look at `n_clusters_`.
        init: `"k-means++"` seeds, `"k-means"` after them, `"normal"` numbers as in the paper's code, `"random"` rows, or an array
            `(n_clusters, n_features)` in the units of the data.
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
        cluster_centers_: `(n_clusters_, n_features)`, in the units of the data (spherical: of scaled length one). They lie further
            out than the means of the clusters, as the steps of a descent end before they arrive.
        labels_: `(n_samples,)` of the data given to `fit`, or to the last `partial_fit`.
        n_clusters_: clusters in use.
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
        init: Any = "k-means++",
        beta: float | Literal["scale"] = "scale",
        steps: int = 5,
        step_size: float | None = None,
        mask_fraction: float | Literal["auto"] | None = "auto",
        max_iter: int = 200,
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
        fresh, exact, generator = self._begun(X)
        points = exact.trained_on(self.device)
        restarts = fresh._trained(points, [fresh.beta_] * fresh._count, self.init, generator, progress or (lambda done: None))
        fresh.losses_ = fresh._judged(points, restarts, generator)
        best = int(fresh.losses_.argmin())
        if self.select == "silhouette":
            fresh.silhouettes_, _ = fresh._silhouettes(points, restarts, generator)
            best = int(fresh.silhouettes_.argmax())
        fresh._keep(restarts, best, exact)
        fresh.loss_, fresh.n_iter_ = float(fresh.losses_[best]), self.max_iter
        self.__dict__ = fresh.__dict__
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on learning: one pass over `X (n_samples, n_features)`; the rate falls as the root of the steps so far.

        The first call keeps the restart of least loss, and fixes mean and scale of each feature. No prototype is dropped; `labels_`
        are those of this `X`.

        Raises:
            TypeError, ValueError: as `fit`; nothing has changed then.
        """
        if not hasattr(self, "cluster_centers_"):
            fresh, exact, generator = self._begun(X)
            restarts = fresh._first(exact.trained_on(self.device), [fresh.beta_] * fresh._count, self.init, generator)
            fresh.n_iter_ = 0
        else:
            self._check_settings()
            fresh = copy(self)
            exact = fresh._points(self._checked(X))
            generator = torch.Generator().manual_seed(self._seed + self.n_iter_)
            restarts = fresh._restarts()
        points = exact.trained_on(self.device)
        passes = max(1, len(points) // self.batch_size)
        rates = [1 / math.sqrt(1 + fresh.n_iter_ + step) for step in range(passes)]
        restarts = fresh._training.train(points, restarts, rates, generator)
        fresh.losses_ = fresh._judged(points, restarts, generator)
        best = int(fresh.losses_.argmin())
        fresh.loss_ = float(fresh.losses_[best])
        fresh.n_iter_ += passes
        fresh._adopt(restarts.prototypes[best], None if restarts.weight_logits is None else restarts.weight_logits[best])
        fresh.labels_ = fresh._labels(exact)
        self.__dict__ = fresh.__dict__
        return self

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
        return torch.cat([self._landscape.assignments(states) for states in self._descended(points)]).numpy()

    def transform(self, X: Any) -> np.ndarray:
        """Distances `(n_samples, n_clusters_)` of scaled samples to the prototypes, in the precision of `X`.

        Errors are those of `predict`.
        """
        X = self._checked(X)
        points = self._points(X)
        values = points.values
        if points.known is not None:
            values = filled(self._landscape, points, self.steps, self._step_size)
        return torch.cdist(values, self._landscape.prototypes, compute_mode="donot_use_mm_for_euclid_dist").numpy().astype(X.dtype)

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the energy `(n_samples,)` of each sample where it lies: low for an outlier. Errors are those of `predict`."""
        points = self._points(self._checked(X))
        values = points.values if points.known is None else filled(self._landscape, points, self.steps, self._step_size)
        return -self._landscape.energy(values).numpy()

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
        X = validate_data(self, X, dtype=PRECISIONS, reset=False, ensure_all_finite="allow-nan")
        if known is not None:
            known = np.asarray(known)
            if known.dtype != bool or known.shape != X.shape:
                raise ValueError(f"known must be Boolean of shape {X.shape}, got {known.dtype} of {known.shape}")
            X = np.where(known, X, np.nan)
        check_known(X)
        points = self._points(X)
        if points.known is None:
            return X.copy()
        values = filled(self._landscape, points, self.steps, self._step_size).numpy() * self.scale_ + self.mean_
        return np.where(np.isnan(X), values, X).astype(X.dtype)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted clusterer to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a setting that is no number, string or None, such as an array as `init`.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ("mean_", "scale_", "labels_", "losses_")}
        state = arrays | {"prototypes": self._landscape.prototypes}
        if self.weighted:
            state["weights"] = torch.from_numpy(self.weights_)
        if hasattr(self, "silhouettes_"):
            state["silhouettes_"] = torch.from_numpy(self.silhouettes_)
        save_estimator(self, path, state, {"loss": self.loss_, "steps": self.n_iter_, "seed": self._seed, "beta": self.beta_})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a clusterer that `save` has written.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format.
        """
        settings, state, extra = load_estimator(path, cls)
        try:
            loaded = cls(**settings)
            loaded._check_settings()
            prototypes, weights = state.pop("prototypes"), state.pop("weights", None)
            for name in state:
                setattr(loaded, name, state[name].numpy())
            loaded.loss_, loaded.n_iter_, loaded._seed = extra["loss"], extra["steps"], extra["seed"]
            loaded.beta_, loaded.n_features_in_ = extra["beta"], len(loaded.mean_)
            loaded._adopt(prototypes, None if weights is None else weights.log())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} must hold a whole {cls.__name__}: {error!r}") from error
        return loaded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "complete"
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.n_clusters_)

    @property
    def _step_size(self) -> float:
        return resolved_step_size(self.step_size, self.steps, self.spherical)

    @property
    def _count(self) -> int:
        """Restarts: with a given start there is one."""
        return self.n_init if isinstance(self.init, str) else 1

    @property
    def _training(self) -> Training:
        fraction = self.mask_fraction
        if fraction == "auto":
            fraction = None if self.n_features_in_ < FEW_FEATURES else MASK_FRACTION
        return Training(self.steps, self._step_size, fraction, self.batch_size, self.learning_rate)

    def _begun(self, X: Any) -> tuple[ClAM, Points, torch.Generator]:
        """An unfitted copy that knows its data's scale, these data in float64, and the stream of random numbers."""
        self._check_settings()
        fresh = copy(self)
        for name in [name for name in vars(fresh) if name.endswith("_") or name == "_seed"]:
            delattr(fresh, name)
        X = validate_data(fresh, X, dtype=PRECISIONS, ensure_all_finite="allow-nan" if self.missing == "complete" else True)
        check_known(X)
        if len(X) < self.n_clusters:
            raise ValueError(f"n_samples={len(X)} should be >= n_clusters={self.n_clusters}")
        fresh.mean_, fresh.scale_ = location_and_scale(X, self.standardise, self.spherical)
        fresh.beta_ = resolved_beta(self.beta, X.shape[1], self.spherical)
        fresh._seed = int(check_random_state(self.random_state).randint(2**31))
        return fresh, fresh._points(X), torch.Generator().manual_seed(fresh._seed)

    def _first(self, points: Points, betas: list[float], init: Any, generator: torch.Generator) -> Restarts:
        """The restarts as they begin, one for each of `betas`."""
        if isinstance(init, str):
            # missing values stand at the mean here
            prototypes = start(points.values, self.n_clusters, len(betas), cast(Start, init), generator)
        else:
            centres = np.asarray(init, dtype=np.float64)
            if centres.shape != (self.n_clusters, self.n_features_in_) or not np.isfinite(centres).all():
                wanted = (self.n_clusters, self.n_features_in_)
                raise ValueError(f"init must be finite, of shape {wanted}, got an array of shape {centres.shape}")
            prototypes = torch.from_numpy((centres - self.mean_) / self.scale_).to(points.values)[None]
        weights = prototypes.new_zeros(prototypes.shape[:2]) if self.weighted else None
        return Restarts(prototypes, weights, prototypes.new_tensor(betas)[:, None, None], self.spherical)

    def _trained(
        self, points: Points, betas: list[float], init: Any, generator: torch.Generator, tell: Callable[[float], None]
    ) -> Restarts:
        first = self._first(points, betas, init, generator)
        return self._training.train(points, first, cosine(self.max_iter), generator, tell)

    def _judged(self, points: Points, restarts: Restarts, generator: torch.Generator) -> np.ndarray:
        losses = np.nan_to_num(self._training.judged(points, restarts, generator).double().cpu().numpy(), nan=math.inf)
        if not np.isfinite(losses).any():
            raise ValueError(f"learning_rate must be smaller, no restart came to a finite loss with {self.learning_rate}")
        return losses

    def _silhouettes(self, points: Points, restarts: Restarts, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Silhouette Coefficients `(restarts,)` on scaled samples, missing values at the mean, and clusters in use."""
        judged = points.take(torch.randperm(len(points), generator=generator)[:JUDGED].sort().values)
        landscape = restarts.landscape
        found = [landscape.scores(states).argmax(-1) for states in descended(landscape, judged, self.steps, self._step_size)]
        labels = torch.cat(found, -1)
        clusters = [len(one.unique()) for one in labels]
        return silhouettes(judged.values, labels).double().cpu().numpy(), np.array(clusters)

    def _keep(self, restarts: Restarts, best: int, points: Points) -> None:
        """Take over one restart, without prototypes that no sample falls into."""
        prototypes = restarts.landscape.prototypes[best]
        weights = None if restarts.weight_logits is None else restarts.weight_logits[best]
        while True:
            self._adopt(prototypes, weights)
            self.labels_ = self._labels(points)
            used = np.unique(self.labels_)
            if len(used) == len(prototypes):
                return
            # the others then get what the dropped ones drew
            prototypes, weights = prototypes[used], None if weights is None else weights[used]

    def _adopt(self, prototypes: Tensor, weight_logits: Tensor | None) -> None:
        prototypes = prototypes.detach().double().cpu()
        logarithms = torch.zeros(len(prototypes)) if weight_logits is None else weight_logits.detach().cpu()
        self.cluster_centers_ = prototypes.numpy() * self.scale_ + self.mean_
        self.weights_ = logarithms.double().softmax(0).numpy()
        self.n_clusters_ = len(prototypes)

    @property
    def _landscape(self) -> Landscape:
        prototypes = torch.from_numpy((self.cluster_centers_ - self.mean_) / self.scale_)
        return Landscape(prototypes, self.beta_, torch.from_numpy(self.weights_).log() if self.weighted else None, self.spherical)

    def _restarts(self) -> Restarts:
        """The fitted prototypes as a restart, to go on from."""
        landscape = self._landscape
        prototypes = landscape.prototypes.float().to(self.device)[None]
        weights = None if landscape.log_weights is None else landscape.log_weights.float().to(self.device)[None]
        return Restarts(prototypes, weights, prototypes.new_full((1, 1, 1), self.beta_), self.spherical)

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        finite = "allow-nan" if self.missing == "complete" else True
        X = validate_data(self, X, dtype=PRECISIONS, reset=False, ensure_all_finite=finite)
        check_known(X)
        return X

    def _points(self, X: np.ndarray) -> Points:
        """Scaled samples in float64 on the CPU."""
        known = ~np.isnan(X)
        scaled = torch.from_numpy(np.where(known, (X - self.mean_) / self.scale_, 0.0))
        values = normalize(scaled, dim=-1) if self.spherical else scaled
        return Points(values, None if known.all() else torch.from_numpy(known))

    def _descended(self, points: Points) -> Any:
        return descended(self._landscape, points, self.steps, self._step_size)

    def _labels(self, points: Points) -> np.ndarray:
        return torch.cat([self._landscape.scores(states).argmax(-1) for states in self._descended(points)]).numpy()

    def _check_settings(self) -> None:
        for name in ("n_clusters", "n_init", "steps", "max_iter", "batch_size"):
            check_count(name, getattr(self, name))
        if self.select not in ("loss", "silhouette"):
            raise ValueError(f"select must be 'loss' or 'silhouette', got {self.select!r}")
        if isinstance(self.init, str) and self.init not in STARTS:
            raise ValueError(f"init must be one of {', '.join(STARTS)} or an array, got {self.init!r}")
        if self.missing not in ("error", "complete"):
            raise ValueError(f"missing must be 'error' or 'complete', got {self.missing!r}")
        if self.missing == "complete" and self.spherical:
            raise ValueError("spherical must be False with missing='complete': the length of an incomplete sample is not known")
        if self.mask_fraction not in (None, "auto"):
            check_fraction("mask_fraction", self.mask_fraction)  # type: ignore[arg-type]  # it says so
        check_positive("learning_rate", self.learning_rate)
        resolved_beta(self.beta, 1, self.spherical)
        resolved_step_size(self.step_size, self.steps, self.spherical)
        check_device(self.device)
