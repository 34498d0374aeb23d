"""Graphs as people have them, with any names of nodes: as a sparse matrix of the weights of edges, and the names of its rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array, diags_array

from attractor.estimators.graph_anomaly.edges import is_networkx
from attractor.validation import shorten

ISOLATED = ("raise", "zero", "self")


class Network(NamedTuple):
    """`adjacency (n, n)` of positive weights in float64, row to column, and the `nodes` that its rows stand for."""

    adjacency: csr_array
    nodes: list[Hashable]


def network_from(graph: Any, *, directed: bool = False) -> Network:
    """Read a graph; parallel edges add up.

    Args:
        graph: one of

            - a graph of NetworkX or igraph; the attribute `weight` of edges counts, where they have it, and in igraph `name` of
              nodes;
            - a sparse matrix or array of scipy `(n, n)`, whose nodes are 0 to n - 1;
            - an edge index `(2, e)` of integers, NumPy or torch, with the nodes 0 to the largest;
            - the `Data` of PyTorch Geometric: `edge_index`, `edge_weight` where it has it, and `num_nodes`;
            - a list of edges `(u, v)` or `(u, v, weight)` between nodes with any hashable names.
        directed: whether edges lead one way only. If not, `A` becomes the larger of `A` and its transpose, entry by entry, so an
            edge may be given once or both ways.

    Raises:
        TypeError: a graph of another kind, or weights that are no numbers.
        ValueError: no node, another shape, a negative node, or weights that are negative or not finite.

    Example:
        >>> network = network_from([("a", "b"), ("b", "c", 2.0)])
        >>> network.nodes, network.adjacency.toarray().tolist()
        (['a', 'b', 'c'], [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    """
    if hasattr(graph, "vcount") and hasattr(graph, "get_edgelist"):
        ends, weights, nodes = from_igraph(graph)
    elif is_networkx(graph):
        ends, weights, nodes = from_pairs(graph.edges(data="weight", default=1.0), list(graph))
        if not graph.is_directed():
            other = ends[0] != ends[1]
            ends = np.concatenate([ends, ends[::-1][:, other]], 1)
            weights = np.concatenate([weights, weights[other]])
    elif hasattr(graph, "tocoo"):
        matrix = graph.tocoo()
        if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"graph must be a square adjacency matrix, got shape {matrix.shape}")
        ends, weights, nodes = np.stack([matrix.row, matrix.col]), matrix.data, list(range(matrix.shape[0]))
    elif hasattr(graph, "edge_index"):
        given = getattr(graph, "edge_weight", None)
        ends, weights, nodes = from_index(graph.edge_index, getattr(graph, "num_nodes", None))
        weights = weights if given is None else as_array("edge_weight", given)
    elif isinstance(graph, np.ndarray | torch.Tensor):
        ends, weights, nodes = from_index(graph, None)
    elif isinstance(graph, list | tuple) and len(graph) == 2 and all(is_row(one) for one in graph):
        raise TypeError(
            "graph must not be two lists of numbers: numpy.array(...) makes them an edge index, tuples in their place two edges"
        )
    elif isinstance(graph, Iterable) and not isinstance(graph, str | dict):
        ends, weights, nodes = from_pairs(graph, [])
    else:
        raise TypeError(
            "graph must be a graph of NetworkX or igraph, a scipy sparse matrix, an edge index (2, e), a PyTorch Geometric Data "
            f"or a list of edges, got {type(graph).__name__}"
        )
    return checked(ends, weights, nodes, directed)


def checked(ends: np.ndarray, weights: np.ndarray, nodes: list[Hashable], directed: bool) -> Network:
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"weights of edges must be real numbers, got {weights.dtype}")
    if weights.shape != ends.shape[1:]:
        raise ValueError(f"graph must have one weight for each of its {ends.shape[1]} edges, got {weights.shape}")
    if not nodes:
        raise ValueError("graph must have at least one node, got none")
    wrong = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if len(wrong):
        raise ValueError(f"weights of edges must be finite and not negative, those of edges {shorten(wrong.tolist())} are not")
    size = len(nodes)
    if len(set(nodes)) < size:
        raise ValueError("names of nodes must differ, some of the graph do not")
    adjacency = csr_array(coo_array((weights.astype(np.float64), (ends[0], ends[1])), shape=(size, size)))
    if not directed:
        adjacency = csr_array(adjacency.maximum(adjacency.T))
    with np.errstate(over="ignore"):
        if not np.isfinite(adjacency.sum()):
            raise ValueError("weights of edges must have a finite sum, scale them down")
    adjacency.eliminate_zeros()
    adjacency.sort_indices()
    return Network(adjacency, nodes)


def adjacency_of(weights: np.ndarray, indices: np.ndarray, starts: np.ndarray, *, size: int) -> csr_array:
    """The adjacency `(size, size)` of rows that come from outside, and that scipy's own code would follow unseen.

    Raises:
        ValueError: rows that are no rows of such a matrix, or weights that are negative or not finite.
    """
    kinds = weights.dtype.kind, indices.dtype.kind, starts.dtype.kind
    fits = kinds == ("f", "i", "i") and weights.shape == indices.shape == (weights.size,)
    if not fits or starts.shape != (size + 1,) or starts[0] != 0 or starts[-1] != len(weights) or bool((np.diff(starts) < 0).any()):
        raise ValueError(f"edges must be the rows of a matrix of {size} nodes")
    if bool(((indices < 0) | (indices >= size)).any()):
        raise ValueError(f"edges must end at one of {size} nodes")
    if not bool(((weights >= 0) & np.isfinite(weights)).all()):
        raise ValueError("weights of edges must be finite and not negative")
    return csr_array((weights, indices, starts), shape=(size, size))


def is_graph(value: Any) -> bool:
    """Whether `value` is a graph rather than names of nodes."""
    return is_networkx(value) or any(hasattr(value, name) for name in ("get_edgelist", "tocoo", "edge_index"))


def from_igraph(graph: Any) -> tuple[np.ndarray, np.ndarray, list[Hashable]]:
    ends = np.asarray(graph.get_edgelist(), dtype=np.int64).reshape(-1, 2).T
    weights = np.asarray(graph.es["weight"]) if "weight" in graph.es.attributes() else np.ones(ends.shape[1])
    nodes = list(graph.vs["name"]) if "name" in graph.vs.attributes() else list(range(graph.vcount()))
    if not graph.is_directed():
        other = ends[0] != ends[1]
        ends, weights = np.concatenate([ends, ends[::-1][:, other]], 1), np.concatenate([weights, weights[other]])
    return ends, weights, nodes


def from_index(index: Any, count: int | None) -> tuple[np.ndarray, np.ndarray, list[Hashable]]:
    ends = as_array("graph", index)
    if ends.ndim == 2 and len(ends) != 2 and len(ends) == ends.shape[1]:
        raise ValueError(f"graph must be an edge index (2, edges), got {ends.shape}; wrap a matrix of weights in scipy's csr_array")
    if ends.dtype.kind not in "iu":
        raise TypeError(f"graph must be an edge index of integers, got {ends.dtype}; wrap a matrix of weights in scipy's csr_array")
    if ends.ndim != 2 or len(ends) != 2:
        raise ValueError(f"graph must be an edge index of shape (2, edges), got {ends.shape}; transpose a list of pairs")
    size = int(ends.max(initial=-1)) + 1
    if (ends.size and ends.min() < 0) or (count is not None and size > count):
        raise ValueError(f"graph must join nodes from 0 to {count or size} - 1, got {ends.min()} to {ends.max()}")
    return ends, np.ones(ends.shape[1]), list(range(size if count is None else int(count)))


def as_array(name: str, value: Any) -> np.ndarray:
    """Numbers of NumPy or torch, wherever they lie."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{name} must be a scipy sparse matrix or an edge index (2, edges), got a sparse tensor of torch")
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def is_row(value: Any) -> bool:
    """Whether this is a list of whole numbers."""
    return isinstance(value, list) and all(isinstance(number, int) for number in value)


def from_pairs(edges: Iterable[Any], nodes: list[Hashable]) -> tuple[np.ndarray, np.ndarray, list[Hashable]]:
    """Edges by names; nodes that are not yet among `nodes` follow in the order in which they come."""
    place = {node: number for number, node in enumerate(nodes)}
    ends, weights = [], []
    for edge in edges:
        if not isinstance(edge, tuple | list) or len(edge) not in (2, 3):
            raise TypeError(f"graph must be a list of edges (u, v) or (u, v, weight), got {edge!r} among them")
        ends.append([place.setdefault(node, len(place)) for node in edge[:2]])
        weights.append(edge[2] if len(edge) == 3 else 1.0)
    return np.asarray(ends, dtype=np.int64).reshape(-1, 2).T, np.asarray(weights or np.empty(0)), list(place)


def with_ways_out(network: Network, isolated: str) -> tuple[csr_array, np.ndarray]:
    """The edges `(n, n)` that walks go along, and which nodes `(n,)` are lonely.

    An edge from a node to itself tells nothing of the nodes around it, so walks pass it by; for `isolated="self"` lonely nodes have
    no other.

    Raises:
        ValueError: no edge between two nodes, lonely nodes for `isolated="raise"`, or nodes that walks come to and cannot leave.
    """
    others = without_loops(network.adjacency)
    leaving, coming = (np.asarray(others.sum(axis)).ravel() > 0 for axis in (1, 0))
    lonely = ~(leaving | coming)
    if lonely.all():
        raise ValueError("graph must have an edge between two nodes, got none")
    if isolated == "raise" and lonely.any():
        names = some(network.nodes[row] for row in np.flatnonzero(lonely))
        raise ValueError(f"graph must not have nodes without a neighbour, got {names}; or choose isolated='zero' or 'self'")
    sinks = np.flatnonzero(coming & ~leaving)
    if len(sinks):
        names = some(network.nodes[row] for row in sinks)
        raise ValueError(f"graph must have a way out of each node that has a way in, got none from {names}; or directed=False")
    if isolated == "self":
        others = csr_array(others + diags_array(lonely.astype(float)))
        others.eliminate_zeros()
    return others, lonely


def without_loops(adjacency: csr_array) -> csr_array:
    """The edges between two nodes."""
    others = csr_array(adjacency - diags_array(adjacency.diagonal()))
    others.eliminate_zeros()
    return others


def some(names: Iterable[Hashable]) -> str:
    """The first few names, for an error message."""
    found = [repr(name) for name in names]
    return ", ".join(found[:8]) + (f", ... {len(found)} in all" if len(found) > 8 else "")
