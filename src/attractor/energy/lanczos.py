"""Lanczos' method, with full orthogonalisation: the largest eigenvalue of an operator known by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attractor.read.similarity import widened

Operator = Callable[[Tensor], Tensor]
STEPS_BETWEEN_TESTS = 8


@torch.no_grad()
def lanczos(operator: Operator, start: Tensor, *, steps: int = 200, tol: float = 1e-9) -> Tensor:
    """The largest eigenvalue `(b,)` of one operator for each sample, approached from below; in float32 or better.

    Args:
        operator: symmetric; takes vectors `(b, N)` to their products, one operator for each row.
        start: where to begin, `(b, N)`; it must not be orthogonal to what is looked for.
        steps: the most products.
        tol: relative size of the residual at which to stop.

    Raises:
        ValueError: a start has no length.

    Example:
        >>> numbers = torch.tensor([1.0, -5.0, 3.0])
        >>> lanczos(lambda x: numbers * x, torch.ones(1, 3)).round(decimals=4)
        tensor([3.])
    """
    wide = widened(start)
    length = wide.norm(dim=-1)
    if not bool((length > 0).all()):
        raise ValueError("start must have a length in every row")
    q, running = wide / length[:, None], torch.ones_like(length, dtype=torch.bool)
    most = min(steps, start.shape[1])
    basis = wide.new_empty(len(start), most, start.shape[1])
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    largest = residual = torch.zeros_like(length)
    for step in range(1, most + 1):
        basis[:, step - 1] = q
        turned = widened(operator(q.to(start.dtype)))
        quotient = (q * turned).sum(-1)
        # a row that spans its invariant subspace already adds copies of a Rayleigh quotient, which is never too large
        diagonal.append(torch.where(running, quotient, diagonal[0] if diagonal else quotient))
        before = basis[:, :step]
        for _ in range(2):
            turned = turned - ((before @ turned[:, :, None]).transpose(1, 2) @ before)[:, 0]
        length = turned.norm(dim=-1)
        scale = torch.stack(diagonal).abs().amax(0) + torch.stack([*beside, length]).amax(0)
        running = running & (length > 100 * torch.finfo(length.dtype).eps * scale)
        beside.append(torch.where(running, length, torch.zeros_like(length)))
        last = step == most or not bool(running.any())
        if last or step % STEPS_BETWEEN_TESTS == 0:
            largest, residual = ritz(diagonal, beside)
            if last or bool((residual <= tol * scale).all()):
                break
        q = torch.where(running[:, None], turned / length.clamp_min(torch.finfo(length.dtype).tiny)[:, None], torch.zeros_like(q))
    return largest


def ritz(diagonal: list[Tensor], beside: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue of the tridiagonal matrix, and the size of its residual."""
    matrix = torch.diag_embed(torch.stack(diagonal, -1))
    if len(diagonal) > 1:
        off = torch.diag_embed(torch.stack(beside[:-1], -1), offset=1)
        matrix = matrix + off + off.transpose(1, 2)
    values, vectors = torch.linalg.eigh(matrix)
    return values[:, -1], beside[-1] * vectors[:, -1, -1].abs()
