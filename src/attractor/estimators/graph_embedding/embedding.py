"""Embedding of nodes with scikit-learn's habits (Liang, Krotov and Zaki 2022, arXiv 2208.14376)."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from attractor.estimators.graph_embedding.adjacency import (
    ISOLATED,
    Network,
    adjacency_of,
    is_graph,
    network_from,
    some,
    with_ways_out,
)
from attractor.estimators.graph_embedding.coarsening import Coarse, coarsened
from attractor.estimators.graph_embedding.contexts import as_numpy, drives, reach, returns
from attractor.estimators.graph_embedding.network import energy, recalled_activity
from attractor.estimators.graph_embedding.training import Learning, train
from attractor.estimators.saving import load_estimator, save_estimator
from attractor.validation import check_count, check_device, check_positive

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError("HopfieldGraphEmbedding needs scikit-learn: pip install 'attractor[sklearn]'") from error

Kind = Literal["context", "hidden", "content", "activity"]
KINDS = ("context", "hidden", "content", "activity")
SPREAD = 0.1  # of the first weights
ROWS = 1024  # contexts that are recalled at once
PARTS = ("data", "indices", "indptr")
TENSORS = ("content_", "context_", "reached_", "drives_")


class RecalledNodes(NamedTuple):
    """The best nodes for each of b contexts, best first.

    Attributes:
        nodes: b lists of as many nodes as were asked for.
        probability: `(b, top)` of each.
        energy: `(b,)` of the state that was reached: low where the network knows such a context.
    """

    nodes: list[list[Hashable]]
    probability: np.ndarray
    energy: np.ndarray


class HopfieldGraphEmbedding(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not annotated
    """Embeds the nodes of a graph by an associative memory that recalls a masked node from the nodes around it.

    Walks from a node draw its context; the network, whose memories tie contexts to nodes, is trained to recall the node from it.
    What a context wakes in the K memories is the embedding. It depends on the neighbourhood alone, so nodes that were not there in
    training are embedded too. Normalise rows to unit length before a linear classifier.

    A graph is no matrix of independent rows, so scikit-learn's contract for estimators of such (`check_estimator`) is not claimed.

    Args:
        memories: K, the width of the embedding, at least 2.
        kind: what `transform` gives, for contexts c and the content e of a node:

            - `"context"`: `Phi c`, best for classification;
            - `"hidden"`: `Xi e + Phi c`, the hidden state of node and context together;
            - `"content"`: `Xi e`, what is known of a node beside its context;
            - `"activity"`: `softmax(beta (Xi e + Phi c))`, shares of memories, best for links and for coarsening.

        window: steps of a walk: how far a context reaches. 1: direct neighbours, for small dense graphs; 10 for sparse ones.
        walks: from a node, that make one context in training. Of a directed graph they follow its edges.
        steps: T, of the network from the masked node to its recall.
        beta: inverse temperature of the memories.
        epochs: in each a walk from every node leads to one that is recalled.
        batch_size: nodes a step.
        candidates: nodes that a recalled one competes with in a step of training, in graphs that have more.
        learning_rate: of Adam.
        directed: whether edges lead one way. If not, each is taken both ways.
        isolated: what becomes of nodes without a neighbour: `"raise"` an error, `"zero"` embedding, or `"self"`: a node is then its
            own context.
        device: that the network is trained on.
        random_state: of first weights, walks and candidates.

    Attributes:
        nodes_: names of the nodes, as the graph has them, in the order of the rows.
        adjacency_: `(n, n)` sparse.
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
        kind: Kind = "context",
        window: int = 10,
        walks: int = 2,
        steps: int = 1,
        beta: float = 1.0,
        epochs: int = 20,
        batch_size: int = 1024,
        candidates: int = 1024,
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
                Geometric, or a list of edges `(u, v)` or `(u, v, weight)`. Names of nodes may be anything that is hashable.
                Weights of edges weigh the walks.
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
        size = (len(network.nodes), self.memories)
        generator = self._generator()
        first, second = (SPREAD * torch.randn(size, generator=generator, device=self.device) for _ in range(2))
        self._learn(network, first, second, np.arange(len(network.nodes)), generator, progress)
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
        if not hasattr(self, "nodes_"):
            return self.fit(graph, progress=progress)
        self._check_settings()
        if self.memories != self.content_.shape[1]:
            raise ValueError(f"memories must stay {self.content_.shape[1]} after fit, got {self.memories}")
        added = network_from(graph, directed=self.directed)
        nodes = list(dict.fromkeys([*self.nodes_, *added.nodes]))
        place = {node: row for row, node in enumerate(nodes)}
        rows = np.array([place[node] for node in added.nodes])
        shape = (len(nodes), len(nodes))
        old, new = self.adjacency_.tocoo(), added.adjacency.tocoo()
        adjacency = csr_array(coo_array((old.data, (old.row, old.col)), shape=shape)).maximum(
            csr_array(coo_array((new.data, (rows[new.row], rows[new.col])), shape=shape))
        )
        generator = self._generator()
        fresh = (len(nodes) - len(self.nodes_), self.memories)
        content, context = (
            torch.cat([known.to(self.device), SPREAD * torch.randn(fresh, generator=generator, device=self.device)])
            for known in (self.content_, self.context_)
        )
        self._learn(Network(csr_array(adjacency), nodes), content, context, rows, generator, progress)
        return self

    def transform(self, nodes: Any = None) -> np.ndarray:
        """The embedding `(m, K)` of nodes.

        Args:
            nodes: names of nodes of the graph; or a mapping from new nodes to their neighbours in it, each a sequence of names or a
                mapping from names to weights of edges. None: all nodes, in the order of `nodes_`.

                What is known of a new node is its context only. Its content, for the kinds that ask for it, is what the network
                recalls.

        Raises:
            NotFittedError: before `fit`.
            TypeError: `nodes` is a graph.
            ValueError: a name that is not in the graph, or a new node without a neighbour.
        """
        found = self._embedding(self.kind, nodes)
        if self.isolated == "zero" and not isinstance(nodes, Mapping):
            rows = slice(None) if nodes is None else self._rows(nodes)
            others = np.asarray(self.adjacency_.sum(1)).ravel() - self.adjacency_.diagonal()
            found[others[rows] == 0] = 0
        return found

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
            ValueError: a name that is not in the graph, an empty context, or more nodes to rank than there are.
        """
        check_is_fitted(self)
        if check_count("top", top) > len(self.nodes_):
            raise ValueError(f"top must be at most {len(self.nodes_)}, the nodes, got {top}")
        drive = self.drives_ if contexts is None else self._new_drives(list(contexts))
        places, chances, energies = [], [], []
        for part in drive.split(ROWS):
            v = recalled_activity(self.content_, part, beta=self.beta, steps=self.steps) @ self.content_.T
            best = v.softmax(-1).topk(top)
            places.append(best.indices)
            chances.append(best.values)
            energies.append(energy(self.content_, part, v, self.beta))
        nodes = [[self.nodes_[place] for place in row] for row in torch.cat(places).tolist()]
        return RecalledNodes(nodes, as_numpy(torch.cat(chances)), as_numpy(torch.cat(energies)))

    def score_links(self, pairs: Any, *, kind: Kind = "activity") -> np.ndarray:
        """How likely the nodes of each of `pairs` (m names of two nodes) are joined: the cosine `(m,)` of their embeddings.

        Nodes without a neighbour take part by what they are beside their context, also for `isolated="zero"`.

        Raises:
            NotFittedError: before `fit`.
            ValueError: a name that is not in the graph, or an unknown kind.
        """
        found = [self._embedding(kind, list(ends)) for ends in zip(*pairs, strict=True)]
        first, second = (ends / np.linalg.norm(ends, axis=1, keepdims=True).clip(min=1e-12) for ends in found)
        return np.asarray((first * second).sum(1))

    def coarsen(self, *, soft: bool = False) -> Coarse:
        """A graph with one node for each memory that nodes wake: that of the greatest activity, or `soft` by their shares."""
        return coarsened(self.adjacency_, self._embedding("activity", None).astype(np.float64), soft=soft)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of the embedding."""
        check_is_fitted(self)
        return np.array([f"{type(self).__name__.lower()}{number}" for number in range(self.content_.shape[1])], dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted embedding to one safetensors file, without pickle.

        Raises:
            NotFittedError: before `fit`.
            TypeError: names of nodes that are neither strings nor integers, or a setting that is no number, string or None.
            ValueError: `path` is a folder.
        """
        check_is_fitted(self)
        names = [int(node) if isinstance(node, np.integer) else node for node in self.nodes_]
        wrong = next((node for node in names if type(node) not in (int, str)), None)
        if wrong is not None:
            raise TypeError(f"names of nodes must be strings or integers to be saved, got {wrong!r}")
        adjacency = {name: torch.from_numpy(getattr(self.adjacency_, name).copy()) for name in PARTS}
        tensors = {name: getattr(self, name) for name in TENSORS}
        save_estimator(self, path, adjacency | tensors, {"nodes": names, "losses": self.losses_})

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read an embedding that `save` has written; `device` in the place of the one that it was trained on.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a damaged file, one of another estimator or of a newer format, or an unknown device.
        """
        settings, state, extra = load_estimator(path, cls)
        try:
            loaded = cls(**settings | ({} if device is None else {"device": device}))
            loaded._check_settings()
            loaded.nodes_, loaded.losses_ = list(extra["nodes"]), list(extra["losses"])
            size = len(loaded.nodes_)
            if len(set(loaded.nodes_)) < size:
                raise ValueError("names of nodes must differ")
            loaded.adjacency_ = adjacency_of(*(state[name].numpy() for name in PARTS), size=size)
            for name in TENSORS:
                if state[name].shape != (size, loaded.memories):
                    raise ValueError(f"{name} of shape {tuple(state[name].shape)}, expected {(size, loaded.memories)}")
                if not state[name].is_floating_point() or state[name].dtype != state["content_"].dtype:
                    raise ValueError(f"{name} of {state[name].dtype}, expected the floating dtype of all")
                if not bool(state[name].isfinite().all()):
                    raise ValueError(f"{name} must be finite")
                setattr(loaded, name, state[name].to(loaded.device))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} must hold a whole {cls.__name__}: {error!r}") from error
        return loaded

    def _learn(
        self,
        network: Network,
        content: Tensor,
        context: Tensor,
        centres: np.ndarray,
        generator: torch.Generator,
        progress: Callable[[float], None] | None,
    ) -> None:
        """Train on the nodes `centres`; this object changes at the very end, all at once."""
        network, lonely = with_ways_out(network, self.isolated)
        adjacency = network.adjacency
        if self.isolated != "self":
            centres = centres[~lonely[centres]]
        learning = Learning(**{name: getattr(self, name) for name in Learning.__dataclass_fields__})
        masked = torch.from_numpy(centres).to(self.device)
        losses = train(adjacency, content, context, masked, learning, generator, progress)
        rows = as_numpy(context)
        reached = reach(adjacency, rows, self.window)
        # walks on the CPU count the returns, whatever the device
        walks = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
        drive = drives(adjacency, rows, reached, returns(adjacency, self.window, walks))
        if self.isolated == "zero":
            drive[lonely] = 0
        self.nodes_, self.adjacency_, self.losses_ = network.nodes, adjacency, losses
        self.content_, self.context_ = content, context
        self.reached_, self.drives_ = (torch.from_numpy(values).to(content) for values in (reached, drive))

    def _embedding(self, kind: Kind, nodes: Any) -> np.ndarray:
        check_is_fitted(self)
        check_kind(kind)
        if isinstance(nodes, Mapping):
            drive = self._new_drives(list(nodes.values()))
            content = self._recalled_content(drive) if kind != "context" else drive
        else:
            rows = torch.from_numpy(np.arange(len(self.nodes_)) if nodes is None else self._rows(nodes))
            drive, content = self.drives_[rows], self.content_[rows]
        if kind == "context":
            return as_numpy(drive).copy()
        hidden = content if kind == "content" else content + drive
        return as_numpy((self.beta * hidden).softmax(-1) if kind == "activity" else hidden)

    def _recalled_content(self, drive: Tensor) -> Tensor:
        """`Xi g (b, K)` of the state that the network comes to."""
        parts = []
        for part in drive.split(ROWS):
            f = recalled_activity(self.content_, part, beta=self.beta, steps=self.steps)
            parts.append((f @ self.content_.T).softmax(-1) @ self.content_)
        return torch.cat(parts)

    def _rows(self, nodes: Iterable[Hashable]) -> np.ndarray:
        if is_graph(nodes):
            raise TypeError(f"nodes must be names of nodes of the graph that was learned, got a graph, {type(nodes).__name__}")
        place = {node: row for row, node in enumerate(self.nodes_)}
        names = nodes.tolist() if isinstance(nodes, Tensor) else list(nodes)
        unknown = [node for node in names if node not in place]
        if unknown:
            raise ValueError(
                f"nodes must be names of nodes of the graph, these are not: {some(unknown)}; give new ones with their neighbours"
            )
        return np.array([place[node] for node in names], dtype=np.int64)

    def _new_drives(self, contexts: Sequence[Any]) -> Tensor:
        """The drives `(b, K)` of nodes that are not in the graph, by their neighbours."""
        rows = []
        place = {node: row for row, node in enumerate(self.nodes_)}
        for neighbours in contexts:
            weights = dict(neighbours) if isinstance(neighbours, Mapping) else dict.fromkeys(neighbours, 1.0)
            unknown = [node for node in weights if node not in place]
            if unknown or not weights:
                raise ValueError(f"a context must name nodes of the graph, at least one, got {some(unknown)} that are not")
            shares = torch.tensor(list(weights.values()), dtype=torch.float64)
            if not bool(((shares >= 0) & shares.isfinite()).all()) or not bool(shares.sum() > 0):
                raise ValueError(f"weights of a context must be finite, not negative and not all zero, got {shares.tolist()}")
            seen = self.reached_[[place[node] for node in weights]]
            rows.append((shares / shares.sum()).to(seen) @ seen)
        if not rows:
            raise ValueError("contexts must hold at least one, got none")
        return torch.stack(rows)

    def _generator(self) -> torch.Generator:
        seed = int(check_random_state(self.random_state).randint(2**31))
        return torch.Generator(self.device).manual_seed(seed)

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


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
