"""The energy of the block as that of an energy network, with the same parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.synapses.allowed import Edges
from attractor.nn.energy_transformer.neighbours import neighbours
from attractor.read import RectifiedPolynomial, SoftMax
from attractor.validation import check_count

if TYPE_CHECKING:
    from attractor.nn.energy_transformer.block import EnergyTransformer


def network_of(block: EnergyTransformer, tokens: int, mask: Tensor | None) -> EnergyNetwork:
    """One layer of `tokens` tokens, the layer norm as its Lagrangian, and a synapse for each term of the energy."""
    check_count("tokens", tokens)
    norm = block.norm
    allowed = neighbours(mask, (1, block.heads, tokens), norm.bias.device, block.self_attention, block.causal)
    if isinstance(allowed, Edges) or (isinstance(allowed, Tensor) and allowed.dim() != 2):
        raise ValueError("mask must be Boolean of shape (tokens, tokens) for a network")
    layer = Neurons(lagrangians.LayerNorm(norm.gain, delta=norm.bias, eps=norm.eps, dims=1), (tokens, block.dim))
    joined: list[synapses.Synapse] = []
    if block.attention:
        bias = block.query_bias is not None
        beta = block.beta.detach()
        attention = synapses.Attention(block.dim, block.heads, block.key_dim, beta=beta, mask=allowed, bias=bias)
        for name in ("query", "key", "query_bias", "key_bias"):
            attention.register_parameter(name, getattr(block, name))
        joined.append(attention)
    if block.memories:
        separation = RectifiedPolynomial(2) if block.memory_beta is None else SoftMax(block.memory_beta)
        joined.append(synapses.MemorySynapse(block.memory, separation=separation))
    return EnergyNetwork({"tokens": layer}, [Connection(one, ("tokens",)) for one in joined])
