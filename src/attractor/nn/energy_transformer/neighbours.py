"""Masks of a call: who may attend to whom, checked, and together with what the block always forbids."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Allowed, Edges


def neighbours(
    mask: Tensor | None, shape: tuple[int, int, int], device: torch.device, self_attention: bool, causal: bool
) -> Allowed:
    """What `log_partitions` and `pulls` take, for `shape = (b, heads, tokens)`.

    Raises:
        TypeError: neither Boolean nor a list of edges.
        ValueError: another shape or device, an edge to a token that there is not, edges with `causal`, or nobody to attend to.
    """
    *_, tokens = shape
    if mask is None and tokens == 1 and not self_attention:
        raise ValueError("x must have at least two tokens where self_attention is False and there is no mask, got one")
    if mask is not None and not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a tensor, got {type(mask).__name__}")
    if mask is not None and mask.device != device:
        raise ValueError(f"mask must be on {device} like the tokens, got {mask.device}")
    if mask is not None and mask.dtype == torch.int64:
        if causal:
            raise ValueError("mask must be Boolean or None where causal is True, got edges")
        edges = checked_edges(mask, tokens)
        apart = None if self_attention else edges.queries != edges.keys
        return edges if apart is None else Edges(edges.queries[apart], edges.keys[apart])
    allowed = None if mask is None else checked_mask(mask, shape)
    if self_attention and not causal:
        return allowed
    if not causal and allowed is None:
        return "no-self"
    everyone = torch.ones(tokens, tokens, dtype=torch.bool, device=device)
    own = everyone.tril(0 if self_attention else -1) if causal else ~everyone.tril().triu()
    return own if allowed is None else allowed & own


def checked_edges(edges: Tensor, tokens: int) -> Edges:
    if edges.dim() != 2 or len(edges) != 2:
        raise ValueError(f"mask of edges must have shape (2, edges), queries above keys, got {tuple(edges.shape)}")
    if not torch.compiler.is_compiling() and edges.numel() and (int(edges.min()) < 0 or int(edges.max()) >= tokens):
        raise ValueError(f"mask of edges must join tokens 0 to {tokens - 1}, got {int(edges.min())} to {int(edges.max())}")
    return Edges(*edges)


def checked_mask(mask: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The mask with four dimensions, or two where it serves all heads and samples."""
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be Boolean, True where a query attends to a key, or int64 edges, got {mask.dtype}")
    batch, heads, tokens = shape
    by_heads = mask[:, None] if mask.dim() == 3 else mask
    fits = by_heads.dim() in (2, 4) and by_heads.shape[-2:] == (tokens, tokens)
    if not fits or (by_heads.dim() == 4 and (by_heads.shape[0] not in (1, batch) or by_heads.shape[1] not in (1, heads))):
        raise ValueError(
            f"mask must have shape {(tokens, tokens)}, {(batch, tokens, tokens)} or ({batch}, 1 or {heads}, {tokens}, {tokens}), "
            f"got {tuple(mask.shape)}"
        )
    return by_heads


def of_samples(allowed: Allowed, samples: Tensor) -> Allowed:
    """The masks of some samples."""
    return allowed[samples] if isinstance(allowed, Tensor) and allowed.dim() == 4 and len(allowed) > 1 else allowed
