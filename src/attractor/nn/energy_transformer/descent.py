"""Descent of tokens to rest: what the steps of the block do when they are not bounded in number, with the energy on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.energy.synapses.allowed import Allowed
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
        converged: whether the last step moved its normalised tokens by less than the tolerance, `(b,)`.
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
    """Let each sample go on until it rests."""
    steps = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    converged = torch.zeros_like(steps, dtype=torch.bool)
    active = torch.arange(len(x), device=x.device)
    activated = landscape.norm(x)
    energy = landscape.energy(activated, allowed)
    states, energies = [x], [energy]
    for _ in range(max_steps):
        if not len(active):
            break
        here, mask = activated[active], of_samples(allowed, active)
        motion = step_size * landscape.force(here, mask)
        moved, then, reached = (falling if backtrack else stepped)(landscape, x[active], motion, energy[active], mask)
        x, energy = x.index_copy(0, active, moved), energy.index_copy(0, active, reached)
        activated = activated.index_copy(0, active, then)
        rests = (then - here).abs().flatten(1).amax(-1) < tol
        steps[active] += 1
        converged[active[rests]] = True
        active = active[~rests]
        if trace:
            states.append(x)
            energies.append(energy)
    way = TokenTrace(torch.stack(states), torch.stack(energies)) if trace else None
    return Descent(x, energy, steps, converged, way)


def stepped(landscape: Landscape, x: Tensor, motion: Tensor, energy: Tensor, allowed: Allowed) -> tuple[Tensor, Tensor, Tensor]:
    """States, activations and energies after the motion."""
    moved = x + motion
    activated = landscape.norm(moved)
    return moved, activated, landscape.energy(activated, allowed)


def falling(landscape: Landscape, x: Tensor, motion: Tensor, energy: Tensor, allowed: Allowed) -> tuple[Tensor, Tensor, Tensor]:
    """The same with the motion of samples halved until their energy does not rise; at the last, they stay."""
    share = torch.ones_like(energy)
    for halving in range(HALVINGS + 1):
        moved, activated, reached = stepped(landscape, x, share.to(x.dtype).view(-1, 1, 1) * motion, energy, allowed)
        rises = ~(reached <= energy)
        if not bool(rises.any()):
            break
        share = torch.where(rises, share / 2 if halving < HALVINGS - 1 else 0.0, share)
    return moved, activated, torch.where(rises, energy, reached)
