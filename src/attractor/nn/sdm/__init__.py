"""Sparse distributed memory as layers (Bricken et al. 2023)."""

from attractor.nn.sdm.inhibition import GabaTopK, Inhibition
from attractor.nn.sdm.layer import SDMLayer
from attractor.nn.sdm.network import SDMLP

__all__ = ["SDMLP", "GabaTopK", "Inhibition", "SDMLayer"]
