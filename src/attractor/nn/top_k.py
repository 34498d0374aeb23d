"""The k largest entries along the last axis, with ties decided.

`torch.topk` leaves open which of several equal entries it returns, and the answer differs between devices. A winner-take-all
layer can only be repeated when that choice is fixed: here the lower index wins.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attractor.validation import check_count


def largest(values: Tensor, k: int) -> Tensor:
    """Indices of the `k` largest entries along the last axis, largest first, equal entries in the order of their indices.

    Exactly `k` indices come back, also where fewer entries are positive. They carry no gradient; `torch.func.vmap` works.

    Args:
        values: real numbers, `(..., n)`; NaN counts as larger than everything, as in `torch.topk`.
        k: from 1 to n.

    Returns:
        int64 `(..., k)`.

    Raises:
        TypeError: `values` is no tensor or `k` no integer.
        ValueError: `values` has no axis, or `k` is outside 1..n.

    >>> largest(torch.tensor([[1.0, 3.0, 3.0, 2.0, 3.0]]), 2).tolist()
    [[1, 2]]
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"values must be a torch.Tensor, got {type(values).__name__}")
    k = check_count("k", k)
    if values.dim() == 0 or k > values.shape[-1]:
        raise ValueError(f"values must have a last axis of at least k = {k} entries, got shape {tuple(values.shape)}")
    chosen: Tensor = Largest.apply(values.detach(), k)
    return chosen


class Largest(torch.autograd.Function):
    """`largest` in the eyes of `torch.func`: one more axis of a batch is one more axis in front, so that ties can be looked at."""

    @staticmethod
    def forward(values: Tensor, k: int) -> Tensor:
        return _largest(values, k)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, None], values: Tensor, k: int) -> tuple[Tensor, int]:
        return largest(values.movedim(in_dims[0], 0), k), 0


def _largest(values: Tensor, k: int) -> Tensor:
    width = values.shape[-1]
    flat = values.reshape(-1, width)
    if k == width:
        return _ordered(flat, k).reshape(values.shape)
    top, indices = torch.topk(flat, k + 1, dim=-1)
    chosen = indices[:, :k].sort(dim=-1).values
    chosen = chosen.gather(-1, _ordered(flat.gather(-1, chosen), k))
    # Only where the last winner equals the first loser is the set itself in doubt. "Not greater" lets NaN through as well.
    doubtful = ~(top[:, k - 1] > top[:, k])
    if bool(doubtful.any()):
        chosen[doubtful] = _ordered(flat[doubtful], k)
    return chosen.reshape(*values.shape[:-1], k)


def _ordered(rows: Tensor, k: int) -> Tensor:
    return torch.sort(rows, dim=-1, descending=True, stable=True).indices[:, :k]
