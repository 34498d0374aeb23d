"""The completion loss without checks, in two forms that agree where both apply."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.nn.clam.dynamics import Landscape


def loss_by_states(
    landscape: Landscape, samples: Tensor, hidden: Tensor | None, *, steps: int, step_size: float, known: Tensor | None = None
) -> Tensor:
    """`completion_loss`: every state is followed."""
    truth = samples if known is None else torch.where(known, samples, 0)
    compared = torch.ones_like(truth) if hidden is None else hidden.to(truth.dtype)
    moving: Tensor | None = None if hidden is None else compared
    if known is not None:
        compared = compared * known
        moving = None if moving is None else torch.maximum(moving, (~known).to(truth.dtype))
    start = truth if hidden is None else truth * (1 - compared)
    states = start.expand(*landscape.prototypes.shape[:-2], *start.shape)
    for _ in range(steps):
        states = landscape.step(states, step_size, moving)
    return ((states - truth).square() * compared).sum((-2, -1)) / compared.sum()


def loss_by_overlaps(landscape: Landscape, samples: Tensor, hidden: Tensor | None, *, steps: int, step_size: float) -> Tensor:
    """`shared_completion_loss`.

    A state is `start + (a mixture of prototypes)` on the hidden features, so its overlaps with the prototypes are all that the
    descent needs: a step multiplies by their `k x k` Gram matrix on those features and never touches one of the `d` features.
    """
    prototypes, sharpness = landscape.prototypes, 2 * landscape.beta
    *leading, count, dim = prototypes.shape
    bias = -landscape.beta * prototypes.square().sum(-1, keepdim=True)
    if landscape.log_weights is not None:
        bias = bias + landscape.log_weights[..., None]
    flat = prototypes.reshape(-1, dim)
    if hidden is None:
        moving, truth, kept = prototypes, samples.T, (1 - step_size) ** steps
        wanted = (flat @ truth).view(*leading, count, -1)
        overlaps: Tensor | None = sharpness * wanted
    else:
        moving, truth, kept = prototypes.index_select(-1, hidden), samples.index_select(1, hidden).T, 0.0
        wanted = (moving.reshape(-1, len(hidden)) @ truth).view(*leading, count, -1)
        # overlaps with what is observed stay; those with what is hidden start at zero
        bias = bias + sharpness * (flat @ samples.index_fill(1, hidden, 0.0).T).view(*leading, count, -1)
        overlaps = None
    gram = moving @ moving.mT
    sharp_gram = sharpness * gram
    mixture: Tensor | None = None
    for step in range(steps):
        weights = (bias if overlaps is None else bias + overlaps).softmax(-2)
        mixture = step_size * weights if mixture is None else torch.lerp(mixture, weights, step_size)
        if step < steps - 1:
            drawn = sharp_gram @ weights
            overlaps = step_size * drawn if overlaps is None else torch.lerp(overlaps, drawn, step_size)
    assert mixture is not None
    # |prototypes mixed + kept x - x|^2, written out
    squares = (mixture * (gram @ mixture - 2 * (1 - kept) * wanted)).sum((-2, -1)) + (1 - kept) ** 2 * truth.square().sum()
    return squares / truth.numel()
