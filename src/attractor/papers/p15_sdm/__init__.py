"""Bricken, Davies, Singh, Krotov and Kreiman, "Sparse Distributed Memory is a Continual Learner", ICLR 2023.

A network that follows Kanerva's sparse distributed memory learns disjoint tasks one after the other. The paper's images, embeddings
of CIFAR10 after pre-training on ImageNet32, cannot be had from a package; measured are digits and MNIST, where addresses taken from
unlabelled items do what pre-training does. Beside them stands Kanerva's memory itself.
"""

from attractor.papers.p15_sdm.claims import PAPER
from attractor.papers.p15_sdm.reproduction import run

__all__ = ["PAPER", "run"]
