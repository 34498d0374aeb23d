"""Attention among tokens as an energy (Hoover et al. 2023, arXiv 2302.07253): log-partitions of queries, and their gradients.

For queries `q_C` and keys `k_B`, both `(b, heads, tokens, key_dim)`, and the set `N(C)` of keys that a query may read,

    z_C = log sum_(B in N(C)) exp(q_C . k_B)        sum_C dz_C/dq = P K        sum_C dz_C/dk = P^T Q        P = softmax_B(q_C . k_B)

The inverse temperature is part of the queries: with `Q = beta Q'` the energy `-sum_C z_C / beta` has the pulls `P K` on `Q'` and
`P^T Q / beta` on `K`. A query with nothing to read adds nothing. Scores are exponentiated in float32 or better.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.backends.cuda import SDPAParams, can_use_efficient_attention, can_use_flash_attention
from torch.utils.checkpoint import checkpoint

from attractor.energy.synapses.allowed import Allowed, Edges, Mask, as_tensor, part, scores, visible
from attractor.energy.synapses.block_attention import block_pulls, blocks_of, one_block
from attractor.energy.synapses.edges import edge_log_partitions, edge_pulls
from attractor.energy.synapses.fused_attention import fused_pulls
from attractor.errors import AttractorWarning
from attractor.products import add_linear, linear

ROUTES = ("auto", "plain", "blocks", "fused")
PLAIN_BELOW = 512
"""Tokens under which a GPU is fastest with the matrix of all weights. A processor is where it is one block."""


def log_partitions(queries: Tensor, keys: Tensor, allowed: Allowed) -> Tensor:
    """`z (b, heads, tokens)`; zero where a query has nothing to read."""
    if isinstance(allowed, Edges):
        return edge_log_partitions(queries, keys, allowed)
    mask, blind = visible(allowed)
    if small(queries):
        found = scores(queries, keys, mask).logsumexp(-1)
    else:
        # kept for the backward pass, the scores of all blocks would be the whole matrix
        samples, rows = blocks_of(queries)
        blocks = [[checkpoint(partitions, queries, keys, mask, one, some, use_reentrant=False) for some in rows] for one in samples]
        found = torch.cat([torch.cat(one, -1) for one in blocks])
    return found if blind is None else found.masked_fill(blind.squeeze(-1), 0)


def partitions(queries: Tensor, keys: Tensor, allowed: Mask, samples: slice, rows: slice) -> Tensor:
    return scores(queries[samples, :, rows], keys[samples], part(allowed, samples, rows), rows.start).logsumexp(-1)


def pulls(queries: Tensor, keys: Tensor, allowed: Allowed, route: str = "auto") -> tuple[Tensor, Tensor]:
    """`P K` and `P^T Q`, both `(b, heads, tokens, key_dim)`.

    Args:
        queries, keys: `(b, heads, tokens, key_dim)`.
        allowed: which keys a query reads. Along edges there is one route only.
        route: `"plain"` forms the matrix `P` and can be differentiated any number of times. The others keep no such matrix and can
            be differentiated once: `"blocks"` takes some queries at a time, `"fused"` uses the kernels behind scaled dot-product
            attention in torch. `"auto"`: plain for few pairs, above that fused on a GPU that can, blocks elsewhere.

    Warns:
        AttractorWarning: `"fused"` was asked for and there is no such kernel for these tensors here; blocks are used.
    """
    if isinstance(allowed, Edges):
        return edge_pulls(queries, keys, allowed)
    mask, blind = visible(allowed)
    if blind is not None:
        queries = queries.masked_fill(blind, 0)
    route = resolved(route, queries, keys, mask)
    if route == "plain":
        weights = scores(queries, keys, mask).softmax(-1).to(keys.dtype)
        drawn, pulled = weights @ keys, weights.mT @ queries
    elif route == "blocks":
        drawn, pulled = block_pulls(queries, keys, mask)
    else:
        drawn, pulled = fused_pulls(queries, keys, as_tensor(mask, keys.shape[2], keys.device))
    return drawn if blind is None else drawn.masked_fill(blind, 0), pulled


def resolved(route: str, queries: Tensor, keys: Tensor, allowed: Mask) -> str:
    """The route itself, or the one to take in its place."""
    if route == "auto":
        if small(queries):
            return "plain"
        return "fused" if keys.device.type == "cuda" and has_kernel(queries, keys, allowed) else "blocks"
    if route == "fused" and not has_kernel(queries, keys, allowed):
        text = f"no fused attention kernel takes {keys.dtype} tensors with this mask on {keys.device}: blocks of queries are used"
        warnings.warn(text, AttractorWarning, stacklevel=2)
        return "blocks"
    return route


def small(queries: Tensor) -> bool:
    """Whether the matrix of all weights is small enough to be the fastest way."""
    return queries.shape[2] < PLAIN_BELOW if queries.device.type == "cuda" else one_block(queries)


def has_kernel(queries: Tensor, keys: Tensor, allowed: Mask) -> bool:
    """Whether torch has a fused kernel for these tensors; without one it would form the matrix after all."""
    if keys.device.type != "cuda":
        return keys.device.type == "cpu"
    params = SDPAParams(queries, keys, keys, as_tensor(allowed, keys.shape[2], keys.device), 0.0, False, False)
    return can_use_flash_attention(params) or can_use_efficient_attention(params)


def into_heads(tokens: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Queries or keys `(b, heads, tokens, key_dim)` of tokens `(b, tokens, dim)`, by weights `(heads, key_dim, dim)`."""
    shift = None if bias is None else bias.flatten()
    return linear(tokens, weight.flatten(0, 1), shift).unflatten(-1, weight.shape[:2]).transpose(1, 2)


def from_heads(both: tuple[Tensor, Tensor], beta: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """The pull `(b, tokens, dim)` on tokens: that on queries times `beta (heads or 1, 1, 1)`, and that on keys."""
    drawn, pulled = (one.transpose(1, 2).flatten(2) for one in (both[0], both[1] / beta))
    return plus_product(linear(drawn, query.flatten(0, 1).T), pulled, key.flatten(0, 1))


def plus_product(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """`total + left @ right` without a pass over the sum, for `total (b, n, d)`, `left (b, n, k)`, `right (k, d)`."""
    return add_linear(total.flatten(0, 1), left.flatten(0, 1), right.T).view_as(total)
