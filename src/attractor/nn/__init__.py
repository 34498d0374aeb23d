"""Differentiable modules of associative memory, trained by gradient."""

from attractor.nn.dense_classifier import DenseClassifier, MemoryOptimizer, classification_loss
from attractor.nn.hopfield import HopfieldAttention, HopfieldLookup, HopfieldPooling, from_hopfield_layers

__all__ = [
    "DenseClassifier",
    "HopfieldAttention",
    "HopfieldLookup",
    "HopfieldPooling",
    "MemoryOptimizer",
    "classification_loss",
    "from_hopfield_layers",
]
