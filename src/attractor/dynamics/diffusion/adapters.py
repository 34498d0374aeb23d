"""Between the two views: an energy as a score model, a score model as an energy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import (
    Denoising,
    Noise,
    ScoreModel,
    check_energies,
    check_samples,
    gradient_step,
    noise_per_sample,
)
from attractor.errors import NotConvergedWarning
from attractor.validation import check_positive

NODES = 16
MOST_PANELS = 2048


class EnergyScore(Denoising):
    """An energy of states as a score model: `score = -grad E / sigma^2`, `D = x - grad E` whatever the noise.

    An associative memory has one energy where a diffusion model has one for each noise level, so `sigma` only scales the score.
    At one temperature it is no normalised density at every noise.
    """

    def __init__(self, energy: Callable[[Tensor], Tensor], event: tuple[int, ...]):
        self.energy_of_states = energy
        self.event = event

    def energy(self, x: Tensor, sigma: Noise) -> Tensor:
        """The energy `(...)`, the same at every noise level."""
        check_samples("x", x, self.event)
        noise_per_sample(x, sigma, self.event)
        batch = x.reshape(-1, *self.event)
        energies = check_energies("energy", self.energy_of_states(batch), batch)
        return energies.reshape(x.shape[: x.dim() - len(self.event)])

    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        """`x - grad E`: one gradient step of size 1."""
        return gradient_step(lambda state: self.energy(state, sigma), x)


def as_score(energy: Callable[[Tensor], Tensor], event: tuple[int, ...]) -> EnergyScore:
    """A memory's energy as a score model, to be run by every sampler.

    Args:
        energy: `(b, *event) -> (b,)`, differentiable in the states: a memory's `energy`, for one.
        event: shape of one state.

    Raises:
        ValueError: when run, the energy does not depend on the states as far as automatic differentiation sees, or has another
            shape.

    Example:
        >>> model = as_score(lambda x: x.square().sum(-1) / 2, (3,))
        >>> model.denoise(torch.ones(2, 3), 1.0).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return EnergyScore(energy, event)


def as_energy(model: ScoreModel, x: Tensor, reference: Tensor, sigma: Noise, *, tol: float | None = None) -> Tensor:
    """The energy of `x` above that of `reference`, `(...)`: `-sigma^2` times the line integral of the score between them.

    It is a difference of energies where the model is conservative; elsewhere it depends on the path, here the straight line. The
    integral is taken by Gauss-Legendre panels, halved where that still changes it.

    Args:
        model: the score model.
        x: `(..., *event)`.
        reference: of the same shape, or of one sample.
        sigma: the noise level, or one for each sample.
        tol: largest change by halving a panel, relative to the work done along the whole line without regard to sign. Default:
            the square root of the precision.

    Raises:
        ValueError: wrong shapes, or numbers that are not positive.

    Warns:
        NotConvergedWarning: the tolerance is not met after many panels.

    Example:
        >>> model = as_score(lambda x: x.square().sum(-1) / 2, (3,))
        >>> as_energy(model, torch.ones(1, 3), torch.zeros(3), 1.0).round(decimals=4).item()
        1.5
    """
    check_samples("x", x, model.event)
    check_samples("reference", reference, model.event, x)
    if reference.shape not in (x.shape, torch.Size(model.event)):
        raise ValueError(f"reference must have shape {tuple(x.shape)} or {model.event}, got {tuple(reference.shape)}")
    leading = x.shape[: x.dim() - len(model.event)]
    level = noise_per_sample(x.new_empty(leading), sigma, ())
    tol = math.sqrt(torch.finfo(x.dtype).eps) if tol is None else check_positive("tol", tol)
    step = x - reference
    rule = gauss_legendre(NODES)
    places, weights = (torch.tensor(one, dtype=x.dtype, device=x.device) for one in rule)

    def panel(low: float, high: float) -> tuple[Tensor, Tensor]:
        """The work along a part of the line, and the same without regard to sign."""
        along = (low + (high - low) * places).reshape(-1, *(1 for _ in x.shape))
        score = model.score(reference + along * step, level.expand(NODES, *leading))
        work = (score * step).reshape(NODES, *leading, -1).sum(-1)
        shares = (high - low) * weights.reshape(-1, *(1 for _ in leading))
        return (shares * work).sum(0), (shares * work.abs()).sum(0)

    whole, effort = panel(0.0, 1.0)
    waiting, total, panels, met = [(0.0, 1.0, whole)], x.new_zeros(leading), 1, True
    while waiting:
        low, high, coarse = waiting.pop()
        middle = (low + high) / 2
        (left, _), (right, _) = panel(low, middle), panel(middle, high)
        panels += 2
        close = bool(((left + right - coarse).abs() <= tol * effort).all())
        if close or panels > MOST_PANELS:
            total, met = total + left + right, met and close
        else:
            waiting += [(middle, high, right), (low, middle, left)]
    if not met:
        warnings.warn(
            f"the line integral has not come to its tolerance {tol:g} in {panels} panels", NotConvergedWarning, stacklevel=2
        )
    return (-(level**2) * total).to(x.dtype)


def gauss_legendre(nodes: int) -> tuple[list[float], list[float]]:
    """Nodes and weights on [0, 1] (Golub and Welsch: eigenvalues of the recurrence's matrix)."""
    k = torch.arange(1, nodes, dtype=torch.float64)
    beside = k / (4 * k**2 - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return ((values + 1) / 2).tolist(), vectors[0].square().tolist()
