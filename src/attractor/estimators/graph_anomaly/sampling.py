"""Small parts of a large graph: some nodes, neighbours of theirs by chance, and all edges among them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Neighbourhoods:
    """Draws subgraphs around nodes.

    Args:
        relations: edges `(2, e)` of each kind, on the CPU.
        nodes: of the whole graph.

    Example:
        >>> path = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
        >>> draw = Neighbourhoods({"path": path}, nodes=4)
        >>> nodes, relations = draw(torch.tensor([0]), hops=2, neighbours=10, generator=torch.Generator())
        >>> nodes.tolist(), relations["path"].tolist()
        ([0, 1, 2], [[0, 1, 1, 2], [1, 0, 2, 1]])
    """

    def __init__(self, relations: Mapping[str, Tensor], nodes: int):
        self.nodes = nodes
        self.relations = {name: edges[:, edges[0].argsort(stable=True)] for name, edges in relations.items()}
        self.degrees = {name: edges[0].bincount(minlength=nodes) for name, edges in self.relations.items()}
        self.starts = {name: degrees.cumsum(0) - degrees for name, degrees in self.degrees.items()}

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
            reached = [self.drawn(name, last, neighbours, generator) for name in self.relations]
            last = torch.cat(reached).unique()
            last = last[place[last] < 0]
            place[last] = torch.arange(len(last)) + sum(map(len, found))
            found.append(last)
        nodes = torch.cat(found)
        return nodes, {name: self.among(name, nodes, place) for name in self.relations}

    def drawn(self, name: str, nodes: Tensor, most: int, generator: torch.Generator) -> Tensor:
        """At most so many neighbours of each node."""
        columns, owner = self.columns(name, nodes)
        order = torch.rand(len(columns), generator=generator, dtype=torch.float64).add(owner).argsort()
        degrees = self.degrees[name][nodes]
        rank = torch.arange(len(columns)) - (degrees.cumsum(0) - degrees).repeat_interleave(degrees)
        return self.relations[name][1, columns[order[rank < most]]]

    def among(self, name: str, nodes: Tensor, place: Tensor) -> Tensor:
        columns, owner = self.columns(name, nodes)
        other = place[self.relations[name][1, columns]]
        return torch.stack([owner, other])[:, other >= 0]

    def columns(self, name: str, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of the edges of these nodes, one node after the other, and the place of the node that each belongs to."""
        degrees = self.degrees[name][nodes]
        owner = torch.arange(len(nodes)).repeat_interleave(degrees)
        within = torch.arange(len(owner)) - (degrees.cumsum(0) - degrees).repeat_interleave(degrees)
        return self.starts[name][nodes].repeat_interleave(degrees) + within, owner
