"""Rows of different lengths: padding on either side is taken out before the windows are cut."""

from __future__ import annotations

import torch
from torch import Tensor


def check_ids(input_ids: Tensor, attention_mask: Tensor | None, embedding: Tensor) -> Tensor:
    """The mask `(B, T)` of `input_ids (B, T)`, Boolean, everywhere True by default; `embedding` is the table of tokens.

    Raises:
        TypeError: not tensors of integers.
        ValueError: wrong shapes, another device than the model's, ids out of its vocabulary, or a row without a token.
    """
    if not isinstance(input_ids, Tensor):
        raise TypeError(f"input_ids must be a torch.Tensor, got {type(input_ids).__name__}")
    if input_ids.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"input_ids must hold integers of 32 or 64 bits, got {input_ids.dtype}")
    if input_ids.dim() != 2 or not input_ids.numel():
        raise ValueError(f"input_ids must have shape (rows, tokens), got {tuple(input_ids.shape)}")
    if input_ids.device != embedding.device:
        raise ValueError(f"input_ids must be on {embedding.device} like the model's first layer, got {input_ids.device}")
    if attention_mask is None:
        mask = torch.ones_like(input_ids, dtype=torch.bool)
    elif not isinstance(attention_mask, Tensor) or attention_mask.shape != input_ids.shape:
        came = tuple(attention_mask.shape) if isinstance(attention_mask, Tensor) else type(attention_mask).__name__
        raise ValueError(f"attention_mask must have the shape of input_ids {tuple(input_ids.shape)}, got {came}")
    else:
        mask = attention_mask.to(input_ids.device) != 0
    there = input_ids[mask]
    if there.numel() and not 0 <= int(there.min()) <= int(there.max()) < len(embedding):
        raise ValueError(f"input_ids must be from 0 to {len(embedding) - 1}, got {int(there.min())} to {int(there.max())}")
    if not bool(mask.any()):
        raise ValueError("attention_mask must leave at least one token")
    return mask


def aligned(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens of each row moved to its beginning, `(B, longest)` with 0 behind, and the lengths `(B,)`."""
    lengths = mask.sum(1)
    order = (~mask).long().argsort(dim=1, stable=True)[:, : int(lengths.max())]
    moved = ids.gather(1, order)
    return torch.where(mask.gather(1, order), moved, 0), lengths


def unaligned(values: Tensor, mask: Tensor) -> Tensor:
    """The reverse of `aligned` for `values (B, longest, ...)`: back where the tokens stood, 0 at padding."""
    if bool(mask.all()):
        return values
    result = values.new_zeros(*mask.shape, *values.shape[2:])
    column = torch.arange(values.shape[1], device=values.device) < mask.sum(1)[:, None]
    result[mask] = values[column]
    return result
