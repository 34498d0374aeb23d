"""Graphs made ready for tokens: dense edge features, positions from the Laplacian, and batches of graphs of unequal size.

Every graph gets one more token, CLS, at place 0, linked to all of its nodes. Positions are the eigenvectors of the normalised
Laplacian `I - D^(-1/2) A D^(-1/2)` of that graph, edges taken both ways, with the smallest eigenvalues but the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from attractor.validation import check_count

OWN_FEATURES = 2
"""Edge features beside those of the graph: one says that an end of the edge is CLS, one that both ends are the same node."""


class GraphLike(Protocol):
    """What is read of a graph; `attractor.data.Graph` is one.

    Attributes:
        node_features: `(n, features)`, floating point.
        edge_index: `(2, edges)`, int64: the node of the first row attends to that of the second. Undirected edges are there both
            ways.
        edge_features: `(edges, features)`, or None: every edge then has the one feature 1.
    """

    @property
    def node_features(self) -> Tensor: ...
    @property
    def edge_index(self) -> Tensor: ...
    @property
    def edge_features(self) -> Tensor | None: ...


class TokenGraph(NamedTuple):
    """One graph with its CLS token, or a padded batch of them; then every shape has `b` before it.

    Attributes:
        nodes: features `(n, features)`, without CLS.
        edges: features `(n + 1, n + 1, features)` of what the row attends to; zero where it does not.
        allowed: `(n + 1, n + 1)` bool: what each token attends to, itself, its neighbours and CLS.
        positions: `(n + 1, k)`.
        present: `(n + 1,)` bool: False where a batch is padded.
    """

    nodes: Tensor
    edges: Tensor
    allowed: Tensor
    positions: Tensor
    present: Tensor


def edge_width(graph: GraphLike) -> int:
    """How many edge features the tokens of a graph have."""
    return OWN_FEATURES + (1 if graph.edge_features is None else graph.edge_features.shape[1])


def prepare(graphs: Sequence[GraphLike], *, positions: int = 15) -> list[TokenGraph]:
    """Graphs as tokens; eigenvectors are computed here, once, on the CPU, for all graphs of one size together.

    Features of edges that stand twice add up. A graph with fewer than `positions + 1` tokens has zeros for what it lacks.

    Args:
        graphs: any number of graphs.
        positions: eigenvectors for each token; 0 for none.

    Raises:
        TypeError, ValueError: `positions` is not a whole number from 0.

    Example:
        >>> from types import SimpleNamespace
        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> (pair,) = prepare([SimpleNamespace(node_features=torch.ones(2, 4), edge_index=edges, edge_features=None)], positions=2)
        >>> pair.edges.shape, pair.positions.shape, bool(pair.allowed.all())
        (torch.Size([3, 3, 3]), torch.Size([3, 2]), True)
    """
    check_count("positions", positions, 0)
    linked = [link(graph) for graph in graphs]
    by_size: dict[int, list[int]] = {}
    for number, (_, allowed) in enumerate(linked):
        by_size.setdefault(len(allowed), []).append(number)
    placed: dict[int, Tensor] = {}
    for numbers in by_size.values():
        vectors = laplacian_positions(torch.stack([linked[number][1] for number in numbers]), positions)
        placed |= dict(zip(numbers, vectors, strict=True))
    return [
        TokenGraph(graph.node_features, edges, allowed, placed[number].to(edges.dtype), torch.ones(len(allowed), dtype=torch.bool))
        for number, (graph, (edges, allowed)) in enumerate(zip(graphs, linked, strict=True))
    ]


def link(graph: GraphLike) -> tuple[Tensor, Tensor]:
    """Edge features and who attends to whom, with CLS at place 0 and loops."""
    tokens, width = len(graph.node_features) + 1, edge_width(graph)
    asking, asked = graph.edge_index + 1
    given = graph.edge_features
    if given is None:
        given = graph.node_features.new_ones(len(asking), 1)
    edges = graph.node_features.new_zeros(tokens, tokens, width)
    edges[..., OWN_FEATURES:].index_put_((asking, asked), given, accumulate=True)
    edges[0, :, 0] = edges[:, 0, 0] = 1
    edges.diagonal()[1] = 1
    allowed = torch.eye(tokens, dtype=torch.bool)
    allowed[0] = allowed[:, 0] = True
    allowed[asking, asked] = True
    return edges, allowed


def laplacian_positions(allowed: Tensor, count: int) -> Tensor:
    """Eigenvectors `(b, n, count)` of the normalised Laplacian, float64, for adjacencies `(b, n, n)`; loops are passed over."""
    size = allowed.shape[-1]
    kept = min(count, size - 1)
    adjacency = (allowed | allowed.mT).double() * (1 - torch.eye(size, dtype=torch.float64))
    # CLS is linked to all: only a graph of CLS alone has a token without an edge
    scale = adjacency.sum(-1, keepdim=True).clamp_min(1).rsqrt()
    laplacian = torch.eye(size, dtype=torch.float64) - scale * adjacency * scale.mT
    vectors = torch.linalg.eigh(laplacian).eigenvectors[..., 1 : kept + 1]
    return torch.nn.functional.pad(vectors, (0, count - kept))


def collate(graphs: Sequence[TokenGraph]) -> TokenGraph:
    """A batch, padded to the largest of its graphs: zeros and False.

    Raises:
        ValueError: there are no graphs.
    """
    if not graphs:
        raise ValueError("graphs must hold at least one, got none")
    tokens = max(len(graph.present) for graph in graphs)
    first = graphs[0]
    nodes = first.nodes.new_zeros(len(graphs), tokens - 1, first.nodes.shape[1])
    edges = first.edges.new_zeros(len(graphs), tokens, tokens, first.edges.shape[2])
    allowed = torch.zeros(len(graphs), tokens, tokens, dtype=torch.bool)
    positions = first.positions.new_zeros(len(graphs), tokens, first.positions.shape[1])
    present = torch.zeros(len(graphs), tokens, dtype=torch.bool)
    for row, graph in enumerate(graphs):
        size = len(graph.present)
        nodes[row, : size - 1] = graph.nodes
        edges[row, :size, :size] = graph.edges
        allowed[row, :size, :size] = graph.allowed
        positions[row, :size] = graph.positions
        present[row, :size] = True
    return TokenGraph(nodes, edges, allowed, positions, present)


def moved(batch: TokenGraph, device: torch.device | str) -> TokenGraph:
    """The batch on another device."""
    return TokenGraph(*(part.to(device) for part in batch))


def flipped(batch: TokenGraph, generator: torch.Generator) -> TokenGraph:
    """The batch with the signs of its positions drawn anew: an eigenvector has none."""
    shape = (len(batch.positions), 1, batch.positions.shape[2])
    signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
    return batch._replace(positions=batch.positions * signs.to(batch.positions))


def batches(sizes: Sequence[int], batch_size: int, generator: torch.Generator) -> Iterable[list[int]]:
    """A random order of items, in batches of similar size: less is padded.

    Items are shuffled, sorted by size within every eight batches, and the batches of these are shuffled again.
    """
    order = torch.randperm(len(sizes), generator=generator).tolist()
    reach = 8 * batch_size
    for start in range(0, len(order), reach):
        near = sorted(order[start : start + reach], key=lambda item: sizes[item])
        parts = [near[first : first + batch_size] for first in range(0, len(near), batch_size)]
        for part in torch.randperm(len(parts), generator=generator).tolist():
            yield parts[part]
