"""Detection of anomalous nodes in a graph, with scikit-learn's interface (Hoover et al. 2023, arXiv 2302.07253)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from attractor.estimators.graph_anomaly.edges import relations_from
from attractor.estimators.graph_anomaly.features import location_and_scale, standardised
from attractor.estimators.graph_anomaly.labels import ANOMALOUS, NORMAL, UNKNOWN, check_classes, checked_labels, parts
from attractor.estimators.graph_anomaly.network import NodeEnergyTransformer
from attractor.estimators.graph_anomaly.training import NodeGraph, Sampling, Target, area_under_roc, scores, train
from attractor.estimators.saving import load_on_device, restoring, save_estimator
from attractor.nn.energy_transformer.settings import ACTIVATIONS, check_name
from attractor.validation import check_count, check_device, check_not_negative, check_positive, check_share

try:
    from scipy.special import expit
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("GraphAnomalyDetector needs scikit-learn: pip install 'attractor[sklearn]'") from error

PRECISIONS = (np.float32, np.float64)  # of features and network; others become the first
ARRAYS = ("mean_", "scale_", "decision_scores_", "labels_")
NUMBERS = ("best_epoch_", "validation_score_", "threshold_", "relations_")


class GraphAnomalyDetector(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Finds anomalous nodes of a graph by the Energy Transformer: a node attends to its neighbours and itself.

    Some nodes are labelled (0 normal, 1 anomalous), the others (-1) take part by their features and edges. It is inductive:
    `predict` takes any graph with the same features. They are standardised by the nodes given to `fit`; labels are never an input.
    Rows of one graph cannot be split without their edges, so `GridSearchCV` does not apply: loop over settings, as below.

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
            `2 * steps` hops, as far as the steps down the energy reach. None: the whole graph in one step. Memory grows with the
            edges all the same, as the whole graph is scored after each epoch, without gradients.
        neighbours: most that are drawn for one node, of each kind of edges and in both directions, where `batch_size` is given.
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
        >>> from sklearn.model_selection import ParameterGrid
        >>> grid = ParameterGrid({"epochs": [5], "steps": [1, 2]})
        >>> found = [detector.set_params(**settings).fit(X, edges, y).validation_score_ for settings in grid]
        >>> best = grid[int(np.argmax(found))]
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
                give undirected edges both ways. (In a `Data` the second attends to the first: give it whole, not its `edge_index`.)
                Each node attends to itself as well. Nodes of NetworkX that are the numbers 0 to n - 1 stand for the rows of those
                numbers, all others for the rows in the order of `graph.nodes`.
            y: labels `(n,)`: 0 or False normal, 1 or True anomalous, -1 unknown.
            train_mask: nodes `(n,)` to train on. Default: all labelled ones that are not for validation.
            validation_mask: nodes `(n,)` for the best epoch and threshold. Default: a part of the others, by `validation_fraction`.
            progress: told of the fraction that is done.

        Raises:
            TypeError: edges, labels or masks of another kind.
            ValueError: sizes that disagree, values that are not finite, nodes for both training and validation or without a label,
                one class only in either, a setting out of its range, or training that diverges; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        X = validate_data(fresh, X, dtype=PRECISIONS)
        relations = relations_from(edges, len(X))
        labels = checked_labels(y, len(X))
        random = check_random_state(self.random_state)
        train_part, validation_part = parts(labels, train_mask, validation_mask, self.validation_fraction, random)
        counts = np.bincount(labels[train_part])
        fresh.classes_ = np.array([NORMAL, ANOMALOUS])
        fresh.relations_ = tuple(relations)
        fresh.mean_, fresh.scale_ = location_and_scale(X)
        generator = torch.Generator().manual_seed(int(random.randint(2**31)))
        fresh.network_ = fresh._network(generator, torch.from_numpy(X).dtype)
        graph = fresh._graph(X, relations)
        chosen = (torch.from_numpy(part.nonzero()[0]).to(self.device) for part in (train_part, validation_part))
        best = train(
            fresh.network_,
            graph,
            Target(torch.from_numpy(labels).to(graph.features), *chosen),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            anomaly_weight=counts[NORMAL] / counts[ANOMALOUS] if self.anomaly_weight == "balanced" else self.anomaly_weight,
            sampling=None if self.batch_size is None else Sampling(self.batch_size, 2 * self.steps, self.neighbours),
            generator=generator,
            progress=progress,
        )
        fresh.best_epoch_, fresh.validation_score_, fresh.threshold_ = best
        fresh.decision_scores_ = scores(fresh.network_, graph).double().cpu().numpy()
        fresh.labels_ = (fresh.decision_scores_ > fresh.threshold_).astype(np.int64)
        self.__dict__ = fresh.__dict__
        return self

    def build_network(self, features: int, generator: torch.Generator) -> nn.Module:
        """The module that is trained: `module(features (n, f), relations) -> (n,)` log-odds.

        Override it to train another one by the same rules; `generator` is for its first weights and for dropout.
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
            generator=generator,
        )

    def decision_function(self, X: Any, edges: Any) -> np.ndarray:
        """Log-odds `(n,)` that each node of a graph is anomalous; above `threshold_` it is called so.

        Raises:
            NotFittedError: before `fit`.
            ValueError: other features or relations than those of `fit`, or values so large that log-odds are not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=PRECISIONS, reset=False)
        relations = relations_from(edges, len(X))
        if set(relations) != set(self.relations_):
            raise ValueError(f"edges must have the relations of fit, {list(self.relations_)}, got {list(relations)}")
        return scores(self.network_, self._graph(X, {name: relations[name] for name in self.relations_})).double().cpu().numpy()

    def predict_proba(self, X: Any, edges: Any) -> np.ndarray:
        """Probabilities `(n, 2)` of normal and anomalous, for classes weighted as in training."""
        anomalous = expit(self.decision_function(X, edges))
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
        known = labels != UNKNOWN
        check_classes("y", labels[known])
        return area_under_roc(torch.from_numpy(values[known]), torch.from_numpy(labels[known] == ANOMALOUS))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted detector to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a setting that is no number, string or None, such as a `random_state` with a state of its own.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        weights = {f"network.{name}": value for name, value in self.network_.state_dict().items()}
        arrays = {name: torch.from_numpy(getattr(self, name)) for name in ARRAYS}
        save_estimator(self, path, weights | arrays, {name: getattr(self, name) for name in NUMBERS})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a detector that `save` has written; `device` in the place of the one that it was trained on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format, or an unknown device.
        """
        settings, state, extra = load_on_device(path, cls, device)
        with restoring(cls, path):
            loaded = cls(**settings)
            loaded._check_settings()
            loaded.classes_ = np.array([NORMAL, ANOMALOUS])
            for name in (*ARRAYS, *NUMBERS):
                setattr(loaded, name, state.pop(name).numpy() if name in ARRAYS else extra[name])
            loaded.n_features_in_, loaded.relations_ = len(loaded.mean_), tuple(loaded.relations_)
            weights = {name.removeprefix("network."): value for name, value in state.items()}
            loaded.network_ = loaded._network(torch.Generator(), next(iter(weights.values())).dtype)
            loaded.network_.load_state_dict(weights)
        loaded.network_.eval()
        return loaded

    def _network(self, generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return self.build_network(len(self.mean_), generator).to(self.device, dtype)

    def _graph(self, X: np.ndarray, relations: Mapping[str, Tensor]) -> NodeGraph:
        """The graph on the device; its features standardised, in the precision of the network."""
        features = standardised(X, self.mean_, self.scale_, next(self.network_.parameters()))
        return NodeGraph(features, {name: edges.to(features.device) for name, edges in relations.items()})

    def _check_settings(self) -> None:
        for name in ("dim", "heads", "steps", "epochs", "neighbours"):
            check_count(name, getattr(self, name))
        for name, least in (("key_dim", 1), ("memories", 0), ("batch_size", 1)):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), least)
        check_name("activation", self.activation, ACTIVATIONS)
        for name in ("step_size", "learning_rate"):
            check_positive(name, getattr(self, name))
        check_not_negative("weight_decay", self.weight_decay)
        if self.anomaly_weight != "balanced":
            check_positive("anomaly_weight", self.anomaly_weight)
        check_share("dropout", self.dropout)
        check_positive("validation_fraction", check_share("validation_fraction", self.validation_fraction))
        check_device(self.device)
