"""Salvatori et al., "Associative Memories via Predictive Coding", NeurIPS 2021.

Measured are the descent of inference, storage and completion of natural pictures against width, load and depth, recall of noisy and
incomplete cues beside an autoencoder, dense memories and projections, the detection of what is new, and pairs of picture and label.
"""

from attractor.papers.p04_predictive_coding.claims import PAPER
from attractor.papers.p04_predictive_coding.reproduction import run

__all__ = ["PAPER", "run"]
