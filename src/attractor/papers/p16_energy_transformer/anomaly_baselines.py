"""What the Energy Transformer is compared with on graphs: other networks, trained, stopped and scored by the very same rules.

Each is the detector with another network: features are standardised, classes weighted, epochs and thresholds chosen in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

import torch
from torch import Tensor, nn

from attractor.estimators.graph_anomaly import GraphAnomalyDetector

ORDER = 2
Relations = Mapping[str, Tensor]


class Perceptron(nn.Module):
    """A multilayer perceptron on the features of a node; it sees no edge."""

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        return self.layers(features).squeeze(-1)


class GraphConvolutions(nn.Module):
    """Two graph convolutions (Kipf and Welling 2017): mean over neighbours by `D^(-1/2) A D^(-1/2)`, loops included."""

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.first, self.second, self.read_out = nn.Linear(features, dim), nn.Linear(dim, dim), nn.Linear(dim, 1)

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges, weights = adjacency(relations, len(features))
        hidden = spread(self.first(features), edges, weights).relu()
        return self.read_out(spread(self.second(hidden), edges, weights).relu()).squeeze(-1)


class BetaWavelets(nn.Module):
    """BWGNN on one graph of all edges (Tang et al. 2022): `(L/2)^i (I - L/2)^(C-i) / B(i+1, C+1-i)` for i = 0 to C."""

    def __init__(self, features: int, dim: int):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        self.read_out = nn.Sequential(nn.Linear(dim * (ORDER + 1), dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges, weights = adjacency(relations, len(features))
        powers = [self.embed(features)]
        for _ in range(ORDER):
            powers.append((powers[-1] - spread(powers[-1], edges, weights)) / 2)
        bands = []
        for band in range(ORDER + 1):
            # (L/2)^i (I - L/2)^(C-i) = sum_j (-1)^j binomial(C-i, j) (L/2)^(i+j), and 1 / B(i+1, C+1-i) = (C+1) binomial(C, i)
            terms = [(-1) ** j * comb(ORDER - band, j) * powers[band + j] for j in range(ORDER - band + 1)]
            bands.append((ORDER + 1) * comb(ORDER, band) * torch.stack(terms).sum(0))
        return self.read_out(torch.cat(bands, -1)).squeeze(-1)


class PlainTransformer(nn.Module):
    """The Energy Transformer's block without the pull of queries on keys: graph attention and a memory layer, no energy."""

    def __init__(self, features: int, dim: int, *, heads: int, key_dim: int, memories: int, steps: int, step_size: float):
        super().__init__()
        self.embed, self.norm, self.read_out = nn.Linear(features, dim), nn.LayerNorm(dim), nn.Linear(2 * dim, 1)
        self.query, self.key = (nn.Parameter(torch.randn(heads, key_dim, dim) / dim**0.5) for _ in range(2))
        self.memory = nn.Parameter(torch.randn(memories, dim) / dim**0.5)
        self.steps, self.step_size = steps, step_size

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges = union(relations, len(features))
        start = x = self.embed(features)
        for _ in range(self.steps):
            g = self.norm(x)
            x = x + self.step_size * (self.attended(g, edges) + (g @ self.memory.T).relu() @ self.memory)
        return self.read_out(torch.cat([self.norm(start), self.norm(x)], -1)).squeeze(-1)

    def attended(self, g: Tensor, edges: Tensor) -> Tensor:
        """Soft-max attention along the edges whose values are the keys."""
        queries, keys = (torch.tensordot(g, weight, ([1], [2])) for weight in (self.query, self.key))
        asked = keys[edges[1]]
        logits = (queries[edges[0]] * asked).sum(-1) / keys.shape[-1] ** 0.5
        places = edges[0][:, None].expand_as(logits)
        highest = torch.full_like(queries[..., 0], -torch.inf).scatter_reduce(0, places, logits.detach(), "amax")
        weights = (logits - highest[edges[0]]).exp()
        total = torch.zeros_like(highest).index_add(0, edges[0], weights)
        read = torch.zeros_like(keys).index_add(0, edges[0], (weights / total[edges[0]])[..., None] * asked)
        return torch.einsum("nhy,hyd->nd", read, self.query)


class PerceptronDetector(GraphAnomalyDetector):
    def build_network(self, features: int) -> nn.Module:
        return Perceptron(features, self.dim)


class ConvolutionDetector(GraphAnomalyDetector):
    def build_network(self, features: int) -> nn.Module:
        return GraphConvolutions(features, self.dim)


class WaveletDetector(GraphAnomalyDetector):
    def build_network(self, features: int) -> nn.Module:
        return BetaWavelets(features, self.dim)


class TransformerDetector(GraphAnomalyDetector):
    def build_network(self, features: int) -> nn.Module:
        dim = self.dim
        sizes = {"heads": self.heads, "key_dim": self.key_dim or dim, "memories": self.memories or 2 * dim}
        return PlainTransformer(features, dim, steps=self.steps, step_size=self.step_size, **sizes)


def union(relations: Relations, nodes: int) -> Tensor:
    """The edges of all kinds, every pair once."""
    kinds = list(relations.values())
    if len(kinds) == 1:
        return kinds[0]
    codes = torch.cat([edges[0] * nodes + edges[1] for edges in kinds]).unique()
    return torch.stack([codes // nodes, codes % nodes])


def adjacency(relations: Relations, nodes: int) -> tuple[Tensor, Tensor]:
    """The edges, and for each `1 / sqrt(degree of one end * degree of the other)`."""
    edges = union(relations, nodes)
    scale = edges[0].bincount(minlength=nodes).clamp(min=1).rsqrt()
    return edges, scale[edges[0]] * scale[edges[1]]


def spread(values: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
    """Each node's weighted sum over its edges."""
    return torch.zeros_like(values).index_add(0, edges[0], weights[:, None].to(values.dtype) * values[edges[1]])
