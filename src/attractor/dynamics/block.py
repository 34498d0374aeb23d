"""The block solver: layers are set to their drives, colour by colour.

Layers of one colour share no connection. With all others fixed, the energy in their activations is `L*(g)` plus the synapses'
energies; where those are concave, `x <- drive` is a step of the concave-convex procedure: it needs no step size and never raises
the energy. Where they are linear it is the exact minimum.
"""

from __future__ import annotations

from torch import Tensor

from attractor.dynamics.solver import Solver, refuse_collective_masks
from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.vectors import largest_entry


class Block(Solver):
    """Exact coordinate descent over layers; one step is a sweep over all colours.

    Raises:
        ValueError: a synapse is not concave in the activations of a layer that has to move, or a mask holds single units of a
            collective layer.
    """

    def check(self, network: EnergyNetwork, held: Held) -> None:
        refuse_collective_masks(network, held, self)
        for connection in network.connections:
            for name in dict.fromkeys(connection.ends):
                places = connection.positions(name)
                if name not in held.layers and not connection.synapse.concave_in(*places):
                    where = "at two ends of" if len(places) > 1 else "in"
                    raise ValueError(
                        f"the block solver must find every synapse concave in the layers that move: layer {name!r} {where} "
                        f"{connection.name!r} ({connection.synapse!r}) is not. Use Euler(backtrack=True), or clamp the layer"
                    )

    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        before, state = state, dict(state)
        activations = network.activations(state)
        for colour in colours(network, held):
            for name, drive in network.drives(activations, only=colour).items():
                state[name] = held.keep(name, state[name], drive)
                activations[name] = network.layer(name).activation(state[name])
        return state, largest_entry({name: state[name] - before[name] for name in state})


def colours(network: EnergyNetwork, held: Held) -> list[list[str]]:
    """The layers that move, in groups that no connection joins two of: greedily, the first layer's group last.

    The first layer is the one that cues are given to, as a rule: it must be read before it is set.
    """
    neighbours: dict[str, set[str]] = {name: set() for name in network.neurons}
    for connection in network.connections:
        for name in connection.ends:
            neighbours[name] |= set(connection.ends) - {name}
    groups: list[list[str]] = [[]]
    for name in network.neurons:
        free = next((group for group in groups if not neighbours[name] & set(group)), None)
        if free is None:
            groups.append(free := [])
        free.append(name)
    moving = [[name for name in group if name not in held.layers] for group in (*groups[1:], groups[0])]
    return [group for group in moving if group]
