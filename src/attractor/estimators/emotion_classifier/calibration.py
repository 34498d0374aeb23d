"""A temperature that makes scores to probabilities, from items that nothing was learned from (Guo et al. 2017)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

LARGEST = 1e3
"""Temperatures are looked for from its inverse to it."""


def parted(labels: np.ndarray, share: float, random: np.random.RandomState) -> tuple[list[int], list[int]]:
    """Places to learn from and places to hold out, a share of each class, of which at least one place is learned from."""
    learned, held = [], []
    for label in np.unique(labels):
        places = random.permutation(np.flatnonzero(labels == label)).tolist()
        count = min(round(share * len(places)), len(places) - 1)
        held += places[:count]
        learned += places[count:]
    return sorted(learned), sorted(held)


def temperature_of(scores: Tensor, labels: Tensor, weights: Tensor) -> float:
    """The temperature with the least cross-entropy of `scores (n, classes)`, of classes that count as `weights` say.

    Labels are taken as a little uncertain, `(n + 1) / (n + classes)`, as Platt 1999 did with two: what is right without exception
    would have no temperature.

    Example:
        >>> scores = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]]).double()
        >>> round(temperature_of(scores, torch.tensor([0, 0, 0, 1]), torch.ones(2).double()), 2)
        5.77
    """
    from scipy.optimize import minimize_scalar  # scikit-learn brings it

    count, classes = scores.shape
    targets = torch.full_like(scores, 1 / (count + classes))
    targets[torch.arange(count), labels] = (count + 1) / (count + classes)
    targets *= weights[labels][:, None]

    def loss(log_temperature: float) -> float:
        return -float((targets * (scores / math.exp(log_temperature)).log_softmax(-1)).sum())

    bound = math.log(LARGEST)
    return math.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x)
