"""McAlister, Robins and Szymanski, "Sequential Learning in the Dense Associative Memory", 2025.

A dense associative memory with learned memories learns permuted images, one task after the other. Measured are the methods against
forgetting that the paper compares, at one vertex and against the vertex.
"""

from attractor.papers.p06_sequential_learning.claims import PAPER
from attractor.papers.p06_sequential_learning.reproduction import run

__all__ = ["PAPER", "run"]
