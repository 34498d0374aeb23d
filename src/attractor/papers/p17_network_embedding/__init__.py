"""Liang, Krotov and Zaki, "Associative Learning for Network Embedding", 2022; journal version Frontiers in Big Data 5, 2022.

Nodes of a graph are embedded by a modern Hopfield network that recalls a masked node from its context. Measured are classification
of nodes beside NetMF and DeepWalk, links, nodes that were not there in training, coarsening, recall, and the network's energy.
"""

from attractor.papers.p17_network_embedding.claims import PAPER
from attractor.papers.p17_network_embedding.reproduction import run

__all__ = ["PAPER", "run"]
