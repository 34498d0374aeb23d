"""The pulls of attention from one block of queries after the other: no matrix of all pairs is kept, forward or backward.

The weights of a block fit a processor's cache, and the backward pass computes them a second time. With upstream gradients `dF` of
`F = P K` and `dG` of `G = P^T Q`,

    dP = dF K^T + Q dG^T        dS = P (dP - delta)        dQ = dS K + P dG        dK = dS^T Q + P^T dF

where `delta_C = sum_B P_CB dP_CB = dF_C.F_C + Q_C.(P dG)_C` needs no row of the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Mask, refuse_second_derivative, scores
from attractor.read.similarity import widened

BLOCK = 2**19
"""About so many scores at once."""
LEAST_ROWS = 32


class BlockPulls(torch.autograd.Function):
    """`(P K, P^T Q)`, `P = softmax(Q K^T)` over the keys that are `allowed`; every query must have one."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, allowed: Mask) -> tuple[Tensor, Tensor]:
        drawn, pulled = torch.empty_like(queries), torch.zeros_like(widened(keys))
        for rows in blocks_of(queries):
            some = queries[:, :, rows]
            weights = weights_of(some, keys, allowed, rows.start)
            drawn[:, :, rows] = weights @ keys
            pulled += weights.mT @ some
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
        for rows in blocks_of(queries):
            some, upstream = queries[:, :, rows], by_drawn[:, :, rows]
            weights = weights_of(some, keys, allowed, rows.start)
            direct = weights @ by_pulled
            delta = (widened(upstream) * drawn[:, :, rows] + widened(some) * direct).sum(-1, keepdim=True)
            by_scores = ((left[:, :, rows] @ right.mT).sub_(delta)).mul_(weights)
            by_queries[:, :, rows] = by_scores @ keys + direct
            by_keys += by_scores.mT @ some + weights.mT @ upstream
        return by_queries, by_keys.to(keys.dtype), None


def weights_of(queries: Tensor, keys: Tensor, allowed: Mask, first: int) -> Tensor:
    return scores(queries, keys, allowed, first).softmax(-1).to(keys.dtype)


def blocks_of(queries: Tensor) -> Iterator[slice]:
    """Rows of queries whose scores make up a block."""
    batch, heads, tokens, _ = queries.shape
    rows = max(LEAST_ROWS, BLOCK // (batch * heads * tokens))
    return (slice(first, first + rows) for first in range(0, tokens, rows))
