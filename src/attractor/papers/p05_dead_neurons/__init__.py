"""Fanaskov and Oseledets, "Associative memory and dead neurons", ICLR 2025.

The paper is theory: where neurons are dead the energy is flat, and alone shows neither steady states nor stability nor basins.
Measured are how often it misleads, and that what mends the analysis holds in floating-point numbers.
"""

from attractor.papers.p05_dead_neurons.claims import PAPER
from attractor.papers.p05_dead_neurons.reproduction import run

__all__ = ["PAPER", "run"]
