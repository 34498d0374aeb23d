"""Energies: Lagrangians, neurons, synapses, and the networks that they make."""

from attractor.energy import lagrangians, synapses
from attractor.energy.convert import from_sequential
from attractor.energy.graph import to_graphviz
from attractor.energy.network import Connection, EnergyNetwork, State
from attractor.energy.neurons import Neurons

__all__ = [
    "Connection",
    "EnergyNetwork",
    "Neurons",
    "State",
    "from_sequential",
    "lagrangians",
    "synapses",
    "to_graphviz",
]
