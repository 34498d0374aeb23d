"""Chaudhry, Zavatone-Veth, Krotov and Pehlevan, "Long Sequence Hopfield Memory", NeurIPS 2023.

Measured are the sequence of Fig. 1, the scaling laws of the capacity with their theory, held patterns, the generalised
pseudo-inverse rule, and the recall of correlated images.
"""

from attractor.papers.p13_long_sequence_memory.claims import PAPER
from attractor.papers.p13_long_sequence_memory.reproduction import run

__all__ = ["PAPER", "run"]
