"""Gradient descent on an estimated energy, with trusted entries held.

A state moves by `alpha` times the force, or by half of that, and half again, where the energy would rise: next to the noise floor
the logarithm is so steep that no fixed step is short enough. Where the energy has no lower bound the length of the free part is
kept, and the state turns by `alpha` towards the direction of the force, as in a power iteration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from attractor.memory.recall import Trace


class Field(NamedTuple):
    """What stands at `b` states: `energy (b,)`, the force `(b, d)`, and which of them are `clipped (b,)`."""

    energy: Tensor
    force: Tensor
    clipped: Tensor


class Way(NamedTuple):
    """How to descend: by steps of `alpha`, at rest below `tol`, at most `max_steps` tries, `keep_trace` of the states."""

    alpha: float
    tol: float
    max_steps: int
    keep_trace: bool


class Rest(NamedTuple):
    """Where the states ended."""

    states: Tensor
    energy: Tensor
    clipped: Tensor
    steps: Tensor
    converged: Tensor
    trace: Trace | None


def descend(field: Callable[[Tensor], Field], states: Tensor, free: Tensor | None, radius: Tensor | None, way: Way) -> Rest:
    """Let `states (b, d)` fall to rest.

    Args:
        field: of states `(b, d)`.
        states: where they start.
        free: `(b, d)`, False where an entry is held; None for nowhere.
        radius: `(b, 1)`, the length of the free part to keep; None where it may change.
        way: how.
    """
    found = field(states)
    energy, force, clipped = (one.clone() for one in found)
    steps = torch.full((len(states),), int(free is not None), device=states.device)
    tries, converged = steps.clone(), torch.zeros_like(clipped)
    alphas = torch.full_like(energy, way.alpha)
    rounding = 8 * torch.finfo(states.dtype).eps
    active = torch.arange(len(states), device=states.device)
    passed = [(states, energy.clone())]
    while True:
        here, stuck = states[active], clipped[active]
        moved = here + alphas[active, None] * force[active]
        if radius is not None:
            mask = None if free is None else free[active]
            moved = turned(here, force[active], mask, radius[active], alphas[active, None])
        held = stuck[:, None] if free is None else stuck[:, None] | ~free[active]
        moved = torch.where(held, here, moved)
        rests = (moved - here).abs().amax(-1) <= way.tol * here.abs().amax(-1).clamp_min(1)
        converged[active] = rests & ~stuck
        goes_on = ~rests & (tries[active] < way.max_steps)
        active, moved = active[goes_on], moved[goes_on]
        if len(active) == 0:
            break
        tries[active] += 1
        found = field(moved)
        falls = found.energy <= energy[active] + rounding * energy[active].abs().clamp_min(1)
        taken = active[falls]
        states = states.index_copy(0, taken, moved[falls])
        energy[taken], force[taken], clipped[taken] = (one[falls] for one in found)
        steps[taken] += 1
        alphas[active] = torch.where(falls, (2 * alphas[active]).clamp_max(way.alpha), alphas[active] / 2)
        if way.keep_trace:
            passed.append((states, energy.clone()))
    trace = Trace(*(torch.stack(one) for one in zip(*passed, strict=True))) if way.keep_trace else None
    return Rest(states, energy, clipped, steps, converged, trace)


def turned(states: Tensor, force: Tensor, free: Tensor | None, radius: Tensor, alpha: Tensor) -> Tensor:
    """The free part of `states`, turned by `alpha` towards the force, at the length `radius`."""
    if free is not None:
        states, force = states.masked_fill(~free, 0), force.masked_fill(~free, 0)
    return radius * normalize((1 - alpha) * states + alpha * radius * normalize(force, dim=-1), dim=-1)
