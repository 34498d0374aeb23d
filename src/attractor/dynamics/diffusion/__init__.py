"""Diffusion models as associative memories: exact and learned denoisers, their energies, samplers and regimes."""

from attractor.dynamics.diffusion.adapters import EnergyScore, as_energy, as_score
from attractor.dynamics.diffusion.descent import Descent, descend
from attractor.dynamics.diffusion.empirical import EmpiricalDenoiser
from attractor.dynamics.diffusion.likelihood import divergence, ode_log_prob
from attractor.dynamics.diffusion.minima import Census, minima_census
from attractor.dynamics.diffusion.model import Prediction, ScoreModel, converted
from attractor.dynamics.diffusion.networks import EnergyDenoiser, NetDenoiser, PotentialMLP, ResidualMLP
from attractor.dynamics.diffusion.regimes import (
    Classes,
    classify_samples,
    conservativity,
    critical_noise,
    nearest_distances,
    recovery,
    stability_limit,
)
from attractor.dynamics.diffusion.ring import Ring, ring_points
from attractor.dynamics.diffusion.samplers import DDIM, Adaptive, Euler, EulerMaruyama, Heun, Sample, Sampler, sample
from attractor.dynamics.diffusion.schedules import Cosine, Karras, Schedule, VarianceExploding, VariancePreserving, diffuse
from attractor.dynamics.diffusion.training import Training, train_denoiser

__all__ = [
    "DDIM",
    "Adaptive",
    "Census",
    "Classes",
    "Cosine",
    "Descent",
    "EmpiricalDenoiser",
    "EnergyDenoiser",
    "EnergyScore",
    "Euler",
    "EulerMaruyama",
    "Heun",
    "Karras",
    "NetDenoiser",
    "PotentialMLP",
    "Prediction",
    "ResidualMLP",
    "Ring",
    "Sample",
    "Sampler",
    "Schedule",
    "ScoreModel",
    "Training",
    "VarianceExploding",
    "VariancePreserving",
    "as_energy",
    "as_score",
    "classify_samples",
    "conservativity",
    "converted",
    "critical_noise",
    "descend",
    "diffuse",
    "divergence",
    "minima_census",
    "nearest_distances",
    "ode_log_prob",
    "recovery",
    "ring_points",
    "sample",
    "stability_limit",
    "train_denoiser",
]
