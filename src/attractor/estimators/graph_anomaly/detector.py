"""Detection of anomalous nodes in a graph, with scikit-learn's interface (Hoover et al. 2023, arXiv 2302.07253)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from attractor.estimators.graph_anomaly.edges import relations_from
from attractor.estimators.graph_anomaly.network import NodeEnergyTransformer
from attractor.estimators.graph_anomaly.training import Graph, Sampling, Target, area_under_roc, scores, seeded, train
from attractor.validation import check_count, check_positive

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("GraphAnomalyDetector needs scikit-learn: pip install 'attractor[sklearn]'") from error

PRECISIONS = (np.float64, np.float32)
NORMAL, ANOMALOUS, UNKNOWN = 0, 1, -1


class GraphAnomalyDetector(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Finds anomalous nodes of a graph by the Energy Transformer: a node attends to its neighbours and itself.

    Some nodes are labelled (0 normal, 1 anomalous), the others (-1) take part by their features and edges. It is inductive:
    `predict` takes any graph with the same features. They are standardised by the nodes given to `fit`; labels are never an input.

    Args:
        dim: of a token.
        heads, key_dim: of the attention; `key_dim` is `dim` by default.
        memories: how many; `2 * dim` by default.
        activation: of the memories, `"relu"` or `"softmax"`.
        steps: down the energy.
        step_size: of each.
        dropout: share of the read-out's inputs left out in training. (The paper's code leaves out memories: no longer one energy.)
        epochs: over the training nodes; the one with the greatest area under the ROC curve on the validation nodes is kept.
        learning_rate, weight_decay: of Adam.
        anomaly_weight: of an anomalous node in the loss; `"balanced"`: the number of normal training nodes over the others.
        validation_fraction: share of the labelled nodes that is held out for epoch and threshold, where `fit` is not told them.
        batch_size: training nodes a step, for graphs too large to be trained whole: each step sees them with neighbours within
            `2 * steps` hops, as far as a step down the energy reaches. None: the whole graph in one step.
        neighbours: most that are drawn for one node, of each kind of edges, where `batch_size` is given.
        device: that the network works on.
        random_state: of the start, the validation nodes, dropout and batches.

    Attributes:
        classes_: `[0, 1]`.
        network_: the trained module, `network_(features, relations)` gives log-odds.
        threshold_: of `decision_function`, above which a node is called anomalous: of the probabilities .05, .10 to .95 the one
            with the greatest macro-F1 on the validation nodes, as log-odds.
        decision_scores_, labels_: `(n,)` of the nodes given to `fit`: log-odds, and 1 where above the threshold.
        best_epoch_, validation_score_: the epoch that was kept, and its area under the ROC curve on the validation nodes.
        relations_: names of the kinds of edges.
        mean_, scale_: of each feature.
        n_features_in_: number of features.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> y = np.arange(60) % 3 == 0
        >>> X = generator.normal(size=(60, 2)) + y[:, None]
        >>> edges = np.stack([np.arange(60), (np.arange(60) + 3) % 60])  # joins nodes of one class
        >>> detector = GraphAnomalyDetector(dim=8, epochs=40, random_state=0)
        >>> detector.fit(X, np.concatenate([edges, edges[::-1]], 1), y).score(X, edges, y) > 0.9
        True
    """

    def __init__(
        self,
        *,
        dim: int = 32,
        heads: int = 1,
        key_dim: int | None = None,
        memories: int | None = None,
        activation: Literal["relu", "softmax"] = "relu",
        steps: int = 1,
        step_size: float = 1.0,
        dropout: float = 0.0,
        epochs: int = 100,
        learning_rate: float = 0.01,
        weight_decay: float = 0.0,
        anomaly_weight: float | Literal["balanced"] = "balanced",
        validation_fraction: float = 0.25,
        batch_size: int | None = None,
        neighbours: int = 10,
        device: str | torch.device = "cpu",
        random_state: Any = None,
    ):
        self.dim = dim
        self.heads = heads
        self.key_dim = key_dim
        self.memories = memories
        self.activation = activation
        self.steps = steps
        self.step_size = step_size
        self.dropout = dropout
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.anomaly_weight = anomaly_weight
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.neighbours = neighbours
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        edges: Any,
        y: Any,
        *,
        train_mask: Any = None,
        validation_mask: Any = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Learn from a graph, from the start.

        Args:
            X: features `(n, features)`.
            edges: an edge index `(2, e)`, a sparse matrix of scipy, a graph of NetworkX, the `Data` of PyTorch Geometric, or a
                mapping from names to these for several kinds. The first of a pair attends to the second (a row to its columns):
                give undirected edges both ways. Each node attends to itself as well.
            y: labels `(n,)`: 0 or False normal, 1 or True anomalous, -1 unknown.
            train_mask: nodes `(n,)` to train on. Default: all labelled ones that are not for validation.
            validation_mask: nodes `(n,)` for the best epoch and threshold. Default: a part of the others, by `validation_fraction`.
            progress: told of the fraction that is done.

        Raises:
            TypeError: edges, labels or masks of another kind.
            ValueError: sizes that disagree, values that are not finite, nodes for both training and validation or without a label,
                one class only in either, or a setting out of its range; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        X = validate_data(fresh, X, dtype=PRECISIONS)
        relations = relations_from(edges, len(X))
        labels = checked_labels(y, len(X))
        random = check_random_state(self.random_state)
        parts = fresh._parts(labels, train_mask, validation_mask, random)
        counts = np.bincount(labels[parts[0]])
        fresh.classes_ = np.array([NORMAL, ANOMALOUS])
        fresh.relations_ = tuple(relations)
        fresh.mean_, fresh.scale_ = X.mean(0), X.std(0)
        fresh.scale_[fresh.scale_ == 0] = 1
        graph = fresh._graph(X, relations)
        place, dtype = graph.features.device, graph.features.dtype
        target = Target(
            torch.from_numpy(labels).to(place, dtype), *(torch.from_numpy(part.nonzero()[0]).to(place) for part in parts)
        )
        seed = int(random.randint(2**31))
        with seeded(seed):
            fresh.network_ = fresh.build_network(X.shape[1]).to(place, dtype)
            best = train(
                fresh.network_,
                graph,
                target,
                epochs=self.epochs,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                anomaly_weight=counts[NORMAL] / counts[ANOMALOUS] if self.anomaly_weight == "balanced" else self.anomaly_weight,
                sampling=None if self.batch_size is None else Sampling(self.batch_size, 2 * self.steps, self.neighbours),
                seed=seed,
                progress=progress,
            )
        fresh.best_epoch_, fresh.validation_score_, fresh.threshold_ = best
        fresh.decision_scores_ = as_array(scores(fresh.network_, graph))
        fresh.labels_ = (fresh.decision_scores_ > fresh.threshold_).astype(np.int64)
        self.__dict__ = fresh.__dict__
        return self

    def build_network(self, features: int) -> nn.Module:
        """The module that is trained: `module(features (n, f), relations) -> (n,)` log-odds.

        Override it to train another one by the same rules.
        """
        return NodeEnergyTransformer(
            features,
            self.dim,
            dropout=self.dropout,
            heads=self.heads,
            key_dim=self.dim if self.key_dim is None else self.key_dim,
            memories=2 * self.dim if self.memories is None else self.memories,
            activation=self.activation,
            learn_beta=True,
            step_size=self.step_size,
            steps=self.steps,
            init="scaled",
        )

    def decision_function(self, X: Any, edges: Any) -> np.ndarray:
        """Log-odds `(n,)` that each node of a graph is anomalous; above `threshold_` it is called so.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other features or relations than those of `fit`, or as there.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=PRECISIONS, reset=False)
        relations = relations_from(edges, len(X))
        if set(relations) != set(self.relations_):
            raise ValueError(f"edges must have the relations of fit, {list(self.relations_)}, got {list(relations)}")
        return as_array(scores(self.network_, self._graph(X, {name: relations[name] for name in self.relations_})))

    def predict_proba(self, X: Any, edges: Any) -> np.ndarray:
        """Probabilities `(n, 2)` of normal and anomalous, for classes weighted as in training."""
        anomalous = 1 / (1 + np.exp(-self.decision_function(X, edges)))
        return np.stack([1 - anomalous, anomalous], 1)

    def predict(self, X: Any, edges: Any) -> np.ndarray:
        """1 for each node of a graph that is called anomalous, 0 for the others: `(n,)`."""
        return (self.decision_function(X, edges) > self.threshold_).astype(np.int64)

    def score(self, X: Any, edges: Any, y: Any) -> float:
        """The area under the ROC curve over the nodes with a label.

        Raises:
            ValueError: `y` has one class only.
        """
        values = self.decision_function(X, edges)
        labels = checked_labels(y, len(values))
        check_classes("y", labels[labels != UNKNOWN])
        return area_under_roc(torch.from_numpy(values[labels != UNKNOWN]), torch.from_numpy(labels[labels != UNKNOWN] == ANOMALOUS))

    def _graph(self, X: np.ndarray, relations: dict[str, Tensor]) -> Graph:
        standard = ((X - self.mean_) / self.scale_).astype(self.mean_.dtype)
        return Graph(torch.from_numpy(standard).to(self.device), {name: edges.to(self.device) for name, edges in relations.items()})

    def _parts(
        self, labels: np.ndarray, train_mask: Any, validation_mask: Any, random: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the nodes for training and for validation."""
        known = labels != UNKNOWN
        training = None if train_mask is None else checked_mask("train_mask", train_mask, known)
        if validation_mask is not None:
            validation = checked_mask("validation_mask", validation_mask, known)
        else:
            pool = (known if training is None else training).nonzero()[0]
            check_classes("y", labels[pool])
            held, _ = train_test_split(pool, train_size=self.validation_fraction, stratify=labels[pool], random_state=random)
            validation = np.zeros_like(known)
            validation[held] = True
            training = None if training is None else training & ~validation
        training = known & ~validation if training is None else training
        if (training & validation).any():
            raise ValueError(f"train_mask and validation_mask must not overlap, got {(training & validation).sum()} nodes in both")
        for name, part in (("training", training), ("validation", validation)):
            check_classes(f"the nodes for {name}", labels[part])
        return training, validation

    def _check_settings(self) -> None:
        for name in ("dim", "steps", "epochs", "neighbours"):
            check_count(name, getattr(self, name))
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size)
        check_positive("learning_rate", self.learning_rate)
        if self.anomaly_weight != "balanced":
            check_positive("anomaly_weight", self.anomaly_weight)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, got {self.validation_fraction!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")


def checked_labels(y: Any, nodes: int) -> np.ndarray:
    """Labels `(n,)` int64 of -1, 0 and 1."""
    labels = np.asarray(y)
    if labels.shape != (nodes,):
        raise ValueError(f"y must have shape ({nodes},), one label for each row of X, got {labels.shape}")
    if labels.dtype.kind not in "iub":
        raise TypeError(f"y must hold integers or Booleans, got {labels.dtype}")
    labels = labels.astype(np.int64)
    strange = np.setdiff1d(labels, (UNKNOWN, NORMAL, ANOMALOUS))
    if len(strange):
        raise ValueError(f"y must hold 0 (normal), 1 (anomalous) and -1 (unknown), got {strange[:8].tolist()}")
    return labels


def checked_mask(name: str, mask: Any, known: np.ndarray) -> np.ndarray:
    """A mask `(n,)` of labelled nodes."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must be Boolean, got {array.dtype}")
    if array.shape != known.shape:
        raise ValueError(f"{name} must have shape {known.shape}, got {array.shape}")
    if (array & ~known).any():
        raise ValueError(f"{name} must choose labelled nodes, got {(array & ~known).sum()} with the label -1")
    return array


def check_classes(name: str, labels: np.ndarray) -> None:
    """Both classes must be there: without one of them the weight of the classes is not finite."""
    for label, word in ((NORMAL, "normal (0)"), (ANOMALOUS, "anomalous (1)")):
        if not (labels == label).any():
            raise ValueError(f"{name} must hold both classes, got none that is {word} among {len(labels)} labelled nodes")


def as_array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
