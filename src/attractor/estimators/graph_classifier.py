"""Classification of whole graphs, with scikit-learn's interface (Hoover et al. 2023, arXiv 2302.07253)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.graph_input import PlainGraph, Widths, graphs_from
from attractor.estimators.graph_training import train
from attractor.estimators.saving import labels_from, load_on_device, plain_labels, restoring, save_estimator
from attractor.nn.energy_transformer.graphs import OWN_FEATURES, TokenGraph, collate, moved, prepare
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.validation import check_count, check_device, check_not_negative, check_positive, check_share, finite

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, column_or_1d
except ImportError as error:
    raise ImportError("GraphClassifier needs scikit-learn: pip install 'attractor[sklearn]'") from error


class GraphClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Classifies graphs by the Energy Transformer with attention weighted by structure.

    Graphs come as a list or a `GraphCollection` of `attractor.data.Graph`, a list of NetworkX graphs (numbers as the attribute
    `features` of nodes and edges, if there are any; other attributes are passed over) or of the `Data` of PyTorch Geometric;
    scikit-learn's cross-validation takes them as they are. A node of graphs without features has its number of edges. Features are
    divided by their largest size in the graphs given to `fit`, so nothing of a test fold is seen in training.

    Args:
        dim, heads, key_dim: of the tokens and the attention.
        memories: rows of each block's memory term. Default: `4 dim`.
        blocks: how many, each with weights of its own.
        depth: steps of each block.
        step_size: of a step down the energy.
        positions: Laplacian eigenvectors of a node, computed once for each graph.
        weighted: False takes plain blocks, whose attention is masked by the edges and sees nothing else of them.
        kernel: of the convolution over pairs of nodes. With 3, as in the paper, the order of the nodes matters. With 1 it matters
            only where a symmetry of a graph leaves its Laplacian eigenvectors open; with `positions=0` as well, not at all.
        noise: of a step in training.
        label_smoothing: of the cross-entropy, 0 up to 1 (excluded).
        epochs: over the graphs.
        batch_size: graphs in a step of AdamW.
        learning_rate: the highest; it rises over the first part of training and falls along a cosine.
        warm_up: the share of training over which it rises, 0 up to 1 (excluded).
        weight_decay: of AdamW.
        max_nodes: the most nodes of a graph; time and memory grow with their square.
        device: that the network works on.
        random_state: of the start, the batches, the noise and the signs of positions.

    Attributes:
        classes_: labels, sorted.
        model_: the trained `attractor.nn.energy_transformer.graphs_model.GraphEnergyTransformer`.
        widths_: how many features nodes and edges have, None for none.
        node_scale_, edge_scale_: what features are divided by; `edge_scale_` is None without edge features.
        losses_: mean loss of each epoch.

    Example:
        >>> import networkx
        >>> graphs = [networkx.cycle_graph(n) if n % 2 else networkx.star_graph(n) for n in range(3, 11)]
        >>> names = ["ring" if n % 2 else "star" for n in range(3, 11)]
        >>> classifier = GraphClassifier(dim=16, heads=2, key_dim=8, blocks=1, epochs=30, learning_rate=0.02, random_state=0)
        >>> classifier.fit(graphs, names).predict([networkx.cycle_graph(8), networkx.star_graph(5)])
        array(['ring', 'star'], dtype='<U4')
    """

    def __init__(
        self,
        *,
        dim: int = 64,
        heads: int = 4,
        key_dim: int = 16,
        memories: int | None = None,
        blocks: int = 2,
        depth: int = 2,
        step_size: float = 0.5,
        positions: int = 8,
        weighted: bool = True,
        kernel: int = 3,
        noise: float = 0.02,
        label_smoothing: float = 0.05,
        epochs: int = 25,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        warm_up: float = 0.15,
        weight_decay: float = 0.05,
        max_nodes: int = 500,
        device: str | torch.device = "cpu",
        random_state: Any = None,
    ):
        self.dim = dim
        self.heads = heads
        self.key_dim = key_dim
        self.memories = memories
        self.blocks = blocks
        self.depth = depth
        self.step_size = step_size
        self.positions = positions
        self.weighted = weighted
        self.kernel = kernel
        self.noise = noise
        self.label_smoothing = label_smoothing
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warm_up = warm_up
        self.weight_decay = weight_decay
        self.max_nodes = max_nodes
        self.device = device
        self.random_state = random_state

    def fit(self, graphs: Any, y: Any, *, progress: Callable[[float], None] | None = None) -> Self:
        """Learn from graphs and their labels `(n,)`, from the start.

        Args:
            graphs: a list of graphs.
            y: labels.
            progress: told of the fraction that is done.

        Raises:
            TypeError: not graphs, features that are no numbers, or a setting of the wrong type.
            ValueError: another number of labels than of graphs, one class only, labels of a regression, a graph that is empty, too
                large, not finite or unlike the others, a setting out of its range, or a learning rate with which training finds no
                finite loss; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        plain, fresh.widths_ = graphs_from(graphs, max_nodes=self.max_nodes)
        y = column_or_1d(y)
        if len(y) != len(plain):
            raise ValueError(f"y must have {len(plain)} labels, one for each graph, got {len(y)}")
        check_classification_targets(y)
        fresh.classes_ = unique_labels(y)
        if len(fresh.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {fresh.classes_.tolist()}")
        fresh.node_scale_ = largest([graph.node_features for graph in plain])
        kinds = [graph.edge_features for graph in plain if graph.edge_features is not None]
        fresh.edge_scale_ = largest(kinds) if kinds else None
        generator = torch.Generator().manual_seed(int(check_random_state(self.random_state).randint(2**31)))
        fresh.model_ = fresh._model(generator).to(self.device, plain[0].node_features.dtype)
        fresh.losses_ = train(
            fresh.model_,
            fresh._tokens(plain),
            torch.from_numpy(np.searchsorted(fresh.classes_, y)),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warm_up=self.warm_up,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            device=self.device,
            generator=generator,
            progress=progress,
        )
        self.__dict__ = fresh.__dict__
        return self

    def predict(self, graphs: Any) -> np.ndarray:
        """The label `(n,)` of each graph. Errors are those of `predict_proba`."""
        chances = self.predict_proba(graphs)
        return self.classes_[chances.argmax(1)]

    @torch.no_grad()
    def predict_proba(self, graphs: Any) -> np.ndarray:
        """Probabilities `(n, classes)` of each graph, in the order of `classes_`.

        Raises:
            TypeError: not graphs.
            ValueError: a graph that is empty, too large or not finite, or other numbers of features than in `fit`.
        """
        tokens = self.tokens_of(graphs)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row].positions))
        chances = torch.empty(len(tokens), len(self.classes_), dtype=torch.float64)
        for rows in (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)):
            chances[rows] = self.model_(moved(collate([tokens[row] for row in rows]), self.device)).softmax(-1).double().cpu()
        return chances.numpy()

    def tokens_of(self, graphs: Any) -> list[TokenGraph]:
        """Each graph as `model_` takes it, in a batch of `attractor.nn.energy_transformer.graphs.collate`.

        Raises:
            TypeError, ValueError: as `predict_proba`.
        """
        check_is_fitted(self)
        plain, widths = graphs_from(graphs, max_nodes=self.max_nodes)
        if widths.edges is None and self.widths_.edges is not None and not any(graph.edge_index.numel() for graph in plain):
            nothing = plain[0].node_features.new_empty(0, self.widths_.edges)
            plain, widths = [graph._replace(edge_features=nothing) for graph in plain], widths._replace(edges=self.widths_.edges)
        if widths != self.widths_:
            raise ValueError(f"graphs must have as many features as in fit, {self.widths_}, got {widths}")
        return self._tokens(plain)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one safetensors file, without pickle. Its labels are numbers, strings or Booleans.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a setting that is no number, string or None, such as a `random_state` with a state of its own.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        state = {f"model.{name}": value for name, value in self.model_.state_dict().items()} | {"node_scale": self.node_scale_}
        if self.edge_scale_ is not None:
            state["edge_scale"] = self.edge_scale_
        extra = {"classes": plain_labels(self.classes_), "widths": list(self.widths_), "losses": self.losses_}
        save_estimator(self, path, state, extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a classifier that `save` has written; `device` in the place of the one that it was trained on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format, or an unknown device.
        """
        settings, state, extra = load_on_device(path, cls, device)
        with restoring(cls, path):
            loaded = cls(**settings)
            loaded._check_settings()
            loaded.classes_ = labels_from(extra["classes"])
            loaded.widths_, loaded.losses_ = Widths(*extra["widths"]), extra["losses"]
            loaded.node_scale_, loaded.edge_scale_ = state.pop("node_scale"), state.pop("edge_scale", None)
            loaded.model_ = loaded._model(torch.Generator()).to(loaded.device, loaded.node_scale_.dtype)
            loaded.model_.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
        loaded.model_.eval()
        return loaded

    def _model(self, generator: torch.Generator) -> GraphEnergyTransformer:
        nodes, edges = self.widths_
        return GraphEnergyTransformer(
            1 if nodes is None else nodes,
            OWN_FEATURES + (1 if edges is None else edges),
            len(self.classes_),
            dim=self.dim,
            heads=self.heads,
            key_dim=self.key_dim,
            memories=self.memories,
            blocks=self.blocks,
            depth=self.depth,
            step_size=self.step_size,
            positions=self.positions,
            weighted=self.weighted,
            kernel=self.kernel,
            noise=self.noise,
            generator=generator,
        )

    def _tokens(self, graphs: Sequence[PlainGraph]) -> list[TokenGraph]:
        dtype = next(self.model_.parameters()).dtype
        edge_scale = 1 if self.edge_scale_ is None else self.edge_scale_
        scaled = [
            PlainGraph((nodes / self.node_scale_).to(dtype), index, None if kinds is None else (kinds / edge_scale).to(dtype))
            for nodes, index, kinds in graphs
        ]
        for number, (nodes, _, kinds) in enumerate(scaled):
            if not finite(nodes) or (kinds is not None and not finite(kinds)):
                raise ValueError(f"graphs[{number}] must have features that are finite in the precision of fit, {dtype}")
        return prepare(scaled, positions=self.positions)

    def _check_settings(self) -> None:
        for name in ("dim", "heads", "key_dim", "blocks", "depth", "kernel", "epochs", "batch_size", "max_nodes"):
            check_count(name, getattr(self, name))
        if self.memories is not None:
            check_count("memories", self.memories)
        check_count("positions", self.positions, 0)
        for name in ("step_size", "learning_rate"):
            check_positive(name, getattr(self, name))
        for name in ("label_smoothing", "warm_up"):
            check_share(name, getattr(self, name))
        for name in ("noise", "weight_decay"):
            check_not_negative(name, getattr(self, name))
        check_device(self.device)


def largest(features: Sequence[Tensor]) -> Tensor:
    """The largest size of each feature, 1 where it is always zero."""
    sizes = torch.cat(list(features)).abs()
    # a collection may have edge features and not a single edge
    most = sizes.amax(0) if len(sizes) else sizes.new_ones(sizes.shape[1])
    return most.masked_fill(most == 0, 1)
