"""Palimpsest memory: synapses that new patterns write over, read by Bayesian retrieval that knows how they vary together."""

from attractor.memory.palimpsest.additive import Additive
from attractor.memory.palimpsest.bounded import Bounded, Cascade, MarkovSynapse
from attractor.memory.palimpsest.decoder import Decoder
from attractor.memory.palimpsest.memory import PalimpsestMemory
from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.recall import PalimpsestRecall
from attractor.memory.palimpsest.retrieval import Marginals, Method, Posterior, retrieve
from attractor.memory.palimpsest.simulation import Networks, calibrated_betas, simulate
from attractor.memory.palimpsest.statistics import Effects, WeightStatistics, effects, standardised

__all__ = [
    "Additive",
    "Bounded",
    "Cascade",
    "Decoder",
    "Effects",
    "Marginals",
    "MarkovSynapse",
    "Method",
    "Networks",
    "PalimpsestMemory",
    "PalimpsestRecall",
    "Plasticity",
    "Posterior",
    "WeightStatistics",
    "calibrated_betas",
    "effects",
    "retrieve",
    "simulate",
    "standardised",
]
