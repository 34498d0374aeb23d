"""Saha, Krotov, Zaki and Ram, "End-to-end Differentiable Clustering with Associative Memories", ICML 2023.

Clustering of real tables beside k-means, agglomerative and spectral clustering, by the Silhouette Coefficient and against classes;
the time it takes; generated blobs; and the deep form (arXiv 2601.00963) on digits.
"""

from attractor.papers.p14_clam.claims import PAPER
from attractor.papers.p14_clam.reproduction import run

__all__ = ["PAPER", "run"]
