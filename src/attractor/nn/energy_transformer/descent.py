"""Descent of tokens to rest: what the steps of the block do when they are not bounded in number, with the energy on the way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Allowed
from attractor.errors import EnergyUnboundedWarning
from attractor.nn.energy_transformer.neighbours import of_samples

HALVINGS = 40


class Landscape(NamedTuple):
    """What descends: `norm(x)` activates tokens, `force(g, allowed)` moves them, `energy(g, allowed)` is `(b,)`."""

    norm: Callable[[Tensor], Tensor]
    force: Callable[[Tensor, Allowed], Tensor]
    energy: Callable[[Tensor, Allowed], Tensor]


@dataclass(frozen=True)
class TokenTrace:
    """The way of a descent: states `(steps + 1, b, tokens, dim)` and energies `(steps + 1, b)`; who rests stays where it is."""

    states: Tensor
    energy: Tensor


@dataclass(frozen=True)
class Descent:
    """Where tokens came to.

    Attributes:
        states: `(b, tokens, dim)`, not normalised.
        energy: of each sample, `(b,)`.
        steps: that each sample took, `(b,)`.
        converged: whether the last step, whole where it was shortened, moved its normalised tokens by less than the tolerance,
            `(b,)`.
        trace: the way, where it was asked for.
    """

    states: Tensor
    energy: Tensor
    steps: Tensor
    converged: Tensor
    trace: TokenTrace | None = None


@torch.no_grad()
def descend(
    landscape: Landscape, x: Tensor, allowed: Allowed, *, max_steps: int, tol: float, step_size: float, backtrack: bool, trace: bool
) -> Descent:
    """Let each sample go on until it rests.

    Warns:
        EnergyUnboundedWarning: a step would have left the range of numbers; the sample stays where it was.
    """
    steps = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    converged, diverged = (torch.zeros_like(steps, dtype=torch.bool) for _ in range(2))
    active = torch.arange(len(x), device=x.device)
    activated = landscape.norm(x)
    energy = landscape.energy(activated, allowed)
    states, energies = [x], [energy]
    for _ in range(max_steps):
        if not len(active):
            break
        here, mask = activated[active], of_samples(allowed, active)
        motion = step_size * landscape.force(here, mask)
        found = stepped(landscape, Place(x[active], here, energy[active]), motion, mask, backtrack)
        x, energy = x.index_copy(0, active, found.place.x), energy.index_copy(0, active, found.place.energy)
        activated = activated.index_copy(0, active, found.place.activated)
        steps[active] += 1
        rests = found.change < tol
        converged[active[rests]] = True
        if not backtrack:
            diverged[active[found.stuck]] = True
        # the next step of a sample that is stuck would be the same
        active = active[~(rests | found.stuck) if tol else ~rests]
        if trace:
            states.append(x)
            energies.append(energy)
    warn_diverged(diverged, x.dtype, step_size, stacklevel=5)
    way = TokenTrace(torch.stack(states), torch.stack(energies)) if trace else None
    return Descent(x, energy, steps, converged, way)


class Place(NamedTuple):
    """Where samples are: tokens, their activations `(b, tokens, dim)`, and energies `(b,)`."""

    x: Tensor
    activated: Tensor
    energy: Tensor


class Step(NamedTuple):
    """Where a step leads; the change `(b,)` of activations by the whole of it; who found no share of it to take, `(b,)`."""

    place: Place
    change: Tensor
    stuck: Tensor


def stepped(landscape: Landscape, start: Place, motion: Tensor, allowed: Allowed, backtrack: bool) -> Step:
    """Take the motion where it stays within the range of numbers; to backtrack, halve it for each sample until its energy does
    not rise.
    """
    share = torch.ones_like(start.energy)
    for halving in range(HALVINGS + 1 if backtrack else 1):
        moved = start.x + share.to(motion.dtype).view(-1, 1, 1) * motion
        activated = landscape.norm(moved)
        reached = landscape.energy(activated, allowed)
        if not halving:
            change = (activated - start.activated).abs().flatten(1).amax(-1)
        good = moved.isfinite().flatten(1).all(-1) & reached.isfinite()
        if backtrack:
            good &= reached <= start.energy
        if bool(good.all()):
            break
        share = torch.where(good, share, share / 2)
    some = good.view(-1, 1, 1)
    moved, activated = torch.where(some, moved, start.x), torch.where(some, activated, start.activated)
    return Step(Place(moved, activated, torch.where(good, reached, start.energy)), change, ~good)


def warn_diverged(diverged: Tensor, dtype: torch.dtype, step_size: float, *, stacklevel: int) -> None:
    if lost := int(diverged.sum()):
        text = f"{lost} of {len(diverged)} samples diverged: steps of {step_size:g} times the force leave the range of {dtype}"
        warnings.warn(text, EnergyUnboundedWarning, stacklevel=stacklevel)
