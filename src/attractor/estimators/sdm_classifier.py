"""A classifier that learns class after class without forgetting: the SDMLP with scikit-learn's interface (Bricken et al. 2023)."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attractor.estimators.saving import load_estimator, restoring, save_estimator
from attractor.estimators.sdm_features import mean_and_scale, refuse_negative, split_signs, warn_of_few
from attractor.estimators.sequential import SequentialLearner
from attractor.nn import SDMLP
from attractor.validation import check_count, check_positive

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, validate_data

    from attractor.estimators.known_classes import known_classes
except ImportError as error:
    raise ImportError("SDMClassifier needs scikit-learn: pip install 'attractor[sklearn]'") from error

PRECISIONS = (np.float64, np.float32)
CLIP = 1.0
"""Largest norm of a gradient."""


class SDMClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Classifies by the neurons whose addresses are nearest; an item teaches those neurons only, others keep what they know.

    Classes may come one after the other through `partial_fit`, without a task label and without old items. What decides how well
    that works is where the addresses lie: give unlabelled items of all kinds as `init_addresses` where there are some.

    Args:
        neurons: in the hidden layer.
        k: how many of them answer to an item.
        init_addresses: where addresses start. `"data"`: at items of `fit`, or of the first batch that `partial_fit` is given, and
            no later one; neurons beyond their number stay at random. An array `(n, features)`: at its rows. `"random"`: anywhere,
            with the GABA switch, which excites neurons until they have learned.
        centre: standardise features, and split each into what lies above its mean and what lies below, as a neuron knows no
            negative input; where there are only a few features this costs accuracy. False takes features as they are, of which only
            the direction counts: for pixels, counts and others that are never negative; negative ones are refused, and items that
            differ in length alone are the same.
        gaba_switch: activations after which a neuron of random address is inhibited in full.
        epochs: over the data in `fit`; `partial_fit` passes over them once.
        batch_size: items a step.
        learning_rate: of gradient descent without momentum, with gradients no longer than 1.
        random_state: of addresses, values and batches.
        progress: called as `progress(share of the epochs done)` when an epoch begins.

    Attributes:
        classes_: labels, sorted.
        model_: the trained `attractor.nn.SDMLP`.
        mean_, scale_: of each feature, `(n_features,)`, where they are centred.
        n_features_in_: number of features.

    Example:
        The first batch shows two of ten classes: what the others look like must be said by unlabelled items.

        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = SDMClassifier(neurons=400, init_addresses=X[:400], centre=False, random_state=0)
        >>> for classes in ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)):
        ...     rows = np.flatnonzero(np.isin(y[400:1300], classes)) + 400
        ...     for _ in range(5):
        ...         classifier = classifier.partial_fit(X[rows], y[rows], classes=range(10))
        >>> classifier.score(X[1300:], y[1300:]) > 0.88
        True
    """

    def __init__(
        self,
        *,
        neurons: int = 1000,
        k: int = 10,
        init_addresses: Literal["data", "random"] | Any = "data",
        centre: bool = True,
        gaba_switch: int = 2000,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 0.5,
        random_state: Any = None,
        progress: Callable[[float], None] | None = None,
    ):
        self.neurons = neurons
        self.k = k
        self.init_addresses = init_addresses
        self.centre = centre
        self.gaba_switch = gaba_switch
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from `X (n, features)` and labels `y (n,)`, from the start.

        Raises:
            ValueError: ill-shaped or not finite, negative features that are not centred, labels of a regression, one class only, or
                a setting out of its range; nothing has changed then.
        """
        fresh = copy(self)
        X, y = validate_data(fresh, X, y, dtype=PRECISIONS)
        check_classification_targets(y)
        items = fresh._start(X, unique_labels(y))
        fresh._learn(items, y, check_count("epochs", self.epochs))
        self.__dict__ = fresh.__dict__
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Go on learning: one pass over `X (n, features)` and `y (n,)`, which may hold some of the classes only.

        The first call sets the addresses, and the mean and scale of each feature, once and for all: by `init_addresses` where that
        is an array, by `X` otherwise.

        Args:
            X: features.
            y: labels.
            classes: all labels there will be; required in the first call, and the same in later ones.

        Raises:
            ValueError: as `fit`, `classes` missing in the first call or other ones later, or a label that is none of them; nothing
                has changed then.

        Warns:
            AttractorWarning: the first call sets addresses from items that are fewer than the neurons, or lack some of the classes.
        """
        first = not hasattr(self, "model_")
        fresh = copy(self)
        X, y = validate_data(fresh, X, y, dtype=PRECISIONS, reset=first)
        check_classification_targets(y)
        known = known_classes(None if first else self.classes_, classes, y)
        if first:
            items = fresh._start(X, known)
            if isinstance(self.init_addresses, str) and not self._is_random:
                warn_of_few(y, self.neurons, known)
        else:
            # what raises half-way must leave the model of before
            fresh.model_ = deepcopy(self.model_)
            items = fresh._encoded(X)
        fresh._learn(items, y, 1)
        self.__dict__ = fresh.__dict__
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the classes, `(n, classes)`; of the second against the first, `(n,)`, where there are two."""
        scores = self._scores(X).numpy()
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """The soft-max of the scores, `(n, classes)`."""
        return self._scores(X).softmax(-1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The label `(n,)` of each row of `X (n, features)`."""
        best = self._scores(X).argmax(-1).numpy()
        return self.classes_[best]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one file, without pickle.

        Raises:
            NotFittedError: it is not fitted.
            TypeError: labels that are neither numbers nor strings, or a random state that is no number.
        """
        check_is_fitted(self)
        settings = copy(self)
        settings.progress = None
        # an array has served its purpose once the addresses are set
        settings.init_addresses = self.init_addresses if isinstance(self.init_addresses, str) else "data"
        state = {f"model.{name}": value for name, value in self.model_.state_dict().items()}
        state |= {name: torch.from_numpy(getattr(self, name)) for name in ("mean_", "scale_")}
        extra = {"classes": self.classes_.tolist(), "labels": str(self.classes_.dtype), "seed": self._seed}
        extra["features"] = self.feature_names_in_.tolist() if hasattr(self, "feature_names_in_") else None
        save_estimator(settings, path, state, extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a classifier that `save` has written; an array of `init_addresses` comes back as `"data"`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format.
        """
        settings, state, extra = load_estimator(path, cls)
        with restoring(cls, path):
            loaded = cls(**settings)
            loaded.classes_ = np.array(extra["classes"], dtype=extra["labels"])
            loaded.mean_, loaded.scale_ = (state.pop(name).numpy() for name in ("mean_", "scale_"))
            loaded.n_features_in_, loaded._seed = len(loaded.mean_), int(extra["seed"])
            weights = {name.removeprefix("model."): value for name, value in state.items()}
            if extra["features"] is not None:
                loaded.feature_names_in_ = np.array(extra["features"], dtype=object)
            wanted = {"values": (loaded.neurons, len(loaded.classes_)), "hidden.addresses": (loaded.neurons, loaded._width)}
            # settings may come from anyone: no model is made that is larger than what was saved
            if any(tuple(weights[name].shape) != shape for name, shape in wanted.items()):
                raise ValueError(f"it must hold weights of the shapes {wanted}")
            loaded.model_ = loaded._model(weights["values"].dtype).eval()
            loaded.model_.load_state_dict(weights)
        return loaded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self.centre
        return tags

    def _start(self, X: np.ndarray, classes: np.ndarray) -> Tensor:
        """A new model, and the items that it learns."""
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {classes.tolist()}")
        self.classes_ = classes
        seen = self._seen(X)
        self.mean_, self.scale_ = mean_and_scale(seen)
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        self.model_ = self._model(torch.float64 if X.dtype == np.float64 else torch.float32)
        items = self._encoded(X)
        if not self._is_random:
            name, places = ("X", items) if seen is X else ("init_addresses", self._encoded(seen, "init_addresses"))
            if not bool((places > 0).any()):
                kind = "rows that differ" if self.centre else "rows with positive entries"
                raise ValueError(f"{name} must have {kind} to set addresses to, got none among {len(seen)}")
            self.model_.init_addresses(places, generator=torch.Generator().manual_seed(self._seed))
        return items

    @property
    def _is_random(self) -> bool:
        return isinstance(self.init_addresses, str) and self.init_addresses == "random"

    def _seen(self, X: np.ndarray) -> np.ndarray:
        """The items that the first addresses come from."""
        if self.init_addresses is None or isinstance(self.init_addresses, str):
            if self.init_addresses not in ("data", "random"):
                raise ValueError(f"init_addresses must be 'data', 'random' or an array, got {self.init_addresses!r}")
            return X
        seen = check_array(self.init_addresses, dtype=X.dtype, input_name="init_addresses")
        if seen.shape[1] != X.shape[1]:
            raise ValueError(f"init_addresses must have {X.shape[1]} features like X, got shape {seen.shape}")
        return seen

    @property
    def _width(self) -> int:
        """Of the inputs of the model."""
        return self.n_features_in_ * (2 if self.centre else 1)

    def _model(self, dtype: torch.dtype) -> SDMLP:
        return SDMLP(
            self._width,
            len(self.classes_),
            neurons=self.neurons,
            k=self.k,
            inhibition="gaba" if self._is_random else "subtract",
            gaba_switch=self.gaba_switch,
            nonnegative="error",
            generator=torch.Generator().manual_seed(self._seed),
        ).to(dtype)

    def _learn(self, items: Tensor, y: np.ndarray, epochs: int) -> None:
        learner = SequentialLearner(
            self.model_,
            optimizer=lambda parameters: self._optimizer(list(parameters)),
            loss=cross_entropy,
            epochs=epochs,
            batch_size=self.batch_size,
            seed=self._seed,
            progress=lambda task, epoch: None if self.progress is None else self.progress(epoch / epochs),
        )
        learner.fit_task(items, torch.from_numpy(np.searchsorted(self.classes_, y)))
        self.model_.eval()
        # the next pass has another order
        self._seed += 1

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, check_positive("learning_rate", self.learning_rate))
        optimizer.register_step_pre_hook(lambda *_: clip(parameters))
        return self.model_.project_after(optimizer)

    @torch.no_grad()
    def _scores(self, X: Any) -> Tensor:
        check_is_fitted(self)
        items = self._encoded(validate_data(self, X, dtype=PRECISIONS, reset=False))
        return torch.cat([self.model_(some) for some in items.split(1024)]).double()

    def _encoded(self, X: np.ndarray, name: str = "X") -> Tensor:
        """Features without a sign, in the precision of the model."""
        X = split_signs(X, self.mean_, self.scale_) if self.centre else refuse_negative(X, name)
        return torch.tensor(X, dtype=self.model_.values.dtype)


def clip(parameters: list[nn.Parameter]) -> None:
    nn.utils.clip_grad_norm_(parameters, CLIP)
