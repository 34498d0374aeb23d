"""Embedding of nodes with scikit-learn's habits (Liang, Krotov and Zaki 2022, arXiv 2208.14376)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from attractor.estimators.graph_embedding.adjacency import ISOLATED, Network, network_from
from attractor.estimators.graph_embedding.coarsening import Coarse, coarsened
from attractor.estimators.graph_embedding.files import fitted_from, plain_names, tensors_of
from attractor.estimators.graph_embedding.fitted import Fitted, Kind, RecalledNodes, as_numpy, check_kind
from attractor.estimators.graph_embedding.learning import joined, learn
from attractor.estimators.graph_embedding.training import Learning
from attractor.estimators.saving import load_on_device, restoring, save_estimator
from attractor.validation import check_count, check_device, check_positive


class HopfieldGraphEmbedding(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Embeds the nodes of a graph by an associative memory that recalls a masked node from the nodes around it.

    Walks from a node draw its context; the network, whose memories tie contexts to nodes, is trained to recall the node from it.
    What a context wakes in the K memories is the embedding. It depends on the neighbourhood alone, so nodes that were not there in
    training are embedded too. Normalise rows to unit length before a linear classifier.

    A graph is no matrix of independent rows, so scikit-learn's contract for estimators of such (`check_estimator`) is not claimed.

    Args:
        memories: K, the width of the embedding, at least 2.
        kind: what `transform` gives, for contexts c and the content e of a node. Each row but shares has mean 0: the softmax over
            memories is blind to it, and what training leaves there only blurs unit rows.

            - `"window"`: `Phi s` of all that walks from a node see, itself included; best for classification;
            - `"context"`: `Phi c`, without the node itself, as where it is masked;
            - `"hidden"`: `Xi e + Phi c`, the hidden state of node and context together;
            - `"content"`: `Xi e`, what is known of a node beside its context;
            - `"activity"`: `softmax(beta (Xi e + Phi c))`, shares of memories, best for links and for coarsening.

        window: steps of a walk: how far a context reaches. 1: direct neighbours, for small dense graphs; 10 for sparse ones.
        walks: from a node, that make one context in training. Of a directed graph they follow its edges.
        steps: T, of the network from the masked node to its recall.
        beta: inverse temperature of the memories.
        epochs: in each a walk from every node leads to one that is masked and recalled, well connected ones more often. The nodes
            of `partial_fit`, and those that no walk leads to, are masked themselves.
        batch_size: nodes a step.
        candidates: nodes that a recalled one competes with in a step of training, in graphs that have more.
        learning_rate: how far a step moves a row of memories, in units of the root mean square of its gradients.
        directed: whether edges lead one way. If not, each is taken both ways.
        isolated: what becomes of nodes without a neighbour: `"raise"` an error, `"zero"` embedding, or `"self"`: a node is then its
            own context.
        device: that the network is trained on.
        random_state: of first weights, walks and candidates.

    Attributes:
        nodes_: names of the nodes, as the graph has them, in the order of the rows.
        adjacency_: `(n, n)` sparse. Edges from a node to itself count in coarsening alone: walks pass them by.
        content_, context_: `(n, K)` tensors, the transposes of `Xi` and `Phi`.
        losses_: mean of `-log softmax(v)[node]` in each epoch.

    Example:
        >>> import networkx
        >>> graph = networkx.karate_club_graph()
        >>> embedding = HopfieldGraphEmbedding(8, window=2, epochs=60, random_state=0).fit(graph)
        >>> embedding.transform([0, 33]).shape
        (2, 8)
        >>> embedding.transform({"newcomer": [0, 1, 2]}).shape
        (1, 8)
        >>> embedding.recall(top=5).probability.shape
        (34, 5)
    """

    def __init__(
        self,
        memories: int = 128,
        *,
        kind: Kind = "window",
        window: int = 10,
        walks: int = 2,
        steps: int = 1,
        beta: float = 1.0,
        epochs: int = 20,
        batch_size: int = 1024,
        candidates: int = 256,
        learning_rate: float = 0.05,
        directed: bool = False,
        isolated: Literal["raise", "zero", "self"] = "raise",
        device: str | torch.device = "cpu",
        random_state: Any = None,
    ):
        self.memories = memories
        self.kind = kind
        self.window = window
        self.walks = walks
        self.steps = steps
        self.beta = beta
        self.epochs = epochs
        self.batch_size = batch_size
        self.candidates = candidates
        self.learning_rate = learning_rate
        self.directed = directed
        self.isolated = isolated
        self.device = device
        self.random_state = random_state

    def fit(self, graph: Any, y: Any = None, *, progress: Callable[[float], None] | None = None) -> Self:
        """Learn a graph, from the start.

        Args:
            graph: of NetworkX or igraph, an adjacency matrix of scipy `(n, n)`, an edge index `(2, e)`, the `Data` of PyTorch
                Geometric, or a list of edges `(u, v)` or `(u, v, weight)` of any hashable names. Weights of edges weigh the walks.
            y: ignored.
            progress: told of the fraction that is done.

        Raises:
            TypeError: a graph of another kind.
            ValueError: weights that are negative or not finite, an adjacency matrix that is not square, no edge, nodes without a
                neighbour (`isolated="raise"`), a directed graph with nodes that walks cannot leave, a setting out of its range, or
                training that diverges. Nothing has changed then.
        """
        self._check_settings()
        network = network_from(graph, directed=self.directed)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self._learn(network, (torch.empty(0, self.memories),) * 2, np.arange(len(network.nodes)), seed, progress)
        return self

    def partial_fit(self, graph: Any, y: Any = None, *, progress: Callable[[float], None] | None = None) -> Self:
        """Add new edges, and the nodes that they bring, and go on learning with the nodes at their ends.

        Args:
            graph: the new edges alone, as in `fit`. Where an edge was there, the greater weight counts.
            y: ignored.
            progress: told of the fraction that is done.

        Raises:
            TypeError, ValueError: as in `fit`; or other settings of `memories` than before. Nothing has changed then.
        """
        if not hasattr(self, "fitted_"):
            return self.fit(graph, progress=progress)
        self._check_settings()
        known = self.fitted_
        if self.memories != known.content.shape[1]:
            raise ValueError(f"memories must stay {known.content.shape[1]} after fit, got {self.memories}")
        network, rows = joined(Network(known.adjacency, known.nodes), network_from(graph, directed=self.directed))
        self._learn(network, (known.content, known.context), rows, self.next_seed_, progress)
        return self

    def transform(self, nodes: Any = None) -> np.ndarray:
        """The embedding `(m, K)` of nodes.

        Args:
            nodes: names of nodes of the graph; or a mapping from new nodes to their neighbours in it (of a directed graph, those
                that they lead to), each a sequence of names or a mapping from names to weights of edges. None: all nodes, in the
                order of `nodes_`. What is known of a new node is its context only. Its content, for the kinds that ask for it, is
                what the network recalls.

        Raises:
            NotFittedError: before `fit`.
            TypeError: `nodes` is a graph, or names that are not hashable.
            ValueError: a name that is not in the graph, or a new node without a neighbour.
        """
        return as_numpy(self._fitted().embedding(nodes, self.kind, beta=self.beta, steps=self.steps))

    def fit_transform(self, graph: Any, y: Any = None, *, progress: Callable[[float], None] | None = None) -> np.ndarray:
        """Learn a graph and give the embedding `(n, K)` of its nodes, in the order of `nodes_`."""
        return self.fit(graph, progress=progress).transform()

    def recall(self, contexts: Any = None, *, top: int = 1) -> RecalledNodes:
        """The nodes that contexts call to mind.

        Args:
            contexts: a sequence of contexts, each the neighbours of a masked node: names, or a mapping from names to weights. None:
                each node of the graph is masked in its turn and recalled from its own context.
            top: how many nodes to rank for each.

        Raises:
            NotFittedError: before `fit`.
            TypeError: a context that is no sequence of names.
            ValueError: a name that is not in the graph, an empty context, or more nodes to rank than there are.
        """
        fitted = self._fitted()
        if check_count("top", top) > len(fitted.nodes):
            raise ValueError(f"top must be at most {len(fitted.nodes)}, the nodes, got {top}")
        return fitted.recall(contexts, top, beta=self.beta, steps=self.steps)

    def score_links(self, pairs: Any, *, kind: Kind = "activity") -> np.ndarray:
        """How likely the nodes of each of `pairs` (m names of two nodes) are joined: the cosine `(m,)` of their embeddings.

        Nodes that have no embedding (`isolated="zero"`) score 0.

        Raises:
            TypeError: names that are not hashable.
            ValueError: `pairs` are no pairs, a name that is not in the graph, or an unknown kind.
        """
        fitted = self._fitted()
        check_kind(kind)
        both = [tuple(pair) for pair in pairs]
        if any(len(pair) != 2 for pair in both):
            raise ValueError("pairs must hold two nodes each; transpose an edge index (2, m)")
        ends = [[pair[end] for pair in both] for end in range(2)]
        first, second = (as_numpy(fitted.embedding(one, kind, beta=self.beta, steps=self.steps)) for one in ends)
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return np.asarray((first * second).sum(1) / lengths.clip(min=1e-12))

    def coarsen(self, *, soft: bool = False) -> Coarse:
        """A graph with one node for each memory that nodes wake: that of the greatest activity, or `soft` by their shares."""
        fitted = self._fitted()
        activity = fitted.activity(fitted.content + fitted.drives, self.beta)
        return coarsened(fitted.adjacency, as_numpy(activity).astype(np.float64), soft=soft)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of the embedding."""
        numbers = range(self._fitted().content.shape[1])
        return np.array([f"{type(self).__name__.lower()}{number}" for number in numbers], dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted embedding to one safetensors file, without pickle.

        Raises:
            TypeError: names of nodes that are neither strings nor integers, or a setting that is no number, string or None.
            ValueError: `path` is a folder.
        """
        fitted = self._fitted()
        extra = {"nodes": plain_names(fitted), "losses": self.losses_, "next seed": self.next_seed_}
        save_estimator(self, path, tensors_of(fitted), extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read an embedding that `save` has written; `device` in the place of the one that it was trained on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format, or an unknown device.
        """
        settings, state, extra = load_on_device(path, cls, device)
        with restoring(cls, path):
            loaded = cls(**settings)
            loaded._check_settings()
            loaded.fitted_ = fitted_from(state, extra["nodes"], memories=loaded.memories, device=loaded.device)
            loaded.losses_, loaded.next_seed_ = [float(loss) for loss in extra["losses"]], int(extra["next seed"])
        return loaded

    @property
    def nodes_(self) -> list[Any]:
        return self.fitted_.nodes

    @property
    def adjacency_(self) -> csr_array:
        return self.fitted_.adjacency

    @property
    def content_(self) -> Tensor:
        return self.fitted_.content

    @property
    def context_(self) -> Tensor:
        return self.fitted_.context

    def _learn(
        self,
        network: Network,
        known: tuple[Tensor, Tensor],
        centres: np.ndarray,
        seed: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        """Train on the nodes `centres`; this object changes at the very end."""
        settings = Learning(**{name: getattr(self, name) for name in Learning.__dataclass_fields__})
        self.fitted_, self.losses_, self.next_seed_ = learn(
            network, known, centres, settings, isolated=self.isolated, seed=seed, device=self.device, progress=progress
        )

    def _fitted(self) -> Fitted:
        check_is_fitted(self)
        self._check_settings()
        return self.fitted_

    def _check_settings(self) -> None:
        check_count("memories", self.memories, 2)
        for name in ("window", "walks", "steps", "epochs", "batch_size", "candidates"):
            check_count(name, getattr(self, name))
        for name in ("beta", "learning_rate"):
            check_positive(name, getattr(self, name))
        check_kind(self.kind)
        if self.isolated not in ISOLATED:
            raise ValueError(f"isolated must be one of {', '.join(ISOLATED)}, got {self.isolated!r}")
        check_device(self.device)
