"""The Energy Transformer: one block whose steps descend one energy of all tokens, for images and graphs (Hoover et al. 2023)."""

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.descent import Descent, TokenTrace
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import PatchMasks, random_patch_masks
from attractor.nn.energy_transformer.images_weights import from_image_checkpoint, image_checkpoint_of
from attractor.nn.energy_transformer.norm import EnergyLayerNorm
from attractor.nn.energy_transformer.structure import StructuredEnergyTransformer
from attractor.nn.energy_transformer.structure_attention import Structure, StructureWeights

__all__ = [
    "Descent",
    "EnergyLayerNorm",
    "EnergyTransformer",
    "GraphEnergyTransformer",
    "PatchMasks",
    "Structure",
    "StructureWeights",
    "StructuredEnergyTransformer",
    "TokenTrace",
    "VisionEnergyTransformer",
    "from_image_checkpoint",
    "image_checkpoint_of",
    "random_patch_masks",
]
