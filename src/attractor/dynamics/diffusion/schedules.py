"""Noise schedules: how much signal `alpha(t)` and noise `sigma(t)` is left at time `t` of `x_t = alpha xi + sigma eps`.

*Variance exploding* keeps the signal and adds noise, *variance preserving* trades one for the other. Dividing by `alpha` turns
every schedule into the first kind with noise `sigma / alpha`, the only quantity that matters to a denoiser.

Sources: Song et al. 2021 (VE, VP), Karras et al. 2022 (`sigma = t` and the spacing of its steps), Ho et al. 2020 (linear),
Nichol and Dhariwal 2021 (cosine).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import check_noise, check_samples
from attractor.validation import check_count, check_positive

Time = float | Tensor
BISECTIONS = 80
SLACK = 1e-9


class Schedule(ABC):
    """Signal and noise over `t_min <= t <= t_max`; noise rises with time. All answers are float64."""

    t_min: float
    t_max: float

    def alpha(self, t: Time) -> Tensor:
        """How much of the signal is left.

        Raises:
            ValueError: `t` lies outside of the schedule, as for all that follow.
        """
        return self._alpha(self.check_time("t", t))

    def sigma(self, t: Time) -> Tensor:
        """Standard deviation of the noise."""
        return self._sigma(self.check_time("t", t))

    def alpha_rate(self, t: Time) -> Tensor:
        """`d alpha / dt`."""
        return self._alpha_rate(self.check_time("t", t))

    def sigma_rate(self, t: Time) -> Tensor:
        """`d sigma / dt`."""
        return self._sigma_rate(self.check_time("t", t))

    @abstractmethod
    def _alpha(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _sigma(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _alpha_rate(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _sigma_rate(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def sigma_of_ratio(self, ratio: Tensor) -> Tensor:
        """`sigma` where `sigma / alpha` is `ratio`."""

    def ratio(self, t: Time) -> Tensor:
        """Noise per signal, `sigma / alpha`."""
        return self.sigma(t) / self.alpha(t)

    def time_of(self, sigma: Time) -> Tensor:
        """The time at which the noise is `sigma`: the inverse of `sigma(t)`.

        Raises:
            ValueError: the schedule does not reach `sigma`.
        """
        wanted = number(sigma)
        check_noise(wanted)
        least, most = self.sigma(self.t_min), self.sigma(self.t_max)
        slack = SLACK * most
        if bool((wanted < least - slack).any() | (wanted > most + slack).any()):
            raise ValueError(f"sigma must lie between {least.item():g} and {most.item():g}, got {sigma!r}")
        return self._inverse(wanted)

    def _inverse(self, sigma: Tensor) -> Tensor:
        low, high = torch.full_like(sigma, self.t_min), torch.full_like(sigma, self.t_max)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self._sigma(middle) < sigma
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def times(self, steps: int, *, rho: float = 7.0, start: float | None = None) -> Tensor:
        """Falling times `(steps + 1,)` from `start` (default `t_max`) to `t_min`, with the spacing of Karras et al.

        Noise per signal to the power `1 / rho` falls evenly: short steps where there is little noise.

        Raises:
            ValueError: `steps` below 1, `rho` not positive, or `start` outside of the schedule.
        """
        check_count("steps", steps)
        check_positive("rho", rho)
        first = self.t_max if start is None else float(self.check_time("start", start))
        most, least = self.ratio(first) ** (1 / rho), self.ratio(self.t_min) ** (1 / rho)
        ratios = (most + torch.linspace(0, 1, steps + 1, dtype=torch.float64) * (least - most)) ** rho
        times = self._inverse(self.sigma_of_ratio(ratios))
        times[0], times[-1] = first, self.t_min
        return times

    def check_time(self, name: str, t: Time) -> Tensor:
        """`t` as a tensor.

        Raises:
            ValueError: it lies outside of the schedule.
        """
        value = number(t)
        # a solver's own sum of steps may end a rounding beyond the last time
        least, most = self.t_min * (1 - SLACK), self.t_max * (1 + SLACK)
        if not bool(((value >= least) & (value <= most)).all()):
            raise ValueError(f"{name} must lie within {self.t_min:g} to {self.t_max:g}, got {t!r}")
        return value

    def check_times(self, times: Tensor) -> Tensor:
        """Falling times within the schedule, at least two.

        Raises:
            ValueError: they are not.
        """
        times = self.check_time("times", times)
        if times.dim() != 1 or len(times) < 2 or not bool((times.diff() < 0).all()):
            raise ValueError(f"times must fall strictly from noise to data, at least two of them, got {times.tolist()}")
        return times


class VarianceExploding(Schedule):
    """`alpha = 1`, `sigma = scale sqrt(t)`: Brownian motion.

    Example:
        >>> VarianceExploding().time_of(2.0)
        tensor(4., dtype=torch.float64)
    """

    def __init__(self, scale: float = 1.0, *, t_min: float = 1e-6, t_max: float = 1e4):
        self.scale = check_positive("scale", scale)
        self.t_min, self.t_max = check_span(t_min, t_max)

    def _alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def _sigma(self, t: Tensor) -> Tensor:
        return self.scale * t.sqrt()

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def _sigma_rate(self, t: Tensor) -> Tensor:
        return self.scale / (2 * t.sqrt())

    def sigma_of_ratio(self, ratio: Tensor) -> Tensor:
        return ratio

    def _inverse(self, sigma: Tensor) -> Tensor:
        return (sigma / self.scale) ** 2


class Karras(Schedule):
    """`alpha = 1`, `sigma = t`, from `sigma_min` to `sigma_max`: then `dx/dsigma = (x - D) / sigma`.

    Example:
        >>> [round(t, 3) for t in Karras().times(3).tolist()]
        [80.0, 9.723, 0.47, 0.002]
    """

    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0):
        self.t_min, self.t_max = check_span(sigma_min, sigma_max)

    def _alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def _sigma(self, t: Tensor) -> Tensor:
        return t

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def _sigma_rate(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma_of_ratio(self, ratio: Tensor) -> Tensor:
        return ratio

    def _inverse(self, sigma: Tensor) -> Tensor:
        return sigma


class VariancePreserving(Schedule):
    """`alpha = exp(-B / 2)`, `sigma = sqrt(1 - exp(-B))` with `exp(-B)` the product of `1 - beta_i`; `beta_i` rises linearly.

    Time runs from 0 to 1; at `t = i / steps` it is the discrete schedule of `steps` steps, in between its interpolation.

    Example:
        >>> schedule = VariancePreserving()
        >>> bool((schedule.alpha(0.5) ** 2 + schedule.sigma(0.5) ** 2 - 1).abs() < 1e-12)
        True
    """

    def __init__(self, beta_min: float = 1e-4, beta_max: float = 0.02, steps: int = 1000):
        self.steps = check_count("steps", steps, 2)
        least, most = check_positive("beta_min", beta_min), check_positive("beta_max", beta_max)
        # beta_i stands in the middle of its step: the integral over whole steps then is the sum up to O(1 / steps^2)
        self.slope = (most - least) * steps / (steps - 1)
        self.intercept = least - self.slope / (2 * steps)
        if not least < most < 1 or self.intercept <= 0:
            raise ValueError(f"beta_min must be below beta_max, both within 0 and 1, got {beta_min} and {beta_max}")
        self.t_min, self.t_max = 1 / steps, 1.0

    def _log_kept(self, t: Tensor) -> Tensor:
        """`B(t)`: the integral of `-steps log(1 - beta)`."""

        def primitive(beta: Tensor) -> Tensor:
            return (1 - beta) * torch.log1p(-beta) + beta

        start = torch.full_like(t, self.intercept)
        return self.steps / self.slope * (primitive(self.intercept + self.slope * t) - primitive(start))

    def _log_kept_rate(self, t: Tensor) -> Tensor:
        return -self.steps * torch.log1p(-(self.intercept + self.slope * t))

    def _alpha(self, t: Tensor) -> Tensor:
        return (-self._log_kept(t) / 2).exp()

    def _sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self._log_kept(t))).sqrt()

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return -self._log_kept_rate(t) * self._alpha(t) / 2

    def _sigma_rate(self, t: Tensor) -> Tensor:
        return self._log_kept_rate(t) * self._alpha(t) ** 2 / (2 * self._sigma(t))

    def sigma_of_ratio(self, ratio: Tensor) -> Tensor:
        return ratio / (1 + ratio**2).sqrt()


class Cosine(Schedule):
    """`alpha = cos(angle(t)) / cos(angle(0))` with `angle = (t + offset) / (1 + offset) pi / 2`: less noise early on.

    Example:
        >>> bool(Cosine().alpha(0.5) > VariancePreserving().alpha(0.5))
        True
    """

    def __init__(self, offset: float = 0.008, *, t_min: float = 1e-3, t_max: float = 0.995):
        self.offset = check_positive("offset", offset)
        self.t_min, self.t_max = check_span(t_min, t_max)
        if t_max >= 1:
            raise ValueError(f"t_max must be below 1, where no signal is left, got {t_max}")

    def _angle(self, t: Tensor) -> Tensor:
        return (t + self.offset) / (1 + self.offset) * (math.pi / 2)

    @property
    def _speed(self) -> float:
        return math.pi / 2 / (1 + self.offset)

    def _alpha(self, t: Tensor) -> Tensor:
        return self._angle(t).cos() / self._angle(number(0.0)).cos()

    def _sigma(self, t: Tensor) -> Tensor:
        return (1 - self._alpha(t) ** 2).sqrt()

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return -self._speed * self._angle(t).sin() / self._angle(number(0.0)).cos()

    def _sigma_rate(self, t: Tensor) -> Tensor:
        return -self._alpha(t) * self._alpha_rate(t) / self._sigma(t)

    def sigma_of_ratio(self, ratio: Tensor) -> Tensor:
        return ratio / (1 + ratio**2).sqrt()


def diffuse(clean: Tensor, t: float, schedule: Schedule, *, generator: torch.Generator | None = None) -> Tensor:
    """`alpha xi + sigma eps` at time `t`: clean data with noise, of their shape.

    Raises:
        ValueError: `t` lies outside of the schedule, or the data are integers, empty or not finite.

    Example:
        >>> diffuse(torch.zeros(2, 3), 80.0, Karras()).shape
        torch.Size([2, 3])
    """
    check_samples("clean", clean, ())
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=clean.device)
    return schedule.alpha(t).item() * clean + schedule.sigma(t).item() * noise


def number(t: Time) -> Tensor:
    return t.to(torch.float64) if isinstance(t, Tensor) else torch.tensor(t, dtype=torch.float64)


def check_span(least: float, most: float) -> tuple[float, float]:
    if not 0 < least < most < math.inf:
        raise ValueError(f"the schedule must run between two rising positive numbers, got {least!r} to {most!r}")
    return float(least), float(most)
