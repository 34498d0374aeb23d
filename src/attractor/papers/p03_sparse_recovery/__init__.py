"""Mazumdar and Rawat, "Associative Memory via a Sparse Recovery Model", NIPS 2015.

The paper proves how many patterns and errors a memory of linear constraints deals with; no table of its experiments is known here.
Measured are recovery against the number of errors beside the sharp theory of its decoder, errors that an adversary places, recovery
against the number of patterns, what the constraints are learned from, sparse constraints with expander decoding (the authors' work
of 2017), and real images.
"""

from attractor.papers.p03_sparse_recovery.claims import PAPER
from attractor.papers.p03_sparse_recovery.reproduction import run

__all__ = ["PAPER", "run"]
