"""Krotov, "Hierarchical Associative Memory", 2021, with the hypergraphs of Hoover et al. 2022.

The paper is theory. Measured are its descent law on random hypergraphs, how fast networks come to rest, whether three ways to their
gradients agree, and what trained ones do with real images: classify them, complete them, free them of noise.
"""

from attractor.papers.p18_hierarchical_associative_memory.claims import PAPER
from attractor.papers.p18_hierarchical_associative_memory.reproduction import run

__all__ = ["PAPER", "run"]
