"""Losses that push the features of different memories apart.

`L_tau = tau log sum_{mu != nu} exp(<z_mu, z_nu> / tau)` over all pairs of unit features. As `tau -> 0` it tends to the largest
cosine of any pair: its minimum is then the best spherical code. (The mean over memories of a log-sum-exp of each row would tend to
the mean of the largest cosines of the rows instead, which leaves the worst pair alone.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from attractor.validation import check_positive

ROWS_AT_ONCE = 1024


def separation_loss(features: Tensor, tau: float) -> Tensor:
    """`L_tau`, one number, of unit `features (n, D)`.

    The pairs are taken block by block, forwards and backwards, so that the `n^2` cosines are never held together.

    Args:
        features: `(n, D)`, at least two rows of length one.
        tau: temperature, > 0.

    Raises:
        ValueError: `tau` is not positive, or there are fewer than two rows.

    Example:
        >>> round(separation_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 0.01).item(), 4)
        0.0069
    """
    check_positive("tau", tau)
    if len(features) < 2:
        raise ValueError(f"features must have at least 2 rows, got {len(features)}")
    return PairwiseLogSumExp.apply(features, tau)


class PairwiseLogSumExp(torch.autograd.Function):
    """`tau log sum exp(z z^T / tau)` over the pairs beside the diagonal, whose gradient is `2 P z` with the pairs' weights `P`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, tau: float) -> Tensor:
        total = log_total(features, tau)
        ctx.save_for_backward(features, total)
        ctx.tau = tau
        return tau * total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        features, total = ctx.saved_tensors
        tau = ctx.tau
        if torch.is_grad_enabled():
            # for a second derivative, the total must be seen as a function of the features
            total = log_total(features, tau)
        pulls = [(logits - total).exp() @ features for logits in pair_logits(features, tau)]
        return 2 * gradient * torch.cat(pulls), None


def log_total(features: Tensor, tau: float) -> Tensor:
    """`log sum exp(z z^T / tau)` over the pairs."""
    return torch.stack([logits.flatten().logsumexp(0) for logits in pair_logits(features, tau)]).logsumexp(0)


def pair_logits(features: Tensor, tau: float) -> Iterator[Tensor]:
    """`z z^T / tau` by blocks of rows, -inf on the diagonal."""
    own = torch.arange(len(features), device=features.device)
    for rows, places in zip(features.split(ROWS_AT_ONCE), own.split(ROWS_AT_ONCE), strict=True):
        logits = rows @ features.T / tau
        logits[places - places[0], places] = -math.inf
        yield logits


def recognition_loss(queries: Tensor, features: Tensor, tau: float) -> Tensor:
    """Cross-entropy of the soft-max over cosines with `features (n, D)`, where the query in row `mu` is meant for the feature `mu`.

    Example:
        >>> recognition_loss(torch.eye(2), torch.eye(2), 0.1).item() < 1e-4
        True
    """
    logits = queries @ features.T / check_positive("tau", tau)
    return cross_entropy(logits, torch.arange(len(queries), device=queries.device))
