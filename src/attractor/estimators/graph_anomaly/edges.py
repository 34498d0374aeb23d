"""Edges as people have them: adjacency matrices, edge indices, graphs of NetworkX and PyTorch Geometric, and several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def relations_from(edges: Any, nodes: int) -> dict[str, Tensor]:
    """Each kind of edges as `(2, e)` int64, every pair once and each node joined with itself.

    A column `(c, b)` says that node `c` attends to node `b`. A friendship is two columns. Parallel edges count once.

    Args:
        edges: one kind, or a mapping from names to kinds. A kind is one of

            - an edge index `(2, e)` of integers, NumPy or torch;
            - a sparse matrix or array of scipy `(nodes, nodes)`: row `c` attends to the columns of its entries that are not zero;
            - a graph of NetworkX; an edge of a directed one leads from `c` to `b`. Nodes that are the numbers from 0 to
              `nodes - 1` keep them, all others are numbered as `graph.nodes` lists them;
            - the `Data` of PyTorch Geometric, where messages flow from `edge_index[0]` to `edge_index[1]`. Its `edge_index` alone
              would be taken the other way round, as an edge index.
        nodes: how many there are.

    Raises:
        TypeError: edges of another kind, or not of integers.
        ValueError: another shape, another number of nodes, an edge that ends at no node, or an empty mapping.

    Example:
        >>> relations_from([[0, 1], [1, 0]], nodes=3)["edges"].tolist()
        [[0, 0, 1, 1, 2], [0, 1, 0, 1, 2]]
    """
    kinds = edges if isinstance(edges, Mapping) and not is_networkx(edges) else {"edges": edges}
    if not kinds:
        raise ValueError("edges must hold at least one relation, got an empty mapping")
    return {str(name): with_loops(by_row(kind, edge_index(str(name), kind, nodes)), nodes) for name, kind in kinds.items()}


def by_row(edges: Any, index: Tensor) -> Tensor:
    """The edges between rows: a graph of NetworkX may list its nodes in another order than that of their numbers."""
    named_by_row = is_networkx(edges) and set(edges) == set(range(len(edges)))
    return torch.tensor([int(node) for node in edges])[index] if named_by_row else index


def edge_index(name: str, edges: Any, nodes: int) -> Tensor:
    """One kind of edges as `(2, e)` int64; nodes of NetworkX in the order of `graph.nodes`."""
    if is_networkx(edges):
        index = networkx_edges(name, edges, nodes)
    elif hasattr(edges, "tocoo"):
        index = matrix_edges(name, edges, nodes)
    elif hasattr(edges, "edge_index"):
        index = as_integers(f"edge_index of {name}", edges.edge_index).flip(0)
    else:
        index = as_integers(name, edges)
    if index.dim() != 2 or index.shape[0] != 2:
        raise ValueError(f"{name} must have shape (2, edges), got {tuple(index.shape)}")
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, got {index.dtype}")
    index = index.detach().to("cpu", torch.int64)
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < nodes:
        raise ValueError(f"{name} must join nodes 0 to {nodes - 1}, got {int(index.min())} to {int(index.max())}")
    return index


def with_loops(index: Tensor, nodes: int) -> Tensor:
    """Every pair once, sorted, and each node with itself."""
    loops = torch.arange(nodes)
    codes = torch.cat([index[0] * nodes + index[1], loops * nodes + loops]).unique()
    return torch.stack([codes // nodes, codes % nodes])


def is_networkx(edges: Any) -> bool:
    return hasattr(edges, "is_directed") and hasattr(edges, "adjacency")


def networkx_edges(name: str, graph: Any, nodes: int) -> Tensor:
    if len(graph) != nodes:
        raise ValueError(f"{name} must be a graph of the {nodes} nodes of X, got one of {len(graph)}")
    place = {node: number for number, node in enumerate(graph)}
    found = [(place[node], place[other]) for node, others in graph.adjacency() for other in others]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 2).T


def matrix_edges(name: str, matrix: Any, nodes: int) -> Tensor:
    if matrix.shape != (nodes, nodes):
        raise ValueError(f"{name} must be a matrix of the {nodes} nodes of X, got shape {tuple(matrix.shape)}")
    coordinates = matrix.tocoo()
    present = coordinates.data != 0
    return torch.from_numpy(np.stack([coordinates.row[present], coordinates.col[present]]).astype(np.int64))


def as_integers(name: str, edges: Any) -> Tensor:
    if isinstance(edges, Tensor):
        return edges
    try:
        array = np.asarray(edges)
    except ValueError as error:
        raise ValueError(
            f"{name} must have as many first as second nodes; give several kinds of edges as a mapping: {error}"
        ) from error
    if array.dtype.kind not in "iufb":
        raise TypeError(
            f"{name} must be an edge index (2, e), a scipy sparse matrix, a NetworkX graph, a PyTorch Geometric Data, "
            f"or a mapping from names to these, got {type(edges).__name__}"
        )
    # an empty list has no integers to tell its type
    return torch.from_numpy(array.astype(np.int64)) if array.size == 0 or array.dtype.kind in "iu" else torch.from_numpy(array)
