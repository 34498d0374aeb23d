"""The dense memory with a learned kernel: how its feature map is learned, and what its features are worth as a spherical code."""

from attractor.memory.kernel.bank import FeatureBank
from attractor.memory.kernel.codes import (
    code_size_bounds,
    kissing_bounds,
    optimal_separation,
    separation_lower_bound,
    separation_upper_bound,
)
from attractor.memory.kernel.fit import KernelFit, fit_kernel
from attractor.memory.kernel.learning import KernelLearning, NoiseAware, UHop, UHopPlus
from attractor.memory.kernel.losses import recognition_loss, separation_loss
from attractor.memory.kernel.memory import KernelMemory
from attractor.memory.kernel.metastable import Metastable
from attractor.memory.kernel.report import CodeReport, code_report, needed_separation, suggested_beta

__all__ = [
    "CodeReport",
    "FeatureBank",
    "KernelFit",
    "KernelLearning",
    "KernelMemory",
    "Metastable",
    "NoiseAware",
    "UHop",
    "UHopPlus",
    "code_report",
    "code_size_bounds",
    "fit_kernel",
    "kissing_bounds",
    "needed_separation",
    "optimal_separation",
    "recognition_loss",
    "separation_loss",
    "separation_lower_bound",
    "separation_upper_bound",
    "suggested_beta",
]
