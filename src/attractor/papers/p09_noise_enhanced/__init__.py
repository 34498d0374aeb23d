"""Karbasi, Salavati, Shokrollahi and Varshney, "Noise-Enhanced Associative Memories", NIPS 2013.

Measured are what the clusters learn, how recall error goes with the noise of the neurons, whether noise is a lower threshold in
disguise, how many errors a cluster corrects and what density evolution makes of that, and patterns that were never seen. No recall
is told the true pattern: a cluster keeps a correction where its own constraints hold.
"""

from attractor.papers.p09_noise_enhanced.claims import PAPER
from attractor.papers.p09_noise_enhanced.reproduction import run

__all__ = ["PAPER", "run"]
