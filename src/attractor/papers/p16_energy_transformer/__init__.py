"""Hoover, Liang, Pham, Panda, Strobelt, Chau, Zaki and Krotov, "Energy Transformer", NeurIPS 2023.

Measured are the law of descent, masked images completed with and without each term of the energy, fraud found in a graph of
reviews, and molecules classified as graphs.
"""

from attractor.papers.p16_energy_transformer.claims import PAPER
from attractor.papers.p16_energy_transformer.reproduction import run

__all__ = ["PAPER", "run"]
