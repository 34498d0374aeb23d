"""The digits that are stored and learned, scaled to [-1, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attractor.data import ImageSet, load
from attractor.dynamics.diffusion import NetDenoiser, ResidualMLP, train_denoiser
from attractor.papers.statistics import wilson

DATA = "scikit-learn digits in [-1, 1]"
HELD_OUT = 1024
SIDE = 8
LEVELS = 17
SIGMA_DATA = 0.6
LOG_SIGMA = (-1.2, 1.2)


def digits(seed: int) -> Tensor:
    """All 1797, `(1797, 64)`, in the order of `seed`; those from `HELD_OUT` on are never learned."""
    everything: ImageSet = load("digits")
    return everything.take(len(everything), seed=seed).patterns * 2 - 1


def learned(data: Tensor, *, steps: int, seed: int) -> NetDenoiser:
    """A plain network trained on `data (K, 64)`."""
    net = ResidualMLP(tuple(data.shape[1:]), generator=torch.Generator().manual_seed(seed))
    model = NetDenoiser(net, tuple(data.shape[1:]), sigma_data=SIGMA_DATA)
    train_denoiser(model, data, seed=seed, steps=steps, log_sigma=LOG_SIGMA)
    return model


def share(right: Tensor) -> tuple[float, tuple[float, float]]:
    """A rate and its interval."""
    count = int(right.sum())
    return count / len(right), wilson(count, len(right))


def least_rise(before: Tensor, after: Tensor) -> float:
    """By how much one rate exceeds another at least: the lower end of Newcombe's 95% interval of the difference."""
    (low, (_, highest)), (high, (lowest, _)) = share(before), share(after)
    return high - low - math.hypot(high - lowest, highest - low)
