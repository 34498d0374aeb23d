"""What the Energy Transformer is compared with on graphs: other networks, trained, stopped and scored by the very same rules.

Each is the detector with another network: features are standardised, classes weighted, epochs and thresholds chosen in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb, log

import torch
from torch import Tensor, nn

from attractor.energy.synapses.allowed import Edges
from attractor.energy.synapses.edges import edge_pulls
from attractor.energy.synapses.token_attention import into_heads
from attractor.estimators.graph_anomaly import GraphAnomalyDetector
from attractor.nn.energy_transformer.layers import linear
from attractor.nn.energy_transformer.norm import EnergyLayerNorm
from attractor.nn.energy_transformer.settings import normal

ORDER = 2
Relations = Mapping[str, Tensor]


class Perceptron(nn.Module):
    """A multilayer perceptron on the features of a node; it sees no edge."""

    def __init__(self, features: int, dim: int, generator: torch.Generator | None = None):
        super().__init__()
        self.layers = nn.Sequential(
            *rectified(features, dim, generator), *rectified(dim, dim, generator), linear(dim, 1, generator)
        )

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        return self.layers(features).squeeze(-1)


class GraphConvolutions(nn.Module):
    """Two graph convolutions (Kipf and Welling 2017): mean over neighbours by `D^(-1/2) A D^(-1/2)`, loops included."""

    def __init__(self, features: int, dim: int, generator: torch.Generator | None = None):
        super().__init__()
        self.first, self.second = linear(features, dim, generator), linear(dim, dim, generator)
        self.read_out = linear(dim, 1, generator)

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges, weights = adjacency(relations, features)
        hidden = spread(self.first(features), edges, weights).relu()
        return self.read_out(spread(self.second(hidden), edges, weights).relu()).squeeze(-1)


class BetaWavelets(nn.Module):
    """BWGNN on one graph of all edges (Tang et al. 2022): `(L/2)^i (I - L/2)^(C-i) / B(i+1, C+1-i)` for i = 0 to C."""

    def __init__(self, features: int, dim: int, generator: torch.Generator | None = None):
        super().__init__()
        self.embed = nn.Sequential(*rectified(features, dim, generator), *rectified(dim, dim, generator))
        self.read_out = nn.Sequential(*rectified(dim * (ORDER + 1), dim, generator), linear(dim, 1, generator))

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges, weights = adjacency(relations, features)
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
    """The Energy Transformer without the pull of queries on keys: graph attention whose values are the keys, and a memory layer.

    All else is the same, the norm and the learned inverse temperature included; there is no energy.
    """

    def __init__(
        self,
        features: int,
        dim: int,
        *,
        heads: int,
        key_dim: int,
        memories: int,
        steps: int,
        step_size: float,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.embed, self.norm = linear(features, dim, generator), EnergyLayerNorm(dim)
        self.query, self.key = (normal((heads, key_dim, dim), dim**-0.5, generator) for _ in range(2))
        self.memory = normal((memories, dim), dim**-0.5, generator)
        self.log_beta = nn.Parameter(torch.full((heads,), -log(key_dim) / 2))
        self.read_out = linear(2 * dim, 1, generator)
        self.steps, self.step_size = steps, step_size

    def forward(self, features: Tensor, relations: Relations) -> Tensor:
        edges = Edges(*union(relations, len(features)))
        start = x = self.embed(features)
        for _ in range(self.steps):
            g = self.norm(x)
            x = x + self.step_size * (self.attended(g, edges) + (g @ self.memory.T).relu() @ self.memory)
        return self.read_out(torch.cat([self.norm(start), self.norm(x)], -1)).squeeze(-1)

    def attended(self, g: Tensor, edges: Edges) -> Tensor:
        """Soft-max attention along the edges."""
        queries, keys = (into_heads(g[None], weight, None) for weight in (self.query, self.key))
        read, _ = edge_pulls(queries * self.log_beta.exp()[:, None, None], keys, edges)
        return torch.einsum("hny,hyd->nd", read[0], self.query)


class PerceptronDetector(GraphAnomalyDetector):
    def build_network(self, features: int, generator: torch.Generator) -> nn.Module:
        return Perceptron(features, self.dim, generator)


class ConvolutionDetector(GraphAnomalyDetector):
    def build_network(self, features: int, generator: torch.Generator) -> nn.Module:
        return GraphConvolutions(features, self.dim, generator)


class WaveletDetector(GraphAnomalyDetector):
    def build_network(self, features: int, generator: torch.Generator) -> nn.Module:
        return BetaWavelets(features, self.dim, generator)


class TransformerDetector(GraphAnomalyDetector):
    def build_network(self, features: int, generator: torch.Generator) -> nn.Module:
        dim = self.dim
        sizes = {"heads": self.heads, "key_dim": self.key_dim or dim, "memories": self.memories or 2 * dim}
        return PlainTransformer(features, dim, steps=self.steps, step_size=self.step_size, generator=generator, **sizes)


def rectified(inputs: int, outputs: int, generator: torch.Generator | None) -> tuple[nn.Module, nn.Module]:
    """A layer and its ReLU."""
    return linear(inputs, outputs, generator), nn.ReLU()


def union(relations: Relations, nodes: int) -> Tensor:
    """The edges of all kinds, every pair once."""
    kinds = list(relations.values())
    if len(kinds) == 1:
        return kinds[0]
    codes = torch.cat([edges[0] * nodes + edges[1] for edges in kinds]).unique()
    return torch.stack([codes // nodes, codes % nodes])


def adjacency(relations: Relations, features: Tensor) -> tuple[Tensor, Tensor]:
    """The edges, and for each `1 / sqrt(degree of one end * degree of the other)`."""
    edges = union(relations, len(features))
    scale = edges[0].bincount(minlength=len(features)).clamp(min=1).to(features.dtype).rsqrt()
    return edges, scale[edges[0]] * scale[edges[1]]


def spread(values: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
    """Each node's weighted sum over its edges."""
    return torch.zeros_like(values).index_add(0, edges[0], weights[:, None] * values.index_select(0, edges[1]))
