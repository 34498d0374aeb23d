"""Graphs made ready for tokens: edges with CLS, positions from the Laplacian, and batches of graphs of unequal size.

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
ENTRIES_AT_ONCE = 2**21
"""Of the Laplacians that are decomposed together."""
GOLDEN_RATIO = (1 + 5**0.5) / 2
NUDGE = 1e-7
"""Of the diagonal of Laplacians, so that none has equal eigenvalues."""


class GraphLike(Protocol):
    """What is read of a graph; `attractor.data.Graph` is one.

    Attributes:
        node_features: `(n, features)`, floating point.
        edge_index: `(2, edges)`, int64: the node of the first row attends to that of the second. Undirected edges are there both
            ways; of edges between the same two nodes in one direction, the first counts.
        edge_features: `(edges, features)`, or None: every edge then has the one feature 1.
    """

    @property
    def node_features(self) -> Tensor: ...
    @property
    def edge_index(self) -> Tensor: ...
    @property
    def edge_features(self) -> Tensor | None: ...


class TokenGraph(NamedTuple):
    """One graph with its CLS token.

    Attributes:
        nodes: features `(n, features)`, without CLS.
        pairs: `(2, e)` int64: tokens of the first row attend to those of the second: itself, its neighbours and CLS, each once.
        edges: features `(e, features)` of the pairs.
        positions: `(n + 1, k)`.
    """

    nodes: Tensor
    pairs: Tensor
    edges: Tensor
    positions: Tensor


class TokenBatch(NamedTuple):
    """Graphs, padded to the largest of them with zeros and False; `tokens` is its number of nodes and 1.

    Attributes:
        nodes: features `(b, tokens - 1, features)`, without CLS.
        edges: features `(b, tokens, tokens, features)` of what the row attends to; zero where it does not.
        allowed: `(b, tokens, tokens)` bool: what each token attends to.
        positions: `(b, tokens, k)`.
        present: `(b, tokens)` bool: False for padding.
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
    """Graphs as tokens; eigenvectors are computed here, once, on the CPU, for several graphs of one size together.

    Of a graph with fewer than `positions + 1` tokens, the positions that it lacks are zeros.

    Args:
        graphs: any number of graphs.
        positions: eigenvectors for each token; 0 for none.

    Raises:
        TypeError, ValueError: `positions` is not a whole number from 0.

    Example:
        >>> from types import SimpleNamespace
        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> (pair,) = prepare([SimpleNamespace(node_features=torch.ones(2, 4), edge_index=edges, edge_features=None)], positions=2)
        >>> pair.pairs.shape, pair.edges.shape, pair.positions.shape
        (torch.Size([2, 9]), torch.Size([9, 3]), torch.Size([3, 2]))
    """
    check_count("positions", positions, 0)
    linked = [link(graph) for graph in graphs]
    by_size: dict[int, list[int]] = {}
    for number, graph in enumerate(graphs):
        by_size.setdefault(len(graph.node_features) + 1, []).append(number)
    placed: dict[int, Tensor] = {}
    for size, numbers in by_size.items():
        together = max(1, ENTRIES_AT_ONCE // size**2)
        for start in range(0, len(numbers), together):
            some = numbers[start : start + together]
            adjacency = torch.zeros(len(some), size, size, dtype=torch.bool)
            adjacency[joined([linked[number][0] for number in some])] = True
            placed |= dict(zip(some, laplacian_positions(adjacency, positions), strict=True))
    return [
        TokenGraph(graph.node_features, pairs, edges, placed[number].to(edges.dtype))
        for number, (graph, (pairs, edges)) in enumerate(zip(graphs, linked, strict=True))
    ]


def link(graph: GraphLike) -> tuple[Tensor, Tensor]:
    """Pairs of tokens `(2, e)` and their features `(e, features)`, with CLS at place 0 and loops."""
    tokens = torch.arange(len(graph.node_features) + 1)
    class_token = torch.zeros_like(tokens)
    own = torch.stack([torch.cat([tokens, class_token, tokens]), torch.cat([class_token, tokens, tokens])])
    pairs = torch.cat([graph.edge_index + 1, own], 1)
    features = graph.node_features.new_zeros(pairs.shape[1], edge_width(graph))
    given = features[: graph.edge_index.shape[1], OWN_FEATURES:]
    given.copy_(torch.ones_like(given) if graph.edge_features is None else graph.edge_features)
    once = first_of_pairs(pairs, len(tokens))
    pairs, features = pairs[:, once], features[once]
    features[(pairs == 0).any(0), 0] = 1
    features[pairs[0] == pairs[1], 1] = 1
    return pairs, features


def first_of_pairs(pairs: Tensor, size: int) -> Tensor:
    """Which columns of `pairs (2, e)`, numbers below `size`, stand for the first time; sorted by what they hold.

    Example:
        >>> first_of_pairs(torch.tensor([[2, 0, 2], [1, 1, 1]]), 3)
        tensor([1, 0])
    """
    codes, order = (pairs[0] * size + pairs[1]).sort(stable=True)
    return order[torch.cat([codes.new_ones(len(codes[:1]), dtype=torch.bool), codes[1:] != codes[:-1]])]


def joined(pairs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The places in `(b, tokens, tokens)` of the pairs of several graphs."""
    graph = torch.arange(len(pairs)).repeat_interleave(torch.tensor([one.shape[1] for one in pairs]))
    asking, asked = torch.cat(list(pairs), 1)
    return graph, asking, asked


def laplacian_positions(allowed: Tensor, count: int) -> Tensor:
    """Eigenvectors `(b, n, count)` of the normalised Laplacian, float64, for adjacencies `(b, n, n)`; loops are passed over.

    The sign of each is the one with a positive sum of third powers. Where a symmetry of the graph leaves the sign open, or vectors
    because eigenvalues are equal, a nudge decides, by the order of the nodes: positions are the same in any batch.
    """
    size = allowed.shape[-1]
    kept = min(count, size - 1)
    adjacency = (allowed | allowed.mT).double() * (1 - torch.eye(size, dtype=torch.float64))
    # CLS is linked to all: only a graph of CLS alone has a token without an edge
    scale = adjacency.sum(-1, keepdim=True).clamp_min(1).rsqrt()
    laplacian = torch.eye(size, dtype=torch.float64) - scale * adjacency * scale.mT
    uneven = torch.arange(size, dtype=torch.float64).mul(GOLDEN_RATIO).frac()
    vectors = torch.linalg.eigh(laplacian + NUDGE * uneven.diag()).eigenvectors[..., 1 : kept + 1]
    vectors = torch.where(vectors.pow(3).sum(-2, keepdim=True) < 0, -vectors, vectors)
    return torch.nn.functional.pad(vectors, (0, count - kept))


def collate(graphs: Sequence[TokenGraph]) -> TokenBatch:
    """A batch, padded to the largest of its graphs: zeros and False.

    Raises:
        ValueError: there are no graphs, or one with other numbers of features or positions, or another precision, than the first.
    """
    if not graphs:
        raise ValueError("graphs must hold at least one, got none")
    first = graphs[0]
    for number, graph in enumerate(graphs):
        if kind(graph) != kind(first):
            raise ValueError(f"graphs[{number}] must have the widths and precision of graphs[0], {kind(first)}, got {kind(graph)}")
    sizes = torch.tensor([len(graph.positions) for graph in graphs])
    tokens = int(sizes.max())
    present = torch.arange(tokens) < sizes[:, None]
    nodes = first.nodes.new_zeros(len(graphs), tokens - 1, first.nodes.shape[1])
    nodes[present[:, 1:]] = torch.cat([graph.nodes for graph in graphs])
    positions = first.positions.new_zeros(len(graphs), tokens, first.positions.shape[1])
    positions[present] = torch.cat([graph.positions for graph in graphs])
    places = joined([graph.pairs for graph in graphs])
    edges = first.edges.new_zeros(len(graphs), tokens, tokens, first.edges.shape[1])
    edges[places] = torch.cat([graph.edges for graph in graphs])
    allowed = torch.zeros(len(graphs), tokens, tokens, dtype=torch.bool)
    allowed[places] = True
    return TokenBatch(nodes, edges, allowed, positions, present)


def kind(graph: TokenGraph) -> dict[str, object]:
    """What all graphs of a batch have in common."""
    parts = {"nodes": graph.nodes, "edges": graph.edges, "positions": graph.positions}
    return {name: part.shape[1] for name, part in parts.items()} | {"precision": graph.nodes.dtype}


def moved(batch: TokenBatch, device: torch.device | str) -> TokenBatch:
    """The batch on another device."""
    return TokenBatch(*(part.to(device) for part in batch))


def flipped(batch: TokenBatch, generator: torch.Generator) -> TokenBatch:
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
