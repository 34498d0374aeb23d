"""Yang et al., "An Iterative Associative Memory Model for Empathetic Response Generation", ACL 2024.

Measured are the mechanism, on dialogues with a planted association; real dialogue with weak labels; associated words as a hint to
a language model; and the paper's own table where the files of EmpatheticDialogues are at hand.
"""

from attractor.papers.p07_iamm.claims import PAPER
from attractor.papers.p07_iamm.reproduction import run

__all__ = ["PAPER", "run"]
