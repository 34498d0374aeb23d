"""Hoover et al., "Dense Associative Memory Through the Lens of Random Features", NeurIPS 2024.

The paper's results are figures. Measured are its laws: the error against the number of features and of patterns, retrieval and
completion beside the exact memory, and the choice among feature maps; at sizes of one machine.
"""

from attractor.papers.p01_random_features.claims import PAPER
from attractor.papers.p01_random_features.reproduction import run

__all__ = ["PAPER", "run"]
