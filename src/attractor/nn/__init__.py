"""Differentiable modules of associative memory, trained by gradient."""

from attractor.nn.clam import ClAMLayer, ClAMOutput, DeepClAM, DeepClAMOutput
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
from attractor.nn.sdm import SDMLP, GabaTopK, SDMLayer
from attractor.nn.sparse_optimizers import RowSparseAdam, RowSparseSGD, SilentMovement

__all__ = [
    "SDMLP",
    "ClAMLayer",
    "ClAMOutput",
    "DeepClAM",
    "DeepClAMOutput",
    "DenseClassifier",
    "EnergyTransformer",
    "GabaTopK",
    "GraphEnergyTransformer",
    "HopfieldAttention",
    "HopfieldLookup",
    "HopfieldPooling",
    "MemoryOptimizer",
    "RowSparseAdam",
    "RowSparseSGD",
    "SDMLayer",
    "SilentMovement",
    "StructuredEnergyTransformer",
    "VisionEnergyTransformer",
    "classification_loss",
    "from_hopfield_layers",
    "from_image_checkpoint",
    "image_checkpoint_of",
    "random_patch_masks",
]
