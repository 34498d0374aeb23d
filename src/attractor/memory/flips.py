"""Flips of single units of binary states by energy difference (Krotov and Hopfield 2016).

A flip of unit `i` changes the score of pattern `mu` by `-2 x_i xi_mu_i`, so the scores are kept and never computed anew. The loop
runs over units, each of which may depend on the flips before it; states and patterns are batched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.read import Separation


def flip_units(
    states: Tensor,
    scores: Tensor,
    columns: Tensor,
    separation: Separation,
    order: Tensor,
    free: Tensor | None,
    *,
    at_once: bool = False,
) -> tuple[Tensor, Tensor]:
    """One sweep over the units in `order`: each is flipped where that alone lowers the energy.

    Args:
        states: `(b, d)`, -1 and 1.
        scores: `(b, n)` of the states.
        columns: `(d, n)`, how much a unit contributes to each score.
        separation: its potential is minus the energy.
        order: the units to visit.
        free: `(b, d)` True where a unit may flip; None for everywhere.
        at_once: decide all flips on the states given, then make them together.

    Returns:
        the new states and their scores.
    """
    states, scores = states.clone(), scores.clone()
    flips = torch.zeros_like(states, dtype=torch.bool)
    value = separation.comparable(scores)
    for unit in order.tolist():
        change = -2 * states[:, unit, None] * columns[unit]
        flipped = scores + change
        flipped_value = separation.comparable(flipped)
        # a gain within rounding is none: units would flip to and fro for ever
        better = flipped_value - value > 4 * torch.finfo(scores.dtype).eps * value.abs()
        if free is not None:
            better &= free[:, unit]
        if at_once:
            flips[:, unit] = better
        elif bool(better.any()):
            states[better, unit] *= -1
            scores = torch.where(better[:, None], flipped, scores)
            value = torch.where(better, flipped_value, value)
    if at_once:
        signs = 1 - 2 * flips.to(states.dtype)
        return states * signs, scores + (states * (signs - 1)) @ columns
    return states, scores
