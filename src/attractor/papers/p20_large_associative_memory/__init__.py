"""Krotov and Hopfield, "Large Associative Memory Problem in Neurobiology and Machine Learning", ICLR 2021.

The paper is theory. Measured are its statements on dense associative memories: how many random patterns a power and an exponential
keep, that the energy never rises, that the soft-max memory is attention; and the recall of real images, which it does not treat.
"""

from attractor.papers.p20_large_associative_memory.claims import PAPER
from attractor.papers.p20_large_associative_memory.reproduction import run

__all__ = ["PAPER", "run"]
