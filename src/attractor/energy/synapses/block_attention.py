"""The pulls of attention from one block of queries after the other: no matrix of all pairs is kept, forward or backward.

The weights of a block fit a processor's cache, and the backward pass computes them a second time. With upstream gradients `dF` of
`F = P K` and `dG` of `G = P^T Q`,

    dP = dF K^T + Q dG^T        dS = P (dP - delta)        dQ = dS K + P dG        dK = dS^T Q + P^T dF

where `delta_C = sum_B P_CB dP_CB = dF_C.F_C + Q_C.(P dG)_C` needs no row of the matrix.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Mask, part, refuse_second_derivative, scores
from attractor.read.similarity import widened

BLOCK = 2**19
"""About so many scores at once."""
LEAST_ROWS = 32


class BlockPulls(torch.autograd.Function):
    """`(P K, P^T Q)`, `P = softmax(Q K^T)` over the keys that are `allowed`; every query must have one."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, allowed: Mask) -> tuple[Tensor, Tensor]:
        drawn, pulled = torch.empty_like(queries), torch.zeros_like(widened(keys))
        for samples, rows in product(*blocks_of(queries)):
            some, asked = queries[samples, :, rows], keys[samples]
            weights = scores(some, asked, part(allowed, samples, rows), rows.start).softmax(-1).to(keys.dtype)
            drawn[samples, :, rows] = weights @ asked
            pulled[samples] += weights.mT @ some
        ctx.save_for_backward(queries, keys, drawn, allowed if isinstance(allowed, Tensor) else None)
        ctx.named = allowed if isinstance(allowed, str) else None
        return drawn, pulled.to(keys.dtype)

    @staticmethod
    def backward(ctx: Any, by_drawn: Tensor, by_pulled: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivative()
        queries, keys, drawn, mask = ctx.saved_tensors
        allowed = mask if ctx.named is None else ctx.named
        by_queries, by_keys = torch.empty_like(queries), torch.zeros_like(widened(keys))
        # two products of one width cost more than one of twice the width
        left, right = torch.cat([by_drawn, queries], -1), torch.cat([keys, by_pulled], -1)
        for samples, rows in product(*blocks_of(queries)):
            some, asked, upstream = queries[samples, :, rows], keys[samples], by_drawn[samples, :, rows]
            weights = scores(some, asked, part(allowed, samples, rows), rows.start).softmax(-1).to(keys.dtype)
            direct = weights @ by_pulled[samples]
            delta = (widened(upstream) * drawn[samples, :, rows] + widened(some) * direct).sum(-1, keepdim=True)
            by_scores = ((left[samples, :, rows] @ right[samples].mT).sub_(delta)).mul_(weights)
            by_queries[samples, :, rows] = by_scores @ asked + direct
            by_keys[samples] += by_scores.mT @ some + weights.mT @ upstream
        return by_queries, by_keys.to(keys.dtype), None


def block_pulls(queries: Tensor, keys: Tensor, allowed: Mask) -> tuple[Tensor, Tensor]:
    """The same, which graphs of `torch.compile` take as it is."""
    found: tuple[Tensor, Tensor] = BlockPulls.apply(queries, keys, allowed)
    return found


torch.compiler.allow_in_graph(block_pulls)


def one_block(queries: Tensor) -> bool:
    """Whether all scores make up one."""
    batch, heads, tokens, _ = queries.shape
    return batch * heads * tokens * tokens <= BLOCK


def blocks_of(queries: Tensor) -> tuple[list[slice], list[slice]]:
    """Samples and rows of queries; the scores of some samples and some rows make up a block."""
    batch, heads, tokens, _ = queries.shape
    return slices(batch, BLOCK // (heads * tokens * tokens)), slices(tokens, max(LEAST_ROWS, BLOCK // (heads * tokens)))


def slices(length: int, most: int) -> list[slice]:
    """Parts of a range, of one size but for the last."""
    size = -(-length // -(-length // max(1, most)))
    return [slice(first, first + size) for first in range(0, length, size)]
