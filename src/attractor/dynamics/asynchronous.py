"""Asynchronous updates: one unit after the other is set to its drive."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.dynamics.solver import Solver, refuse_collective_masks
from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.vectors import largest_entry


class Asynchronous(Solver):
    """Single units in random order; one step is a sweep over all of them.

    Layers may be joined to themselves: a unit that a synapse does not join to itself sees a linear energy, so that its update is
    the exact minimum. The energy never rises where every synapse is concave in each single unit. A drive is computed for every
    unit: meant for small networks.

    Args:
        seed: of the order; same seed, same order.

    Raises:
        ValueError: a layer that moves has a collective Lagrangian, whose units cannot be set one by one.
    """

    def __init__(self, *, seed: int = 0):
        self.seed = seed

    def check(self, network: EnergyNetwork, held: Held) -> None:
        refuse_collective_masks(network, held, self)
        for name, layer in network.layers.items():
            if name not in held.layers and not layer.lagrangian.elementwise:
                raise ValueError(
                    f"the asynchronous solver sets units one by one: layer {name!r} has {layer.lagrangian!r}, whose activations "
                    "depend on all its units together. Use the block solver, or clamp the layer"
                )

    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        generator = torch.Generator().manual_seed(hash((self.seed, time)))
        units = [(name, unit) for name, layer in network.layers.items() if name not in held.layers for unit in range(layer.units)]
        now = {name: x.clone() for name, x in state.items()}
        activations = network.activations(now)
        for place in torch.randperm(len(units), generator=generator).tolist():
            name, unit = units[place]
            old = now[name]
            drive = held.keep(name, old, network.drives(activations, only=(name,))[name])
            new = old.flatten(1).clone()
            new[:, unit] = drive.flatten(1)[:, unit]
            now[name] = new.view_as(old)
            activations[name] = network.layer(name).activation(now[name])
        return now, largest_entry({name: now[name] - state[name] for name in state})
