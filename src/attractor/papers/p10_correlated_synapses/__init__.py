"""Savin, Dayan and Lengyel, "Correlations strike back (again): the case of associative memory retrieval", NeurIPS 2013.

Measured are recall that knows of the correlations of synapses beside recall that ignores them, for additive and bounded synapses,
against size and age, and the joint recall of a pattern and its age (the same authors, "Two is better than one", NeurIPS 2011).
"""

from attractor.papers.p10_correlated_synapses.claims import PAPER
from attractor.papers.p10_correlated_synapses.reproduction import run

__all__ = ["PAPER", "run"]
