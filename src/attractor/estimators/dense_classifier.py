"""The dense associative memory as a classifier with scikit-learn's interface (Krotov and Hopfield 2016)."""

from __future__ import annotations

import warnings
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from attractor.errors import AttractorWarning
from attractor.estimators.sequential import SequentialLearner
from attractor.nn import DenseClassifier, MemoryOptimizer, classification_loss
from attractor.nn.dense_classifier.classifier import Initialise
from attractor.nn.dense_classifier.interaction import InteractionName

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, validate_data

    from attractor.estimators.known_classes import known_classes
except ImportError as error:
    raise ImportError("DenseMemoryClassifier needs scikit-learn: pip install 'attractor[sklearn]'") from error

TEMPERATURES = {2: 0.25, 3: 0.2, 5: 0.33, 10: 0.5, 20: 0.6, 30: 0.65}
"""Temperature for each vertex, found on scikit-learn's digits; those between are interpolated, above 30 it stays."""
PRECISIONS = (np.float64, np.float32)


class DenseMemoryClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Classifies by a dense associative memory whose memories are learned.

    Features are scaled to [-1, 1] from the smallest to the largest value of the training data, and cut off there.

    Args:
        memories: how many memories are learned.
        n: interaction vertex. Low ones learn features, high ones prototypes.
        interaction: `"rectified"`, `"polynomial"` or `"leaky"`.
        temperature: of the interaction. Default: by `temperature_of(n)`.
        initialise: `"data"` starts at halves of training items; `"krotov"` and `"normal"` at noise, see `DenseClassifier`.
        limits: smallest and largest value of all features, such as `(0, 255)` for pixels. Default: those of each feature in the
            data of the first fit.
        epochs: over the data in `fit`; `partial_fit` passes over them once.
        batch_size: items a step.
        learning_rate: how far the fastest entry of a memory moves in one step.
        decay: factor of the learning rate after each epoch of `fit`.
        momentum: of the steps.
        power: `m` of the loss `sum (tanh(z) - t)^(2m)`.
        random_state: of the start and the batches.

    Attributes:
        classes_: labels, sorted.
        model_: the trained `attractor.nn.DenseClassifier`.
        minimum_, maximum_: of each feature, `(n_features,)`.
        n_features_in_: number of features.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = DenseMemoryClassifier(memories=16, random_state=0).fit(X[::2], y[::2])
        >>> classifier.score(X[1::2], y[1::2]) > 0.9
        True
    """

    def __init__(
        self,
        *,
        memories: int = 64,
        n: int = 5,
        interaction: InteractionName = "rectified",
        temperature: float | None = None,
        initialise: Initialise = "data",
        limits: tuple[float, float] | None = None,
        epochs: int = 30,
        batch_size: int = 100,
        learning_rate: float = 0.05,
        decay: float = 0.97,
        momentum: float = 0.6,
        power: int = 1,
        random_state: Any = None,
    ):
        self.memories = memories
        self.n = n
        self.interaction = interaction
        self.temperature = temperature
        self.initialise = initialise
        self.limits = limits
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.momentum = momentum
        self.power = power
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from `X (n, features)` and labels `y (n,)`, from the start.

        Raises:
            ValueError: ill-shaped or not finite, labels of a regression, one class only, or a setting out of its range; nothing has
                changed then.
        """
        fresh = copy(self)
        X, y = validate_data(fresh, X, y, dtype=PRECISIONS)
        check_classification_targets(y)
        items, labels = fresh._start(X, y, unique_labels(y))
        fresh._learn(items, labels, self.epochs)
        self.__dict__ = fresh.__dict__
        dead = self.model_.dead_share(items)
        if dead > 0.5:
            warnings.warn(
                f"{dead:.0%} of {self.memories} memories are dead: F(on) is zero for every item and class, so they learn nothing. "
                f"Change the temperature {self.model_.temperature:g}, or use initialise='data'",
                AttractorWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Go on learning: one pass over `X (n, features)` and `y (n,)`.

        The first call fixes the range of each feature, unless `limits` are given.

        Args:
            X: features.
            y: labels.
            classes: all labels there will be; required in the first call, and the same in later ones.

        Raises:
            ValueError: as `fit`, `classes` missing in the first call or other ones later, or a label that is none of them; nothing
                has changed then.
        """
        first = not hasattr(self, "model_")
        fresh = copy(self)
        X, y = validate_data(fresh, X, y, dtype=PRECISIONS, reset=first)
        check_classification_targets(y)
        known = known_classes(None if first else self.classes_, classes, y)
        items, labels = fresh._start(X, y, known) if first else (self._fitting(X), self._numbers(y))
        fresh._learn(items, labels, 1)
        self.__dict__ = fresh.__dict__
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of the classes, `(n, classes)`; of the second against the first, `(n,)`, where there are two."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The label `(n,)` of each row of `X (n, features)`. Warns where no memory answers."""
        items = self._checked(X)
        return self.classes_[self.model_.predict(items).numpy()]

    def _start(self, X: np.ndarray, y: np.ndarray, classes: np.ndarray) -> tuple[Tensor, Tensor]:
        """A new model, and the items and labels that it learns."""
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {classes.tolist()}")
        self.classes_ = classes
        self.minimum_, self.maximum_ = self._limits(X)
        items, labels = self._scaled(X), self._numbers(y)
        self._seed = int(check_random_state(self.random_state).randint(2**31))
        self.model_ = DenseClassifier(
            X.shape[1],
            len(classes),
            memories=self.memories,
            n=self.n,
            interaction=self.interaction,
            temperature=temperature_of(self.n) if self.temperature is None else self.temperature,
            initialise=self.initialise,
            data=(items, labels) if self.initialise == "data" else None,
            seed=self._seed,
        ).to(items.dtype)
        return items, labels

    def _limits(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.limits is None:
            return X.min(0), X.max(0)
        limits = np.asarray(self.limits)
        fits = limits.shape == (2,) and limits.dtype.kind in "iuf"
        with np.errstate(over="ignore"):
            if not fits or not 0 < np.diff(limits.astype(X.dtype))[0] < np.inf:
                raise ValueError(f"limits must be a smaller and a larger finite number, got {self.limits!r}")
        low, high = np.repeat(limits[:, None].astype(X.dtype), X.shape[1], 1)
        return low, high

    def _learn(self, items: Tensor, labels: Tensor, epochs: int) -> None:
        learner = SequentialLearner(
            self.model_,
            optimizer=lambda parameters: MemoryOptimizer(parameters, self.learning_rate, self.momentum),
            loss=lambda z, targets: classification_loss(z, targets, self.power),
            epochs=epochs,
            batch_size=self.batch_size,
            schedule=lambda optimizer: ExponentialLR(optimizer, self.decay),
            seed=self._seed,
        )
        learner.fit_task(items, labels)
        # the next pass has another order
        self._seed += 1

    @torch.no_grad()
    def _scores(self, X: Any) -> np.ndarray:
        items = self._checked(X)
        return self.model_(items).double().numpy()

    def _checked(self, X: Any) -> Tensor:
        check_is_fitted(self)
        return self._fitting(validate_data(self, X, dtype=PRECISIONS, reset=False))

    def _fitting(self, X: np.ndarray) -> Tensor:
        """Items in the precision of the model."""
        return self._scaled(X).to(self.model_.memories.dtype)

    def _scaled(self, X: np.ndarray) -> Tensor:
        """Features from -1 to 1; a constant one is -1."""
        span = self.maximum_ - self.minimum_
        shares = np.where(span > 0, (X - self.minimum_) / np.where(span > 0, span, 1), 0)
        return torch.from_numpy(np.clip(shares, 0, 1) * 2 - 1)

    def _numbers(self, y: np.ndarray) -> Tensor:
        return torch.from_numpy(np.searchsorted(self.classes_, y))


def temperature_of(n: int) -> float:
    """The documented temperature of the vertex `n`: what `temperature=None` means.

    Example:
        >>> temperature_of(10), round(temperature_of(15), 3)
        (0.5, 0.55)
    """
    return float(np.interp(n, list(TEMPERATURES), list(TEMPERATURES.values())))
