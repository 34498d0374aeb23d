"""Which keys a query may read, and its scores with them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from attractor.read.similarity import widened


class Edges(NamedTuple):
    """Which query reads which key: two lists `(edges,)` of tokens. An edge that stands twice counts twice."""

    queries: Tensor
    keys: Tensor


Mask = Literal["no-self"] | Tensor | None
"""All keys; all but the token itself; or those where a Boolean tensor `(..., tokens, tokens)` is True."""
Allowed = Mask | Edges


def scores(queries: Tensor, keys: Tensor, allowed: Mask, first: int = 0) -> Tensor:
    """`q_C . k_B` in float32 or better, minus infinity where it is not allowed.

    Args:
        queries: `(b, heads, rows, key_dim)`, the tokens from `first` on.
        keys: `(b, heads, tokens, key_dim)`.
        allowed: broadcasts to `(b, heads, rows, tokens)` where it is a tensor.
    """
    found = widened(queries @ keys.mT)
    if isinstance(allowed, str):
        found.diagonal(first, -2, -1).fill_(-torch.inf)
    elif allowed is not None:
        found.masked_fill_(~allowed, -torch.inf)
    return found


def part(allowed: Mask, samples: slice, rows: slice) -> Mask:
    """Of a mask, what concerns some queries of some samples."""
    if not isinstance(allowed, Tensor):
        return allowed
    return (allowed[samples] if allowed.dim() == 4 and len(allowed) > 1 else allowed)[..., rows, :]


def visible(allowed: Mask) -> tuple[Mask, Tensor | None]:
    """The mask with the rows of queries that have nothing to read opened, as their weights would be NaN, and which those are."""
    if not isinstance(allowed, Tensor):
        return allowed, None
    blind = ~allowed.any(-1, keepdim=True)
    return allowed | blind, blind


def refuse_second_derivative() -> None:
    """For backward passes that keep no graph: without a word, what depends on it would be taken as constant.

    Raises:
        RuntimeError: a graph is wanted.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            "attention by blocks or fused kernels is differentiated once; for create_graph=True take the plain route"
        )


def as_tensor(allowed: Mask, tokens: int, device: torch.device) -> Tensor | None:
    """The mask as a Boolean tensor, where it forbids anything."""
    return ~torch.eye(tokens, dtype=torch.bool, device=device) if isinstance(allowed, str) else allowed
