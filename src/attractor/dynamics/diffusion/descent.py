"""Recall on the energy at one noise level: gradient steps, Hopfield updates at step size 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import Noise, ScoreModel, check_noise, check_samples
from attractor.validation import check_count, check_positive

SAFE_STEP = 2.0


class EnergyModel(ScoreModel, Protocol):
    """A score model with the energy that it descends, `D = x - grad E`."""

    def energy(self, x: Tensor, sigma: Noise) -> Tensor:
        """`E(x; sigma)`, `(...)`."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended: `x (..., *event)`, `energies (steps + 1, ...)`, and how many `steps` it took."""

    x: Tensor
    energies: Tensor
    steps: int


@torch.no_grad()
def descend(
    model: EnergyModel,
    x: Tensor,
    sigma: float,
    *,
    eta: float = 1.0,
    max_steps: int = 1000,
    tol: float = 1e-9,
    force: bool = False,
) -> Descent:
    """`x <- x - eta grad E(x; sigma) = x + eta (D - x)` until no entry moves by more than `tol`.

    The Hessian of the exact energy is the unit matrix minus a positive one, hence at most the unit matrix: no step with
    `eta <= 2` raises the energy.

    Args:
        model: a denoiser with an energy.
        x: `(..., *event)`.
        sigma: the noise level.
        eta: step size; 1 is a Hopfield update.
        max_steps: after which it stops.
        tol: largest change of an entry at rest.
        force: take steps above 2 all the same.

    Raises:
        ValueError: `eta` not positive, or above 2 and not forced; wrong shapes or noise.

    Example:
        >>> from attractor.dynamics.diffusion import EmpiricalDenoiser
        >>> model = EmpiricalDenoiser(torch.tensor([[-1.0], [1.0]]))
        >>> descend(model, torch.tensor([[0.1]]), 0.3).x.round(decimals=3).item()
        1.0
    """
    check_samples("x", x, model.event)
    check_noise(sigma)
    check_positive("eta", eta)
    check_count("max_steps", max_steps)
    if eta > SAFE_STEP and not force:
        raise ValueError(
            f"eta must be at most {SAFE_STEP:g}, where the energy cannot rise, got {eta}; force=True takes it all the same"
        )
    energies = [model.energy(x, sigma)]
    for _ in range(max_steps):
        change = eta * (model.denoise(x, sigma) - x)
        x = x + change
        energies.append(model.energy(x, sigma))
        if float(change.abs().amax()) <= tol:
            break
    return Descent(x, torch.stack(energies), len(energies) - 1)
