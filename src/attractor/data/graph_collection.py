"""Graphs of any size with a class each, as graph classification wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from operator import index
from typing import Any, SupportsIndex, overload

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """One graph.

    Args:
        node_features: `(n, features)` floating point, one row a node; at least one node and one feature.
        edge_index: `(2, edges)` int64: the node of the first row attends to that of the second. An undirected edge is there both
            ways.
        edge_features: `(edges, features)` of the precision of the nodes, or None.

    Raises:
        TypeError: a tensor of the wrong kind, or edges of another precision than nodes.
        ValueError: wrong shapes, features that are not finite, or an edge to a node that is not there.

    Example:
        >>> path = Graph(torch.ones(3, 1), torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
        >>> path
        Graph(3 nodes, 4 edges)
    """

    node_features: Tensor
    edge_index: Tensor
    edge_features: Tensor | None = None

    def __post_init__(self) -> None:
        nodes, edges = self.node_features, self.edge_index
        check_features("node_features", nodes)
        if nodes.shape[0] == 0:
            raise ValueError("node_features must hold at least one node, got none")
        if not isinstance(edges, Tensor) or edges.dtype != torch.int64:
            raise TypeError(f"edge_index must be an int64 tensor (2, edges), got {kind(edges)}")
        if edges.dim() != 2 or edges.shape[0] != 2:
            raise ValueError(f"edge_index must have shape (2, edges), got {tuple(edges.shape)}")
        if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < len(nodes):
            raise ValueError(f"edge_index must hold nodes 0 to {len(nodes) - 1}, got {int(edges.min())} to {int(edges.max())}")
        if self.edge_features is not None:
            check_features("edge_features", self.edge_features)
            if self.edge_features.dtype != nodes.dtype:
                raise TypeError(f"edge_features must be {nodes.dtype} like node_features, got {self.edge_features.dtype}")
            if len(self.edge_features) != edges.shape[1]:
                raise ValueError(f"edge_features must have {edges.shape[1]} rows, one an edge, got {len(self.edge_features)}")

    def __repr__(self) -> str:
        return f"Graph({len(self.node_features)} nodes, {self.edge_index.shape[1]} edges)"


@dataclass(frozen=True, eq=False, repr=False)
class GraphCollection:
    """Graphs and their classes: a sequence of graphs, which whatever takes a list of graphs takes too.

    Args:
        graphs: the graphs.
        labels: `(n,)` int64, a class for each.
        classes: what the labels stand for, `classes[label]`.
        name: what to call the collection in a table.
        source: where the data came from and under which licence.

    Raises:
        TypeError, ValueError: `labels` are not int64 of shape `(n,)`, or stand for no class.

    Example:
        >>> dot = Graph(torch.ones(1, 1), torch.empty(2, 0, dtype=torch.int64))
        >>> GraphCollection((dot, dot), torch.tensor([0, 1]), ("plain", "fancy"), "dots")
        GraphCollection('dots', 2 graphs, 2 classes)
        >>> GraphCollection((dot, dot), torch.tensor([0, 1]), ("plain", "fancy"), "dots")[-1]
        Graph(1 nodes, 0 edges)
    """

    graphs: tuple[Graph, ...]
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    _: KW_ONLY
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.labels, Tensor) or self.labels.dtype != torch.int64:
            raise TypeError(f"labels must be an int64 tensor (n,), got {kind(self.labels)}")
        if self.labels.shape != (len(self.graphs),):
            raise ValueError(f"labels must have shape ({len(self.graphs)},), got {tuple(self.labels.shape)}")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(f"labels must lie between 0 and {len(self.classes) - 1}, the last of classes")

    def __len__(self) -> int:
        return len(self.graphs)

    def __iter__(self) -> Iterator[Graph]:
        return iter(self.graphs)

    @overload
    def __getitem__(self, rows: int) -> Graph: ...
    @overload
    def __getitem__(self, rows: Sequence[int] | Tensor | slice) -> GraphCollection: ...
    def __getitem__(self, rows: Any) -> Graph | GraphCollection:
        """The graph of one row; for several rows, a slice or a mask a smaller collection, in the order asked for.

        Raises:
            IndexError: a row is outside of the collection.
        """
        # tensors and arrays of one entry can be indices too
        if isinstance(rows, SupportsIndex) and not getattr(rows, "ndim", 0):
            return self.graphs[index(rows)]
        places = torch.arange(len(self))
        chosen = torch.tensor(range(len(self))[rows], dtype=torch.int64) if isinstance(rows, slice) else places[rows]
        return replace(self, graphs=tuple(self.graphs[row] for row in chosen.tolist()), labels=self.labels[chosen])

    def __repr__(self) -> str:
        return f"GraphCollection({self.name!r}, {len(self)} graphs, {len(self.classes)} classes)"


def check_features(name: str, features: Tensor) -> None:
    if not isinstance(features, Tensor) or not features.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor (rows, features), got {kind(features)}")
    if features.dim() != 2 or features.shape[1] == 0:
        raise ValueError(f"{name} must have shape (rows, features), got {tuple(features.shape)}")
    if not bool(features.isfinite().all()):
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def kind(value: object) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def one_hot(labels: Sequence[int], classes: int) -> Tensor:
    """Rows `(n, classes)` of zeros with a one at the label.

    Example:
        >>> one_hot([1, 0], 2)
        tensor([[0., 1.],
                [1., 0.]])
    """
    return torch.eye(classes)[torch.as_tensor(labels, dtype=torch.int64)]
