"""The energy of the block as that of an energy network, with the same parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.synapses.allowed import Edges
from attractor.read import RectifiedPolynomial, SoftMax
from attractor.validation import check_count

if TYPE_CHECKING:
    from attractor.nn.energy_transformer.block import EnergyTransformer


def network_of(block: EnergyTransformer, tokens: int, mask: Tensor | None) -> EnergyNetwork:
    """One layer of `tokens` tokens, the layer norm as its Lagrangian, and a synapse for each term of the energy."""
    check_count("tokens", tokens)
    norm = block.norm
    allowed = block.neighbours(mask, 1, tokens)
    if isinstance(allowed, Edges) or (isinstance(allowed, Tensor) and allowed.dim() != 2):
        raise ValueError("mask must be Boolean of shape (tokens, tokens) for a network")
    layer = Neurons(lagrangians.LayerNorm(norm.gain, delta=norm.bias, eps=norm.eps, dims=1), (tokens, block.dim))
    joined: list[synapses.Synapse] = []
    if block.attention:
        bias = block.query_bias is not None
        sizes = block.dim, block.heads, block.key_dim
        replaced = torch.Generator().manual_seed(0)
        attention = synapses.Attention(*sizes, beta=block.beta.detach(), mask=allowed, bias=bias, generator=replaced)
        for name in ("query", "key", "query_bias", "key_bias"):
            attention.register_parameter(name, getattr(block, name))
        joined.append(attention)
    if block.memories:
        beta = block.memory_beta
        separation = RectifiedPolynomial(2) if beta is None else SoftMax(beta.detach() if isinstance(beta, Tensor) else beta)
        joined.append(synapses.MemorySynapse(block.memory, separation=separation))
    return EnergyNetwork({"tokens": layer}, [Connection(one, ("tokens",)) for one in joined])
