"""The memory term of the block: a dense associative memory that every token asks on its own.

With `s = g Xi^T`, relu: `E = -1/2 sum_mu relu(s_mu)^2`, weights `relu(s)`; soft-max: `E = -1/beta log sum_mu exp(beta s_mu)`,
weights `softmax(beta s)`. The force is the weights times `Xi`.
"""

from __future__ import annotations

from torch import Tensor

from attractor.products import linear
from attractor.read.similarity import widened


def memory_weights(g: Tensor, memory: Tensor, beta: float | Tensor | None) -> Tensor:
    """Of each memory for each token, `(b, N, M)`; `beta` is None for relu."""
    overlaps = linear(g, memory)
    return overlaps.relu_() if beta is None else (widened(overlaps) * beta).softmax(-1).to(overlaps.dtype)


def memory_energies(g: Tensor, memory: Tensor, beta: float | Tensor | None) -> Tensor:
    """Of each token, `(b, N)`."""
    overlaps = widened(linear(g, memory))
    return -overlaps.relu().square().sum(-1) / 2 if beta is None else -(overlaps * beta).logsumexp(-1) / beta
