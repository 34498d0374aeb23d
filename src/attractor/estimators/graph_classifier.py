"""Classification of whole graphs, with scikit-learn's interface (Hoover et al. 2023, arXiv 2302.07253)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from attractor.estimators.graph_input import PlainGraph, graphs_from, widths
from attractor.nn.energy_transformer.graphs import TokenGraph, batches, collate, edge_width, flipped, moved, prepare
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.validation import check_count, check_positive

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, column_or_1d
except ImportError as error:
    raise ImportError("GraphClassifier needs scikit-learn: pip install 'attractor[sklearn]'") from error

BETAS = (0.9, 0.99)
CLIP = 1.0
LAST_RATE = 0.005
"""What is left of the learning rate at the end."""


class GraphClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Classifies graphs by the Energy Transformer with attention weighted by structure.

    Graphs come as a list of `attractor.data.Graph`, of NetworkX graphs (numbers as the attribute `features` of nodes and edges, if
    there are any) or of the `Data` of PyTorch Geometric; scikit-learn's cross-validation takes such lists as they are. Features are
    divided by their largest size in the graphs given to `fit`, so nothing of a test fold is seen in training.

    Args:
        dim, heads, key_dim: of the tokens and the attention.
        memories: rows of each block's memory term. Default: `4 dim`.
        blocks: how many, each with weights of its own.
        depth: steps of each block.
        step_size: of a step down the energy.
        positions: Laplacian eigenvectors of a node, computed once for each graph.
        weighted: False takes plain blocks, whose attention is masked by the edges and sees nothing else of them.
        kernel: of the convolution over pairs of nodes. With 3, as in the paper, the order of the nodes matters; with 1 it does not.
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
            TypeError: not graphs, or features that are no numbers.
            ValueError: another number of labels than of graphs, one class only, labels of a regression, a graph that is empty, too
                large, not finite or unlike the others, or a setting out of its range; nothing has changed then.
        """
        self._check_settings()
        fresh = copy(self)
        plain = graphs_from(graphs, max_nodes=self.max_nodes)
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
        model = GraphEnergyTransformer(
            plain[0].node_features.shape[1],
            edge_width(plain[0]),
            len(fresh.classes_),
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
        fresh.model_ = model.to(self.device, plain[0].node_features.dtype)
        labels = torch.from_numpy(np.searchsorted(fresh.classes_, y))
        fresh.losses_ = fresh._train(fresh._tokens(plain), labels, generator, progress)
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
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row].present))
        chances = torch.empty(len(tokens), len(self.classes_), dtype=torch.float64)
        for rows in (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)):
            chances[rows] = self.model_(self._batch(tokens, rows)).softmax(-1).double().cpu()
        return chances.numpy()

    def tokens_of(self, graphs: Any) -> list[TokenGraph]:
        """Each graph as `model_` takes it, in a batch of `attractor.nn.energy_transformer.graphs.collate`.

        Raises:
            TypeError, ValueError: as `predict_proba`.
        """
        check_is_fitted(self)
        plain = graphs_from(graphs, max_nodes=self.max_nodes)
        known = (len(self.node_scale_), None if self.edge_scale_ is None else len(self.edge_scale_))
        if known[1] is not None and widths(plain[0])[1] is None and not any(graph.edge_index.numel() for graph in plain):
            plain = [graph._replace(edge_features=graph.node_features.new_empty(0, known[1])) for graph in plain]
        if widths(plain[0]) != known:
            raise ValueError(f"graphs must have as many node and edge features as in fit, {known}, got {widths(plain[0])}")
        return self._tokens(plain)

    def _tokens(self, graphs: Sequence[PlainGraph]) -> list[TokenGraph]:
        dtype = next(self.model_.parameters()).dtype
        edge_scale = 1 if self.edge_scale_ is None else self.edge_scale_
        scaled = [
            PlainGraph((nodes / self.node_scale_).to(dtype), index, None if kinds is None else (kinds / edge_scale).to(dtype))
            for nodes, index, kinds in graphs
        ]
        return prepare(scaled, positions=self.positions)

    def _batch(self, tokens: Sequence[TokenGraph], rows: Sequence[int]) -> TokenGraph:
        return moved(collate([tokens[row] for row in rows]), self.device)

    def _train(
        self, tokens: Sequence[TokenGraph], labels: Tensor, generator: torch.Generator, progress: Callable[[float], None] | None
    ) -> list[float]:
        """Train the model in place and leave it in evaluation; the mean loss of each epoch."""
        sizes = [len(one.present) for one in tokens]
        noise = torch.Generator(self.device).manual_seed(generator.initial_seed())
        optimiser = torch.optim.AdamW(self.model_.parameters(), self.learning_rate, BETAS, weight_decay=self.weight_decay)
        steps = self.epochs * math.ceil(len(tokens) / self.batch_size)
        schedule = LambdaLR(optimiser, lambda step: rate((step + 1) / steps, self.warm_up))
        losses = []
        for epoch in range(self.epochs):
            total = 0.0
            for rows in batches(sizes, self.batch_size, generator):
                batch = flipped(self._batch(tokens, rows), generator)
                scores = self.model_(batch, generator=noise)
                loss = cross_entropy(scores, labels[rows].to(self.device), label_smoothing=self.label_smoothing)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model_.parameters(), CLIP)
                optimiser.step()
                schedule.step()
                total += loss.item() * len(rows)
            losses.append(total / len(tokens))
            if progress is not None:
                progress((epoch + 1) / self.epochs)
        self.model_.eval()
        return losses

    def _check_settings(self) -> None:
        """Those that the network does not check itself."""
        for name in ("epochs", "batch_size", "max_nodes"):
            check_count(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        for name in ("label_smoothing", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a finite number from 0, got {self.weight_decay!r}")


def largest(features: Sequence[Tensor]) -> Tensor:
    """The largest size of each feature, 1 where it is always zero."""
    sizes = torch.cat(list(features)).abs()
    # a collection may have edge features and not a single edge
    most = sizes.amax(0) if len(sizes) else sizes.new_ones(sizes.shape[1])
    return most.masked_fill(most == 0, 1)


def rate(done: float, warm_up: float) -> float:
    """The factor of the learning rate: a straight rise to 1, then a cosine down to `LAST_RATE`.

    Example:
        >>> [round(rate(done, 0.2), 3) for done in (0.1, 0.2, 1.0)]
        [0.5, 1.0, 0.005]
    """
    if done < warm_up:
        return done / warm_up
    fallen = (1 - math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
    return 1 - (1 - LAST_RATE) * fallen
