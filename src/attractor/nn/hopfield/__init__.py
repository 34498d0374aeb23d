"""Hopfield layers: association, pooling by learned states, look-up in learned patterns (Ramsauer et al. 2021)."""

from attractor.nn.hopfield.attention import HopfieldAttention
from attractor.nn.hopfield.convert import from_hopfield_layers
from attractor.nn.hopfield.learned import HopfieldLookup, HopfieldPooling

__all__ = ["HopfieldAttention", "HopfieldLookup", "HopfieldPooling", "from_hopfield_layers"]
