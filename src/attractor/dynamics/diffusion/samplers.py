"""From noise to data: the probability-flow ODE and the reverse diffusion of a score model.

With `f = alpha' / alpha` and `g^2 = (sigma^2)' - 2 f sigma^2` the ODE is `dx/dt = f x - g^2 score / 2` and the reverse diffusion
`dx = (f x - g^2 score) dt + g dw`, both followed from late to early times (Song et al. 2021). DDIM is an Euler step of
`u = x / alpha` against `sigma / alpha`, where the ODE reads `du / d(sigma / alpha) = (u - D) / (sigma / alpha)`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import ScoreModel, check_samples
from attractor.dynamics.diffusion.schedules import Karras, Schedule
from attractor.dynamics.ode import odeint
from attractor.validation import check_positive


class Flow:
    """A score model under a schedule: what moves a sample at time `t`."""

    def __init__(self, model: ScoreModel, schedule: Schedule):
        self.model = model
        self.schedule = schedule

    def clean(self, x: Tensor, t: float) -> Tensor:
        """The clean data that the model expects."""
        return self.model.denoise(x / self.schedule.alpha(t).item(), self.schedule.ratio(t).item())

    def decay(self, t: float) -> float:
        """`f`."""
        return (self.schedule.alpha_rate(t) / self.schedule.alpha(t)).item()

    def diffusion(self, t: float) -> float:
        """`g^2`."""
        sigma = self.schedule.sigma(t).item()
        return 2 * sigma * (self.schedule.sigma_rate(t).item() - self.decay(t) * sigma)

    def drift(self, x: Tensor, t: float, *, share: float = 0.5) -> Tensor:
        """`f x - share g^2 score`: a half for the ODE, the whole for the reverse diffusion."""
        alpha, sigma = self.schedule.alpha(t).item(), self.schedule.sigma(t).item()
        score = (alpha * self.clean(x, t) - x) / sigma**2
        return self.decay(t) * x - share * self.diffusion(t) * score


class Sampler(ABC):
    """Follows a flow along falling times."""

    def run(self, flow: Flow, x: Tensor, times: list[float], generator: torch.Generator | None) -> list[Tensor]:
        """States at `times`, the first included."""
        states = [x]
        for index, (t, after) in enumerate(pairwise(times)):
            last = index == len(times) - 2
            states.append(self.step(flow, states[-1], t, after, last=last, generator=generator))
        return states

    @abstractmethod
    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        """The state at the earlier time `after`."""


class Euler(Sampler):
    """Euler steps of the ODE in the schedule's own time."""

    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        return x + (after - t) * flow.drift(x, t)


class Heun(Sampler):
    """Heun's second-order steps of the ODE: two calls of the model for each (Karras et al. 2022)."""

    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        before = flow.drift(x, t)
        guess = x + (after - t) * before
        return x + (after - t) / 2 * (before + flow.drift(guess, after))


class DDIM(Sampler):
    """Euler steps of `x / alpha` against `sigma / alpha`: the deterministic sampler of Song, Meng and Ermon 2021."""

    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        ratios = flow.schedule.ratio(after).item() / flow.schedule.ratio(t).item()
        clean = flow.clean(x, t)
        scaled = x / flow.schedule.alpha(t).item()
        return flow.schedule.alpha(after).item() * (clean + ratios * (scaled - clean))


class EulerMaruyama(Sampler):
    """The reverse diffusion: fresh noise in every step but the last."""

    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        moved = x + (after - t) * flow.drift(x, t, share=1.0)
        if last:
            return moved
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return moved + math.sqrt(flow.diffusion(t) * (t - after)) * noise


class Adaptive(Sampler):
    """An adaptive Runge-Kutta method of fifth order; needs the extra `ode` (torchdiffeq).

    Raises:
        ValueError: tolerances that are not positive.
        ImportError: when run, torchdiffeq is missing.
    """

    def __init__(self, *, rtol: float = 1e-5, atol: float = 1e-5):
        self.rtol, self.atol = check_positive("rtol", rtol), check_positive("atol", atol)

    def run(self, flow: Flow, x: Tensor, times: list[float], generator: torch.Generator | None) -> list[Tensor]:
        clock = torch.tensor(times, dtype=torch.float64, device=x.device)
        # the solver is made to stop at each time: beyond the last one the schedule is not defined
        options = {"rtol": self.rtol, "atol": self.atol, "method": "dopri5", "options": {"step_t": clock}}
        leading = x.dim() - len(flow.model.event)
        (states,) = odeint(lambda t, state: (flow.drift(state[0], t),), (x,), clock, leading=leading, **options)
        return list(states)

    def step(self, flow: Flow, x: Tensor, t: float, after: float, *, last: bool, generator: torch.Generator | None) -> Tensor:
        return self.run(flow, x, [t, after], generator)[-1]


@dataclass(frozen=True, eq=False)
class Sample:
    """What a sampler gives.

    Attributes:
        x: the samples `(..., *event)`.
        times: at which the states are given, falling.
        states: `(times, ..., *event)`, or None where no trace was asked for.
    """

    x: Tensor
    times: Tensor
    states: Tensor | None


@torch.no_grad()
def sample(
    model: ScoreModel,
    x: Tensor,
    *,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    steps: int = 18,
    times: Tensor | None = None,
    denoise_last: bool = True,
    trace: bool = False,
    generator: torch.Generator | None = None,
) -> Sample:
    """Follow noisy states back to data.

    Args:
        model: the score model.
        x: `(..., *event)` at the first time: noise of `sigma(t_max)`, or re-noised data (`diffuse`).
        schedule: noise over time. Default: `Karras()`.
        sampler: how to step. Default: `Heun()`.
        steps: number of steps from `t_max` to `t_min` with the spacing of `schedule.times`.
        times: falling times to use in place of it.
        denoise_last: end with the clean data expected at the last time, as if it had no noise left.
        trace: keep the states at all times.
        generator: of fresh noise.

    Raises:
        ValueError: wrong shapes, integer images, times that do not fall or lie outside of the schedule.

    Example:
        >>> from attractor.dynamics.diffusion import EmpiricalDenoiser
        >>> model = EmpiricalDenoiser(torch.tensor([[-1.0], [1.0]]))
        >>> sample(model, torch.tensor([[-80.0], [80.0]])).x.round().flatten().tolist()
        [-1.0, 1.0]
    """
    schedule = Karras() if schedule is None else schedule
    sampler = Heun() if sampler is None else sampler
    check_samples("x", x, model.event)
    times = schedule.times(steps) if times is None else schedule.check_times(times)
    flow = Flow(model, schedule)
    states = sampler.run(flow, x, times.tolist(), generator)
    last = flow.clean(states[-1], times[-1].item()) if denoise_last else states[-1]
    return Sample(last, times, torch.stack(states) if trace else None)
