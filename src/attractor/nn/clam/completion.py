"""The loss by which prototypes are learned: hide some features of a sample, run down the energy, compare what was filled in.

The hidden features start at the mean, which is zero. Without hidden features the whole sample runs and is compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.nn.clam.dynamics import Landscape
from attractor.validation import check_count, check_positive


def hidden_count(dim: int, fraction: float) -> int:
    """How many of `dim` features are hidden: at least one."""
    return max(1, round(fraction * dim))


def hidden_features(
    rows: int, dim: int, fraction: float, *, known: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """A mask `(rows, dim)` with as many True in every row, each feature with the same chance.

    Args:
        rows, dim: of the mask.
        fraction: of the features that are hidden, rounded, one at least.
        known: `(rows, dim)`, False where there is no value; those are hidden last.
        generator: of the draw, on the CPU.

    Raises:
        TypeError: `rows` or `dim` is no integer, or `fraction` no number.
        ValueError: `rows` or `dim` is below 1, or `fraction` not above 0 and at most 1.

    Example:
        >>> hidden_features(3, 10, 0.2, generator=torch.Generator().manual_seed(0)).sum(1)
        tensor([2, 2, 2])
    """
    check_count("rows", rows)
    check_count("dim", dim)
    check_fraction("fraction", fraction)
    draw = torch.rand(rows, dim, generator=generator)
    if known is not None:
        draw = draw.masked_fill(~known.cpu(), -1.0)
    chosen = draw.topk(hidden_count(dim, fraction), -1).indices
    return torch.zeros(rows, dim, dtype=torch.bool).scatter(-1, chosen, True)


def completion_loss(
    landscape: Landscape,
    samples: Tensor,
    hidden: Tensor | None,
    *,
    steps: int,
    step_size: float,
    known: Tensor | None = None,
) -> Tensor:
    """Mean squared error `(...)` over the hidden entries after the descent; a mask for each sample, so the state is followed.

    Args:
        landscape: with prototypes `(..., k, d)`.
        samples: `(b, d)`; what stands where they are not known does not matter.
        hidden: `(b, d)`, True where an entry is hidden. None: the whole sample moves and is compared.
        steps: down the energy.
        step_size: of each.
        known: `(b, d)`, False where there is no value: it moves as well and is not compared.
    """
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


def shared_completion_loss(landscape: Landscape, samples: Tensor, hidden: Tensor | None, *, steps: int, step_size: float) -> Tensor:
    """The same loss `(...)` where all samples hide the same features, `hidden (m,)` int64, for many sets of prototypes at once.

    A state is `start + (a mixture of prototypes)` on the hidden features, so its overlaps with the prototypes are all that the
    descent needs: a step multiplies by their `k x k` Gram matrix on those features and never touches one of the `d` features.

    Args:
        landscape: with prototypes `(..., k, d)`; not spherical.
        samples: `(b, d)`.
        hidden: None: the whole sample moves and is compared.
        steps: down the energy.
        step_size: of each.
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


def check_fraction(name: str, value: float) -> float:
    """A number above 0 and at most 1."""
    check_positive(name, value)
    if value > 1:
        raise ValueError(f"{name} must be at most 1, got {value!r}")
    return float(value)
