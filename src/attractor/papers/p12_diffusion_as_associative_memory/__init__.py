"""Hoover et al., "Memory in Plain Sight", 2023, with its empirical companion, Pham et al. 2025.

The survey has no experiment of its own. Measured are the equalities that it states between diffusion models and associative
memories, the ring of the companion, and its passage from memorisation over spurious states to generalisation on real digits.
"""

from attractor.papers.p12_diffusion_as_associative_memory.claims import PAPER
from attractor.papers.p12_diffusion_as_associative_memory.reproduction import run

__all__ = ["PAPER", "run"]
