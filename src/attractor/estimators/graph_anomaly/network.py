"""The Energy Transformer with a read-out for each node of a graph (Hoover et al. 2023, section on graph anomaly detection).

`x = W y`, then `T` steps down the energy in which a node attends to its neighbours and itself; the read-out sees what the node was
and what it has become, `[g(1) || g(T)]` with `g = LN(x)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attractor.nn.energy_transformer import EnergyTransformer
from attractor.nn.energy_transformer.layers import linear
from attractor.nn.energy_transformer.norm import refuse_gains


class NodeEnergyTransformer(nn.Module):
    """The log-odds that a node is anomalous, from the features of a graph's nodes and its edges.

    Each kind of edges has a descent of its own, by the same block. Of several, the greatest entries are taken, with the start's.

    Args:
        features: of a node.
        dim: of a token.
        dropout: share of the read-out's inputs that are left out in training.
        generator: of the first weights, and of what is left out.
        block: further settings of the `EnergyTransformer`.
    """

    def __init__(self, features: int, dim: int, *, dropout: float = 0.0, generator: torch.Generator | None = None, **block: Any):
        super().__init__()
        self.register_load_state_dict_pre_hook(refuse_gains)
        self.embed = linear(features, dim, generator)
        self.block = EnergyTransformer(dim, self_attention=True, generator=generator, **block)
        self.read_out = linear(2 * dim, 1, generator)
        self.dropout, self.generator = dropout, generator

    def forward(self, features: Tensor, relations: Mapping[str, Tensor]) -> Tensor:
        """Log-odds `(n,)` for `features (n, f)` and edges `(2, e)` of each kind."""
        start = self.embed(features)[None]
        ends = [self.block(start, mask=edges) for edges in relations.values()]
        end = ends[0] if len(ends) == 1 else torch.stack([start, *ends]).amax(0)
        seen = torch.cat([self.block.normalize(start), self.block.normalize(end)], -1)
        if self.training and self.dropout:
            kept = torch.rand(seen.shape, generator=self.generator).to(seen.device) >= self.dropout
            seen = seen * kept / (1 - self.dropout)
        return self.read_out(seen)[0, :, 0]
