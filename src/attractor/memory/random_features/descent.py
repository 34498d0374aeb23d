"""Gradient descent on an estimated energy, with trusted entries held.

A state moves by `alpha` times the force, or by half of that, and half again, where the energy would rise: next to the noise floor
the logarithm is so steep that no fixed step is short enough. Where the energy has no lower bound the length of the free part is
kept, and the state turns by `alpha` towards the direction of the force, as in a power iteration.

Whether a state is at rest is judged by a step of one given length, whatever the length of the steps taken: a short step that hardly
moves a state shows no rest.
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
    """How to descend: by steps of `alpha`, at rest where a step of `judged` is below `tol`, in `max_steps` tries, with a trace."""

    alpha: float
    judged: float
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
        loose = ~stuck[:, None] if free is None else ~stuck[:, None] & free[active]
        length = None if radius is None else radius[active]
        whole = stepped(here, force[active], loose, length, torch.full_like(alphas[active, None], way.judged))
        moved = stepped(here, force[active], loose, length, alphas[active, None])
        rests = (whole - here).abs().amax(-1) <= way.tol * here.abs().amax(-1).clamp_min(1)
        converged[active] = rests & ~stuck
        goes_on = ~rests & (moved != here).any(-1) & (tries[active] < way.max_steps)
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


def stepped(states: Tensor, force: Tensor, free: Tensor, radius: Tensor | None, alpha: Tensor) -> Tensor:
    """The free entries of `states` moved by `alpha` times the force, or turned where a radius is kept."""
    moved = states + alpha * force if radius is None else turned(states, force, free, radius, alpha)
    return torch.where(free, moved, states)


def turned(states: Tensor, force: Tensor, free: Tensor, radius: Tensor, alpha: Tensor) -> Tensor:
    """The free part of `states`, turned by `alpha` towards the force, at the length `radius`."""
    states, force = states.masked_fill(~free, 0), force.masked_fill(~free, 0)
    return radius * normalize((1 - alpha) * states + alpha * radius * normalize(force, dim=-1), dim=-1)
