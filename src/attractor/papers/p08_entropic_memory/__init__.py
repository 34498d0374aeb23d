"""Hernandez, Morales and Pineda, "Entropic associative memory for real world images", 2024.

Measured are how precision, recall and entropy go with the size of the memory and with how much is registered, what it does with
damaged cues, with pure noise and with images of another kind, chains of associations, designated registers, and pairs in a
hetero-associative memory. Codes are those of a principal component analysis, where the paper trains convolutional networks: which
is why levels differ from the published ones and trends do not.
"""

from attractor.papers.p08_entropic_memory.claims import PAPER
from attractor.papers.p08_entropic_memory.reproduction import run

__all__ = ["PAPER", "run"]
