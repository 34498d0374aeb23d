"""Euler steps, `x <- x + dt (drive - x)`, with the step in units of the fastest layer's time constant."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.dynamics.solver import Solver, refuse_collective_masks
from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.vectors import forces, largest_entry
from attractor.validation import check_positive

HALVINGS = 30


class Euler(Solver):
    """Explicit Euler. The energy falls for small enough steps, about `dt <= 2 / (1 + |H^.5 D H^.5|)`.

    Args:
        dt: the step in units of the smallest time constant. At 1, all layers are set to their drives at once, and may oscillate.
        backtrack: halve the step of a sample as long as it would raise its energy. The descent law then holds for any step and
            any clamp, at the price of an energy for each trial.

    Example:
        >>> Euler(dt=0.1, backtrack=True)
        Euler(dt=0.1, backtrack=True)
    """

    def __init__(self, dt: float = 0.5, *, backtrack: bool = False):
        self.dt = check_positive("dt", dt)
        self.backtrack = backtrack

    def check(self, network: EnergyNetwork, held: Held) -> None:
        if not self.backtrack:
            refuse_collective_masks(network, held, self)

    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        pull = forces(network, state, held)
        fastest = min(layer.tau for layer in network.layers.values())
        motion = {name: (self.dt * fastest / network.layer(name).tau) * one for name, one in pull.items()}
        moved = {name: x + motion[name] for name, x in state.items()}
        if self.backtrack:
            moved = falling(network, state, motion, moved)
        return moved, largest_entry(pull)


def falling(network: EnergyNetwork, state: State, motion: State, moved: State) -> State:
    """`moved`, with the motion of samples halved until their energy does not rise; at the last, they stay."""
    start = network.energy(state)
    # differences below the rounding of the energy say nothing
    allowed = start + torch.finfo(start.dtype).eps * (1 + start.abs())
    share = torch.ones_like(start)
    for _ in range(HALVINGS):
        rises = ~(network.energy(moved) <= allowed)
        if not bool(rises.any()):
            return moved
        share = torch.where(rises, share / 2, share)
        moved = {name: x + share.view(-1, *[1] * (x.ndim - 1)) * motion[name] for name, x in state.items()}
    share = torch.where(network.energy(moved) <= allowed, share, torch.zeros_like(share))
    return {name: x + share.view(-1, *[1] * (x.ndim - 1)) * motion[name] for name, x in state.items()}
