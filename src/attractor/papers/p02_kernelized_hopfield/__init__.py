"""Hu, Wu and Liu, "Provably Optimal Memory Capacity for Modern Hopfield Models", NeurIPS 2024: memories as spherical codes.

Measured are the codes that U-Hop+ learns against the best codes known, the share of recalls that come to rest at a single memory,
half-masked digits, and how many memories keep apart in so many dimensions; and what the paper does not ask: whether a kernel that
separates memories still recognises damaged ones.
"""

from attractor.papers.p02_kernelized_hopfield.claims import PAPER
from attractor.papers.p02_kernelized_hopfield.reproduction import run

__all__ = ["PAPER", "run"]
