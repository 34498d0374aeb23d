"""Energies: Lagrangians, neurons, synapses, the networks that they make, and what is certain about them."""

from attractor.energy import flatness, lagrangians, lyapunov, stability, synapses
from attractor.energy.altered import AlteredSystem
from attractor.energy.convert import from_sequential
from attractor.energy.feedback import Feedback
from attractor.energy.graph import to_graphviz
from attractor.energy.network import Connection, EnergyNetwork, State
from attractor.energy.neurons import Neurons

__all__ = [
    "AlteredSystem",
    "Connection",
    "EnergyNetwork",
    "Feedback",
    "Neurons",
    "State",
    "flatness",
    "from_sequential",
    "lagrangians",
    "lyapunov",
    "stability",
    "synapses",
    "to_graphviz",
]
