"""Synapses: energies of the activations at their ends."""

from attractor.energy.synapses.attention import Attention
from attractor.energy.synapses.base import Synapse
from attractor.energy.synapses.bias import Bias
from attractor.energy.synapses.bilinear import Bilinear
from attractor.energy.synapses.conv import Conv
from attractor.energy.synapses.dense import Dense
from attractor.energy.synapses.function import FunctionSynapse
from attractor.energy.synapses.lateral import Lateral
from attractor.energy.synapses.many_body import Trilinear
from attractor.energy.synapses.memory import MemorySynapse
from attractor.energy.synapses.pool import Pool

__all__ = [
    "Attention",
    "Bias",
    "Bilinear",
    "Conv",
    "Dense",
    "FunctionSynapse",
    "Lateral",
    "MemorySynapse",
    "Pool",
    "Synapse",
    "Trilinear",
]
