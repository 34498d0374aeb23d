"""Liang et al., "Can a Fruit Fly Learn Word Embeddings?", ICLR 2021.

Measured are the learning rule itself, and word codes learned from the text that packages ship: a few million words in the place of
the paper's billions. Beside them stands word2vec, trained on the same text in the same run, dense and made binary.
"""

from attractor.papers.p19_flyvec.claims import PAPER
from attractor.papers.p19_flyvec.reproduction import run

__all__ = ["PAPER", "run"]
