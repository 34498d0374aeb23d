"""Between the two views: an energy as a score model, a score model as an energy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import Noise, ScoreModel, check_samples, noise_per_sample
from attractor.validation import check_count

NODES = 32


class EnergyScore:
    """An energy of states as a score model: `score = -grad E / sigma^2`, `D = x - grad E` whatever the noise.

    An associative memory has one energy where a diffusion model has one for each noise level, so `sigma` only scales the score.
    """

    def __init__(self, energy: Callable[[Tensor], Tensor], event: tuple[int, ...]):
        self.energy_of_states = energy
        self.event = event

    def energy(self, x: Tensor, sigma: Noise) -> Tensor:
        """The energy `(...)`, the same at every noise level."""
        check_samples("x", x, self.event)
        leading = x.shape[: x.dim() - len(self.event)]
        return self.energy_of_states(x.reshape(-1, *self.event)).reshape(leading)

    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        """`x - grad E`: one gradient step of size 1."""
        noise_per_sample(x, sigma, self.event)
        return x - torch.func.grad(lambda state: self.energy(state, sigma).sum())(x)

    def score(self, x: Tensor, sigma: Noise) -> Tensor:
        """`-grad E / sigma^2`."""
        return (self.denoise(x, sigma) - x) / noise_per_sample(x, sigma, self.event) ** 2


def as_score(energy: Callable[[Tensor], Tensor], event: tuple[int, ...]) -> EnergyScore:
    """A memory's energy as a score model, to be run by every sampler.

    Args:
        energy: `(b, *event) -> (b,)`, differentiable.
        event: shape of one state.

    Example:
        >>> model = as_score(lambda x: x.square().sum(-1) / 2, (3,))
        >>> model.denoise(torch.ones(2, 3), 1.0).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return EnergyScore(energy, event)


def as_energy(model: ScoreModel, x: Tensor, reference: Tensor, sigma: float, *, nodes: int = NODES) -> Tensor:
    """The energy of `x` above that of `reference`, `(...)`: `-sigma^2` times the line integral of the score between them.

    It is a difference of energies where the model is conservative; elsewhere it depends on the path, here the straight line.

    Args:
        model: the score model.
        x: `(..., *event)`.
        reference: of the same shape, or of one sample.
        sigma: the noise level.
        nodes: of the Gauss-Legendre rule along the line.

    Raises:
        ValueError: wrong shapes, or a noise level that is not positive.

    Example:
        >>> model = as_score(lambda x: x.square().sum(-1) / 2, (3,))
        >>> as_energy(model, torch.ones(1, 3), torch.zeros(3), 1.0).round(decimals=4).item()
        1.5
    """
    check_samples("x", x, model.event)
    check_samples("reference", reference, model.event, x)
    if reference.shape not in (x.shape, torch.Size(model.event)):
        raise ValueError(f"reference must have shape {tuple(x.shape)} or {model.event}, got {tuple(reference.shape)}")
    level = noise_per_sample(x, sigma, model.event)
    places, weights = gauss_legendre(check_count("nodes", nodes))
    leading = x.shape[: x.dim() - len(model.event)]
    step = x - reference
    total = x.new_zeros(leading)
    for place, weight in zip(places, weights, strict=True):
        work = model.score(reference + place * step, sigma) * step
        total = total + weight * work.reshape(*leading, -1).sum(-1)
    return -(level**2) * total


def gauss_legendre(nodes: int) -> tuple[list[float], list[float]]:
    """Nodes and weights on [0, 1] (Golub and Welsch: eigenvalues of the recurrence's matrix)."""
    k = torch.arange(1, nodes, dtype=torch.float64)
    beside = k / (4 * k**2 - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return ((values + 1) / 2).tolist(), vectors[0].square().tolist()
