"""The loss by which prototypes are learned: hide some features of a sample, run down the energy, compare what was filled in.

The hidden features start at the mean, which is zero. Without hidden features the whole sample runs and is compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.nn.clam.dynamics import Landscape
from attractor.nn.clam.loss import loss_by_overlaps, loss_by_states
from attractor.nn.clam.settings import as_precise, check_mask, resolved_step_size
from attractor.validation import check_count, check_finite, check_fraction, check_shape


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
        ValueError: `rows` or `dim` is below 1, `fraction` not above 0 and at most 1, or `known` of another shape.

    Example:
        >>> hidden_features(3, 10, 0.2, generator=torch.Generator().manual_seed(0)).sum(1)
        tensor([2, 2, 2])
    """
    check_count("rows", rows)
    check_count("dim", dim)
    check_fraction("fraction", fraction)
    draw = torch.rand(rows, dim, generator=generator)
    if known is not None:
        check_mask("known", known, (rows, dim))
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
        landscape: with prototypes `(..., k, d)`, as `ClAMLayer.landscape`.
        samples: `(b, d)`, on the sphere of length one; what stands where they are not known does not matter.
        hidden: `(b, d)`, True where an entry is hidden. None: the whole sample moves and is compared.
        steps: down the energy.
        step_size: of each, above 0 and below 2 (spherical: at most 1).
        known: `(b, d)`, False where there is no value: it moves as well and is not compared.

    Raises:
        TypeError: an argument of another kind.
        ValueError: other shapes, known values that are not finite, a step with which the energy may rise, or nothing to compare.
    """
    samples, step_size = _checked(landscape, samples, known, steps, step_size)
    if hidden is not None:
        check_mask("hidden", hidden, samples.shape)
    compared = [mask for mask in (hidden, known) if mask is not None]
    if compared and not bool(torch.stack(compared).all(0).any()):
        raise ValueError("hidden must leave an entry to compare, got none that is hidden and known")
    with torch.autocast(samples.device.type, enabled=False):
        return loss_by_states(landscape, samples, hidden, steps=steps, step_size=step_size, known=known)


def shared_completion_loss(landscape: Landscape, samples: Tensor, hidden: Tensor | None, *, steps: int, step_size: float) -> Tensor:
    """The same loss `(...)` where all samples hide the same features, several times cheaper for many sets of prototypes at once.

    Args:
        landscape: with prototypes `(..., k, d)`; not spherical.
        samples: `(b, d)`.
        hidden: `(m,)` int64, the hidden features. None: the whole sample moves and is compared.
        steps: down the energy.
        step_size: of each, above 0 and below 2.

    Raises:
        TypeError: an argument of another kind.
        ValueError: as `completion_loss`, a spherical landscape, or features that are not there or named twice.
    """
    if landscape.spherical:
        raise ValueError("landscape must not be spherical: on the sphere a step changes the length of what moves")
    samples, step_size = _checked(landscape, samples, None, steps, step_size)
    if hidden is not None:
        if not isinstance(hidden, Tensor) or hidden.dtype != torch.int64 or hidden.dim() != 1:
            raise TypeError(f"hidden must be int64 of shape (m,), got {getattr(hidden, 'dtype', type(hidden).__name__)}")
        named = hidden.unique()
        if not len(named) or len(named) < len(hidden) or named[0] < 0 or named[-1] >= samples.shape[1]:
            raise ValueError(f"hidden must name some of the {samples.shape[1]} features, each once, got {hidden[:8].tolist()}")
    with torch.autocast(samples.device.type, enabled=False):
        return loss_by_overlaps(landscape, samples, hidden, steps=steps, step_size=step_size)


def _checked(landscape: Landscape, samples: Tensor, known: Tensor | None, steps: int, step_size: float) -> tuple[Tensor, float]:
    check_count("steps", steps)
    step_size = resolved_step_size(step_size, steps, landscape.spherical)
    samples = as_precise("samples", samples, landscape.prototypes)
    check_shape("samples", samples, landscape.prototypes.shape[-1])
    if known is not None:
        check_mask("known", known, samples.shape)
    check_finite("samples", samples if known is None else torch.where(known, samples, 0))
    return samples, step_size
