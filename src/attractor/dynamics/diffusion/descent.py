"""Recall on the energy at one noise level: gradient steps, Hopfield updates at step size 1."""

from __future__ import annotations

import math
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
    """Where a descent ended: `x (..., *event)`, `energies (steps + 1, ...)`, how many `steps` it took, and which samples rest.

    `converged (...)` is True where the last step moved no entry by more than the tolerance.
    """

    x: Tensor
    energies: Tensor
    steps: int
    converged: Tensor


@torch.no_grad()
def descend(
    model: EnergyModel,
    x: Tensor,
    sigma: Noise,
    *,
    eta: float = 1.0,
    max_steps: int = 1000,
    tol: float | None = None,
    force: bool = False,
) -> Descent:
    """`x <- x - eta grad E(x; sigma) = x + eta (D - x)` until all samples rest.

    No step with `eta <= 2` raises an energy whose Hessian is at most the unit matrix. That of the exact denoiser is the unit matrix
    minus a positive one. Of a learned energy nothing is known: it may rise, and `energies` tells.

    Args:
        model: a denoiser with an energy.
        x: `(..., *event)`.
        sigma: the noise level, or one for each sample.
        eta: step size; 1 is a Hopfield update.
        max_steps: after which it stops.
        tol: largest change of an entry at rest, relative to the largest entry of the sample or 1; 0 takes `max_steps` steps or
            comes to where nothing moves. Default: 1e-9 in float64, 1e-5 otherwise.
        force: take steps above 2 all the same.

    Raises:
        ValueError: `eta` not positive, or above 2 and not forced; wrong shapes, noise or tolerance; a state that has become
            infinite.

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
            f"eta must be at most {SAFE_STEP:g}, where an exact energy cannot rise, got {eta}; force=True takes it all the same"
        )
    if tol is None:
        tol = 1e-9 if x.dtype == torch.float64 else 1e-5
    if not 0 <= tol < math.inf:
        raise ValueError(f"tol must be finite and not negative, got {tol!r}")
    leading = x.shape[: x.dim() - len(model.event)]
    energies = [model.energy(x, sigma)]
    for _ in range(max_steps):
        change = eta * (model.denoise(x, sigma) - x)
        moved, size = (one.reshape(*leading, -1).abs().amax(-1) for one in (change, x))
        x = x + change
        energies.append(model.energy(x, sigma))
        converged = moved <= tol * size.clamp(min=1)
        if bool(converged.all()):
            break
    return Descent(x, torch.stack(energies), len(energies) - 1, converged)
