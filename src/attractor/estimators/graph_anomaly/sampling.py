"""Small parts of a large graph: some nodes, neighbours of theirs by chance, and all edges among them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Neighbourhoods:
    """Draws subgraphs around nodes.

    Neighbours are drawn over edges in both directions: the descent draws a node towards those that it attends to, and towards those
    that attend to it.

    Args:
        relations: edges `(2, e)` of each kind, on the CPU.
        nodes: of the whole graph.

    Example:
        >>> path = torch.tensor([[0, 1, 2], [1, 2, 3]])
        >>> draw = Neighbourhoods({"path": path}, nodes=4)
        >>> nodes, relations = draw(torch.tensor([2]), hops=1, neighbours=10, generator=torch.Generator())
        >>> nodes.tolist(), relations["path"].tolist()
        ([2, 1, 3], [[0, 1], [2, 0]])
    """

    def __init__(self, relations: Mapping[str, Tensor], nodes: int):
        self.nodes = nodes
        self.relations = {name: Adjacency(edges, nodes) for name, edges in relations.items()}
        self.near = {name: Adjacency(both_ways(edges, nodes), nodes) for name, edges in relations.items()}

    def __call__(
        self, seeds: Tensor, *, hops: int, neighbours: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The nodes of a subgraph, the `seeds` first, and the edges among them, numbered by the places of the nodes.

        Args:
            seeds: different nodes `(m,)`.
            hops: how often neighbours of the nodes reached last are added.
            neighbours: most that are added for one node, of each kind.
            generator: source of the choice.
        """
        place = torch.full((self.nodes,), -1)
        place[seeds] = torch.arange(len(seeds))
        found, last = [seeds], seeds
        for _ in range(hops):
            last = torch.cat([near.drawn(last, neighbours, generator) for near in self.near.values()]).unique()
            last = last[place[last] < 0]
            place[last] = torch.arange(len(last)) + sum(map(len, found))
            found.append(last)
        nodes = torch.cat(found)
        return nodes, {name: edges.among(nodes, place) for name, edges in self.relations.items()}


class Adjacency:
    """Edges `(2, e)` by their first node: that of a node stand together."""

    def __init__(self, edges: Tensor, nodes: int):
        self.ends = edges[1, edges[0].argsort(stable=True)]
        self.degrees = edges[0].bincount(minlength=nodes)
        self.starts = self.degrees.cumsum(0) - self.degrees

    def of(self, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The other ends of the edges of these nodes, one node after the other; the place of each one's node; its rank there."""
        degrees = self.degrees[nodes]
        owner = torch.arange(len(nodes)).repeat_interleave(degrees)
        rank = torch.arange(len(owner)) - (degrees.cumsum(0) - degrees)[owner]
        return self.ends[self.starts[nodes][owner] + rank], owner, rank

    def drawn(self, nodes: Tensor, most: int, generator: torch.Generator) -> Tensor:
        """At most so many neighbours of each node."""
        ends, owner, rank = self.of(nodes)
        order = torch.rand(len(ends), generator=generator, dtype=torch.float64).add(owner).argsort()
        return ends[order[rank < most]]

    def among(self, nodes: Tensor, place: Tensor) -> Tensor:
        """The edges between these nodes, by their places."""
        ends, owner, _ = self.of(nodes)
        other = place[ends]
        return torch.stack([owner, other])[:, other >= 0]


def both_ways(edges: Tensor, nodes: int) -> Tensor:
    """Each edge and its reverse once, without loops."""
    first, second = torch.cat([edges, edges.flip(0)], 1)
    codes = (first * nodes + second)[first != second].unique()
    return torch.stack([codes // nodes, codes % nodes])
