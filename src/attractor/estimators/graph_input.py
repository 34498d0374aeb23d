"""Lists of graphs as people have them: of `attractor.data`, of NetworkX, of PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.graph_anomaly.edges import edge_index, is_networkx


class PlainGraph(NamedTuple):
    """Checked: `node_features (n, features)`, `edge_index (2, e)` int64 whose first row attends to the second, `edge_features`."""

    node_features: Tensor
    edge_index: Tensor
    edge_features: Tensor | None


def graphs_from(graphs: Any, *, max_nodes: int) -> list[PlainGraph]:
    """Graphs with equally many features each, in one precision, on the CPU.

    Args:
        graphs: objects with `node_features`, `edge_index` and `edge_features` or None, such as `attractor.data.Graph`; the `Data`
            of PyTorch Geometric (`x`, `edge_index`, `edge_attr`; messages flow from the first row to the second); or graphs of
            NetworkX, whose nodes and edges may have numbers as the attribute `features`. Without node features, a node has its
            number of edges.
        max_nodes: the most nodes of a graph.

    Raises:
        TypeError: no sequence of graphs, or features that are no real numbers.
        ValueError: no graph, one without nodes or with too many, shapes that disagree, numbers that are not finite, or an edge that
            ends at no node; the message names the graph.

    Example:
        >>> import networkx
        >>> graphs_from([networkx.path_graph(3)], max_nodes=10)[0].node_features.tolist()
        [[1.0], [2.0], [1.0]]
    """
    if isinstance(graphs, str | dict) or is_networkx(graphs) or not isinstance(graphs, Iterable):
        raise TypeError(f"graphs must be a sequence of graphs, got {type(graphs).__name__}")
    found = [plain(f"graphs[{number}]", graph, max_nodes) for number, graph in enumerate(graphs)]
    if not found:
        raise ValueError("graphs must hold at least one graph, got none")
    kinds = next((graph.edge_features for graph in found if graph.edge_features is not None), None)
    if kinds is not None:
        # a graph without edges need not say how many features they would have
        found = [
            one if one.edge_features is not None or one.edge_index.numel() else one._replace(edge_features=kinds[:0])
            for one in found
        ]
    for number, graph in enumerate(found):
        if widths(graph) != widths(found[0]):
            raise ValueError(
                f"graphs[{number}] must have as many node and edge features as graphs[0], {widths(found[0])}, got {widths(graph)}"
            )
    precision = found[0].node_features.dtype
    return [PlainGraph(nodes.to(precision), index, None if kinds is None else kinds.to(precision)) for nodes, index, kinds in found]


def widths(graph: PlainGraph) -> tuple[int, int | None]:
    """Features of a node and of an edge."""
    return graph.node_features.shape[1], None if graph.edge_features is None else graph.edge_features.shape[1]


def plain(name: str, graph: Any, max_nodes: int) -> PlainGraph:
    nodes: Any
    kinds: Any
    if is_networkx(graph):
        count, index = len(graph), edge_index(name, graph, len(graph))
        nodes, kinds = networkx_features(name, graph)
    elif hasattr(graph, "node_features") and hasattr(graph, "edge_index"):
        nodes, index, kinds = graph.node_features, torch.as_tensor(graph.edge_index), getattr(graph, "edge_features", None)
        count = len(nodes)
        index = edge_index(name, index, count)
    elif hasattr(graph, "edge_index") and hasattr(graph, "x"):
        nodes, kinds = graph.x, getattr(graph, "edge_attr", None)
        count = int(graph.num_nodes) if nodes is None else len(nodes)
        index = edge_index(name, graph, count)
    else:
        raise TypeError(
            f"{name} must be an attractor.data.Graph, a NetworkX graph or a PyTorch Geometric Data, got {type(graph).__name__}"
        )
    if not 1 <= count <= max_nodes:
        raise ValueError(f"{name} must have 1 to {max_nodes} nodes (max_nodes), got {count}")
    features = (
        torch.bincount(index[0], minlength=count).float()[:, None] if nodes is None else numbers(f"{name} nodes", nodes, count)
    )
    return PlainGraph(features, index, None if kinds is None else numbers(f"{name} edges", kinds, index.shape[1]))


def networkx_features(name: str, graph: Any) -> tuple[Any, Any]:
    """The attribute `features` of nodes and of edges, in the order of `edge_index`; None where no node or edge has it."""
    nodes = [data.get("features") for _, data in graph.nodes(data=True)]
    # those of an undirected graph are met from both of their ends; of parallel edges the last one counts
    several = graph.is_multigraph()
    edges = [
        [*data.values()][-1].get("features") if several else data.get("features")
        for _, others in graph.adjacency()
        for data in others.values()
    ]
    for what, found in (("nodes", nodes), ("edges", edges)):
        if any(one is None for one in found) and not all(one is None for one in found):
            raise ValueError(f"{name} must have the attribute 'features' at all {what} or at none")
    return (None if None in nodes else nodes), (None if not edges or None in edges else edges)


def numbers(name: str, given: Any, rows: int) -> Tensor:
    """Features `(rows, width)`, floating point: float64 stays, all else is float32."""
    features = given.detach().cpu() if isinstance(given, Tensor) else torch.from_numpy(as_array(name, given))
    if features.is_complex():
        raise TypeError(f"{name} must be real numbers, got {features.dtype}")
    if features.dtype != torch.float64:
        features = features.float()
    if features.dim() == 1:
        features = features[:, None]
    if features.dim() != 2 or len(features) != rows or not features.shape[1]:
        raise ValueError(f"{name} must have features of shape ({rows}, width), got {tuple(features.shape)}")
    if not bool(features.isfinite().all()):
        raise ValueError(f"{name} must have finite features, got NaN or infinity")
    return features


def as_array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must have equally many features each: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    return array
