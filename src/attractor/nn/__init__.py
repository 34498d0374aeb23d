"""Differentiable modules of associative memory, trained by gradient."""

from attractor.nn.dense_classifier import DenseClassifier, MemoryOptimizer, classification_loss
from attractor.nn.energy_transformer import (
    EnergyTransformer,
    GraphEnergyTransformer,
    StructuredEnergyTransformer,
    VisionEnergyTransformer,
    from_image_checkpoint,
    image_checkpoint_of,
    random_patch_masks,
)
from attractor.nn.hopfield import HopfieldAttention, HopfieldLookup, HopfieldPooling, from_hopfield_layers

__all__ = [
    "DenseClassifier",
    "EnergyTransformer",
    "GraphEnergyTransformer",
    "HopfieldAttention",
    "HopfieldLookup",
    "HopfieldPooling",
    "MemoryOptimizer",
    "StructuredEnergyTransformer",
    "VisionEnergyTransformer",
    "classification_loss",
    "from_hopfield_layers",
    "from_image_checkpoint",
    "image_checkpoint_of",
    "random_patch_masks",
]
