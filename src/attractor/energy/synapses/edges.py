"""Attention along the edges of a graph: soft-max over the edges of each query, with no matrix of all pairs.

Time and memory grow with the number of edges. Arrays run over tokens or edges first, where gathering and scattering are fast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Edges
from attractor.read.similarity import widened


def edge_log_partitions(queries: Tensor, keys: Tensor, edges: Edges) -> Tensor:
    """`log sum_B exp(q_C . k_B)` over the edges of each query, `(b, heads, tokens)`; zero where it has none."""
    logits = widened(at(queries, edges.queries) * at(keys, edges.keys)).sum(-1)
    highest, total = normaliser(logits, edges.queries, queries.shape[2])
    return (highest + total.log()).permute(1, 2, 0)


def edge_pulls(queries: Tensor, keys: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
    """`P K` and `P^T Q`, `(b, heads, tokens, key_dim)` each."""
    tokens = queries.shape[2]
    asking, asked = at(queries, edges.queries), at(keys, edges.keys)
    logits = widened(asking * asked).sum(-1)
    highest, total = normaliser(logits, edges.queries, tokens)
    weights = ((logits - highest[edges.queries]).exp() / total[edges.queries])[..., None]
    drawn, pulled = added(weights * asked, edges.queries, tokens), added(weights * asking, edges.keys, tokens)
    return drawn.permute(1, 2, 0, 3).to(keys.dtype), pulled.permute(1, 2, 0, 3).to(keys.dtype)


def normaliser(logits: Tensor, places: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """The highest logit of each query and the sum of `exp(logit - highest)`; 0 and 1 for a query without edges."""
    lowest = logits.new_full((tokens, *logits.shape[1:]), -torch.inf)
    highest = lowest.scatter_reduce(0, places.view(-1, 1, 1).expand_as(logits), logits.detach(), "amax")
    highest = highest.masked_fill(highest == -torch.inf, 0)
    total = added((logits - highest[places]).exp(), places, tokens)
    return highest, total.masked_fill(total == 0, 1)


def at(tokens: Tensor, places: Tensor) -> Tensor:
    """The vectors `(b, heads, tokens, key_dim)` at the ends of edges, `(edges, b, heads, key_dim)`."""
    return tokens.permute(2, 0, 1, 3).index_select(0, places)


def added(values: Tensor, places: Tensor, tokens: int) -> Tensor:
    """What stands at edges, added up at one of their ends, `(tokens, ...)`."""
    return values.new_zeros(tokens, *values.shape[1:]).index_add(0, places, values)
