"""Dynamics: how states descend an energy, and how networks learn from where they come to rest."""

from attractor.dynamics.asynchronous import Asynchronous
from attractor.dynamics.block import Block
from attractor.dynamics.certificate import Certificate, certify
from attractor.dynamics.equilibrium_propagation import equilibrium_propagation
from attractor.dynamics.euler import Euler
from attractor.dynamics.implicit import equilibrium
from attractor.dynamics.integrate import Adaptive, Heun, RungeKutta4
from attractor.dynamics.noise import Langevin
from attractor.dynamics.relax import Relaxation, Trace, relax
from attractor.dynamics.solver import Solver

__all__ = [
    "Adaptive",
    "Asynchronous",
    "Block",
    "Certificate",
    "Euler",
    "Heun",
    "Langevin",
    "Relaxation",
    "RungeKutta4",
    "Solver",
    "Trace",
    "certify",
    "equilibrium",
    "equilibrium_propagation",
    "relax",
]
