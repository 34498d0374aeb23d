"""The density of a score model along its probability-flow ODE.

With `u` the state and `s = log sigma`: `du/ds = u - D(u)`, and along it `d log p/ds = -div(u - D)`. Hence
`log p_min(u_0) = log p_max(u_T) + integral of div(u - D) ds` from the least to the largest noise (Song et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import ScoreModel, check_samples, directional
from attractor.dynamics.ode import States, odeint
from attractor.validation import check_count, check_positive


@torch.no_grad()
def ode_log_prob(
    model: ScoreModel,
    x: Tensor,
    *,
    sigma: float,
    sigma_max: float = 80.0,
    steps: int | None = None,
    end: Callable[[Tensor], Tensor] | None = None,
    probes: int | None = None,
    generator: torch.Generator | None = None,
    tol: float = 1e-6,
) -> Tensor:
    """`log p_sigma(x)`, `(...)` in nats, of any score model.

    Args:
        model: the score model.
        x: `(..., *event)`.
        sigma: noise level of the density, at `alpha = 1`.
        sigma_max: where the flow ends.
        steps: Heun steps in `log sigma`; None integrates adaptively, which needs the extra `ode` (torchdiffeq).
        end: log-density at `sigma_max`. Default: the Gaussian of variance `sigma_max^2` around zero, an approximation.
        probes: estimate the divergence from this many random directions; None takes it exactly, in `N` products.
        generator: of the probes, which stay the same along the flow.
        tol: relative and absolute tolerance of the adaptive integration.

    Raises:
        ValueError: wrong shapes, or noise levels that do not rise.
        ImportError: torchdiffeq is missing.

    Example:
        >>> from attractor.dynamics.diffusion import EmpiricalDenoiser
        >>> model = EmpiricalDenoiser(torch.zeros(1, 2))
        >>> found = ode_log_prob(model, torch.zeros(1, 2), sigma=1.0, steps=50)
        >>> bool((found + math.log(2 * math.pi)).abs() < 1e-3)
        True
    """
    check_samples("x", x, model.event)
    check_positive("sigma", sigma)
    check_positive("tol", tol)
    if not sigma < sigma_max < math.inf:
        raise ValueError(f"sigma_max must be finite and above sigma = {sigma!r}, got {sigma_max!r}")
    leading = x.shape[: x.dim() - len(model.event)]
    directions = probe_directions(x, probes, generator)

    def rates(s: float, state: States) -> States:
        level = math.exp(s)
        inside = divergence(model, state[0], level, directions)
        return state[0] - model.denoise(state[0], level), -(level**2) * inside

    begin, finish = math.log(sigma), math.log(sigma_max)
    state: States = x, x.new_zeros(leading)
    if steps is None:
        state = _adaptive(rates, state, begin, finish, tol)
    else:
        step = (finish - begin) / check_count("steps", steps)
        for index in range(steps):
            state = _heun(rates, state, begin + index * step, step)
    last, gained = state
    if end is not None:
        return end(last) + gained
    dim = math.prod(model.event)
    squares = last.reshape(*leading, -1).square().sum(-1)
    return gained - squares / (2 * sigma_max**2) - dim / 2 * math.log(2 * math.pi * sigma_max**2)


Rates = Callable[[float, States], States]


def _heun(rates: Rates, state: States, s: float, step: float) -> States:
    first = rates(s, state)
    second = rates(s + step, (state[0] + step * first[0], state[1] + step * first[1]))
    return state[0] + step / 2 * (first[0] + second[0]), state[1] + step / 2 * (first[1] + second[1])


def _adaptive(rates: Rates, state: States, begin: float, finish: float, tol: float) -> States:
    span = torch.tensor([begin, finish], dtype=torch.float64, device=state[0].device)
    leading = state[1].dim()
    x, gained = odeint(rates, state, span, leading=leading, rtol=tol, atol=tol, method="dopri5")
    return x[-1], gained[-1]


def probe_directions(x: Tensor, probes: int | None, generator: torch.Generator | None) -> Tensor | None:
    """Random signs `(probes, *x.shape)`, or None where all directions are taken."""
    if probes is None:
        return None
    signs = torch.randint(0, 2, (check_count("probes", probes), *x.shape), generator=generator, device=x.device)
    return (2 * signs - 1).to(x.dtype)


def divergence(model: ScoreModel, x: Tensor, sigma: float, directions: Tensor | None = None) -> Tensor:
    """Divergence of the score, `(...)`: the model's own where it has one, else along all `N` or the given directions.

    Example:
        >>> from attractor.dynamics.diffusion import EmpiricalDenoiser
        >>> divergence(EmpiricalDenoiser(torch.zeros(1, 2)), torch.ones(1, 2), 1.0).tolist()
        [-2.0]
    """
    if directions is None and hasattr(model, "divergence"):
        return model.divergence(x, sigma)
    leading = x.shape[: x.dim() - len(model.event)]
    exact = directions is None
    if directions is None:
        dim = math.prod(model.event)
        basis = torch.eye(dim, dtype=x.dtype, device=x.device).reshape(dim, *(1 for _ in leading), *model.event)
        directions = basis.expand(dim, *x.shape)
    total = x.new_zeros(leading)
    for direction in directions:
        change = directional(lambda state: model.score(state, sigma), x, direction)
        total = total + (change * direction).reshape(*leading, -1).sum(-1)
    return total if exact else total / len(directions)
