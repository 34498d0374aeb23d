"""Lists of graphs as people have them: of `attractor.data`, of NetworkX, of PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.graph_anomaly.edges import edge_index, is_networkx
from attractor.nn.energy_transformer.graphs import first_of_pairs
from attractor.validation import finite


class PlainGraph(NamedTuple):
    """Checked: `node_features (n, features)`, `edge_index (2, e)` int64 whose first row attends to the second, `edge_features`."""

    node_features: Tensor
    edge_index: Tensor
    edge_features: Tensor | None


class Widths(NamedTuple):
    """Features of a node and of an edge; None where graphs have none, and nodes have their number of edges instead."""

    nodes: int | None
    edges: int | None

    def __str__(self) -> str:
        words = ("none" if width is None else str(width) for width in self)
        return "{} of nodes and {} of edges".format(*words)


def graphs_from(graphs: Any, *, max_nodes: int) -> tuple[list[PlainGraph], Widths]:
    """Graphs with equally many features each, on the CPU, in the widest precision among them, and how many features they came with.

    Args:
        graphs: objects with `node_features`, `edge_index` and `edge_features` or None, such as `attractor.data.Graph`; the `Data`
            of PyTorch Geometric (`x`, `edge_index`, `edge_attr`; messages flow from the first row to the second); or graphs of
            NetworkX, whose nodes and edges may have numbers as the attribute `features` (others, `weight` too, are passed over).
            Where no graph has node features, a node has its number of edges. Of edges between the same nodes, the first counts.
        max_nodes: the most nodes of a graph.

    Raises:
        TypeError: no sequence of graphs, or features that are no real numbers.
        ValueError: no graph, one without nodes or with too many, shapes that disagree, numbers that are not finite, features in
            some graphs only, or an edge that ends at no node; the message names the graph.

    Example:
        >>> import networkx
        >>> (path,), widths = graphs_from([networkx.path_graph(3)], max_nodes=10)
        >>> path.node_features.tolist(), widths
        ([[1.0], [2.0], [1.0]], Widths(nodes=None, edges=None))
    """
    if isinstance(graphs, str | dict) or is_networkx(graphs) or not isinstance(graphs, Iterable):
        raise TypeError(f"graphs must be a sequence of graphs, got {type(graphs).__name__}")
    read = [read_graph(f"graphs[{number}]", graph, max_nodes) for number, graph in enumerate(graphs)]
    if not read:
        raise ValueError("graphs must hold at least one graph, got none")
    found = [graph for graph, _ in read]
    most = next((graph.edge_features for graph in found if graph.edge_features is not None), None)
    widths = Widths(read[0][1], None if most is None else most.shape[1])
    for number, (graph, own) in enumerate(read):
        if most is not None and graph.edge_features is None and not graph.edge_index.numel():
            # a graph without edges need not say how many features they would have
            found[number] = graph._replace(edge_features=most[:0])
        edges = found[number].edge_features
        came = Widths(own, None if edges is None else edges.shape[1])
        if came != widths:
            raise ValueError(f"graphs[{number}] must have as many features as those before it, {widths}, got {came}")
    parts = (part for graph in found for part in (graph.node_features, graph.edge_features))
    precision = torch.float64 if any(part is not None and part.dtype == torch.float64 for part in parts) else torch.float32
    return [
        PlainGraph(nodes.to(precision), index, None if kinds is None else kinds.to(precision)) for nodes, index, kinds in found
    ], widths


def read_graph(name: str, graph: Any, max_nodes: int) -> tuple[PlainGraph, int | None]:
    """One graph, and how many features of nodes it came with."""
    edges = graph
    if is_networkx(graph):
        given, kinds = networkx_features(name, graph)
    elif hasattr(graph, "edge_index") and hasattr(graph, "node_features"):
        given, kinds, edges = graph.node_features, getattr(graph, "edge_features", None), torch.as_tensor(graph.edge_index)
    elif hasattr(graph, "edge_index") and hasattr(graph, "x"):
        given, kinds = graph.x, getattr(graph, "edge_attr", None)
    else:
        raise TypeError(
            f"{name} must be an attractor.data.Graph, a NetworkX graph or a PyTorch Geometric Data, got {type(graph).__name__}"
        )
    nodes = None if given is None else numbers(f"{name} nodes", given)
    if nodes is None and not (is_networkx(graph) or getattr(graph, "num_nodes", None) is not None):
        raise ValueError(f"{name} must have features of nodes, or num_nodes without them, got neither")
    count = len(nodes) if nodes is not None else len(graph) if is_networkx(graph) else int(graph.num_nodes)
    if not 1 <= count <= max_nodes:
        raise ValueError(f"{name} must have 1 to {max_nodes} nodes (max_nodes), got {count}")
    index = edge_index(name, edges, count)
    kinds = None if kinds is None else numbers(f"{name} edges", kinds)
    if kinds is not None and len(kinds) != index.shape[1]:
        raise ValueError(f"{name} must have features of all its {index.shape[1]} edges, got {len(kinds)}")
    once = first_of_pairs(index, count)
    index, kinds = index[:, once], None if kinds is None else kinds[once]
    degrees = torch.bincount(index[0], minlength=count).float()[:, None]
    return PlainGraph(degrees if nodes is None else nodes, index, kinds), None if nodes is None else nodes.shape[1]


def networkx_features(name: str, graph: Any) -> tuple[Any, Any]:
    """The attribute `features` of nodes and of edges, in the order of `edge_index`; None where no node or edge has it."""
    nodes = [data.get("features") for _, data in graph.nodes(data=True)]
    # those of an undirected graph are met from both of their ends; of parallel edges the first one counts
    several = graph.is_multigraph()
    edges = [
        next(iter(data.values())).get("features") if several else data.get("features")
        for _, others in graph.adjacency()
        for data in others.values()
    ]
    for what, found in (("nodes", nodes), ("edges", edges)):
        if any(one is None for one in found) and not all(one is None for one in found):
            raise ValueError(f"{name} must have the attribute 'features' at all {what} or at none")
    return (None if not nodes or None in nodes else nodes), (None if not edges or None in edges else edges)


def numbers(name: str, given: Any) -> Tensor:
    """Features `(rows, width)`, floating point: float64 stays, all else is float32."""
    features = given.detach().cpu() if isinstance(given, Tensor) else torch.from_numpy(as_array(name, given))
    if features.is_complex():
        raise TypeError(f"{name} must be real numbers, got {features.dtype}")
    if features.dtype != torch.float64:
        features = features.float()
    if features.dim() == 1:
        features = features[:, None]
    if features.dim() != 2 or not features.shape[1]:
        raise ValueError(f"{name} must have features of shape (rows, width), got {tuple(features.shape)}")
    if not finite(features):
        raise ValueError(f"{name} must have features that are finite in {features.dtype}, got NaN or infinity")
    return features


def as_array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must have equally many features each: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    return array.astype(np.float64) if array.dtype == np.longdouble else array
