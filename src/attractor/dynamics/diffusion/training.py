"""Denoising score matching with the weights of Karras et al. 2022.

Loss: the mean over data and `log sigma ~ Normal(mean, std^2)` of `(sigma^2 + s^2) / (sigma s)^2 |D(xi + sigma eps) - xi|^2 / N`.
Anything with parameters and `denoise(x, sigma)` is trained by the same call: networks, energies, memories with learned patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from attractor.dynamics.diffusion.model import ScoreModel, check_samples
from attractor.validation import check_count, check_positive


class TrainableModel(ScoreModel, Protocol):
    """A score model with parameters: any of this package that is an `nn.Module`."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As of a module."""


@dataclass(frozen=True)
class Training:
    """The loss of every step."""

    losses: tuple[float, ...]

    def last(self, steps: int) -> float:
        """Mean loss of the last `steps` steps."""
        return math.fsum(self.losses[-steps:]) / len(self.losses[-steps:])


def train_denoiser(
    model: TrainableModel,
    data: Tensor,
    *,
    seed: int,
    steps: int = 4000,
    batch: int = 128,
    rate: float = 1e-3,
    log_sigma: tuple[float, float] = (-1.2, 1.2),
    sigma_data: float | None = None,
    ema: float = 0.999,
    progress: Callable[[int], None] | None = None,
) -> Training:
    """Train in place; afterwards the model holds the moving averages of its parameters.

    Args:
        model: a module with `denoise(x, sigma)` and `event`.
        data: `(K, *event)`, floating point.
        seed: of batches and noise.
        steps: of Adam; the rate falls to zero along a cosine.
        batch: samples in each.
        rate: first learning rate.
        log_sigma: mean and standard deviation of `log sigma`.
        sigma_data: `s` of the weights. Default: the model's, or the deviation of the data.
        ema: how much of the moving average stays in each step; early steps average over fewer.
        progress: told the number of steps done.

    Raises:
        TypeError: `data` is not a tensor.
        ValueError: integer, empty or infinite data, another event shape or precision, a model without parameters, or numbers out
            of range.

    Example:
        >>> from attractor.dynamics.diffusion import EmpiricalDenoiser
        >>> memory = EmpiricalDenoiser(nn.Parameter(torch.zeros(1, 2)))
        >>> training = train_denoiser(memory, torch.ones(4, 2), seed=0, steps=200, rate=0.05, ema=0.9)
        >>> memory.patterns.detach().round().tolist()
        [[1.0, 1.0]]
    """
    parameters = [one for one in model.parameters() if one.requires_grad]
    if not parameters:
        raise ValueError(f"model must have parameters to train, {type(model).__name__} has none")
    check_samples("data", data, model.event, parameters[0])
    if data.dim() != 1 + len(model.event):
        raise ValueError(f"data must have shape (K, {', '.join(map(str, model.event))}), got {tuple(data.shape)}")
    for name, number, least in (("steps", steps, 1), ("batch", batch, 1), ("seed", seed, 0)):
        check_count(name, number, least)
    check_positive("rate", rate)
    if not math.isfinite(log_sigma[0]):
        raise ValueError(f"the mean of log_sigma must be finite, got {log_sigma[0]!r}")
    check_positive("the deviation of log_sigma", log_sigma[1])
    if not 0 <= ema < 1:
        raise ValueError(f"ema must lie in [0, 1), got {ema}")
    scale = scale_of(model, data) if sigma_data is None else check_positive("sigma_data", sigma_data)
    generator = torch.Generator(device=data.device).manual_seed(seed)
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    averages = [one.detach().clone() for one in parameters]
    losses = []
    for step in range(1, steps + 1):
        optimiser.zero_grad(set_to_none=True)
        loss = denoising_loss(model, data, scale, batch, log_sigma, generator)
        loss.backward()
        optimiser.step()
        schedule.step()
        keep = min(ema, step / (step + 10))
        with torch.no_grad():
            for average, one in zip(averages, parameters, strict=True):
                average.lerp_(one, 1 - keep)
        losses.append(loss.item())
        if progress is not None:
            progress(step)
    with torch.no_grad():
        for average, one in zip(averages, parameters, strict=True):
            one.copy_(average)
    return Training(tuple(losses))


def denoising_loss(
    model: TrainableModel,
    data: Tensor,
    sigma_data: float,
    batch: int,
    log_sigma: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """The loss above on one random batch: a scalar that can be differentiated."""
    device, dtype = data.device, data.dtype
    rows = torch.randint(0, len(data), (batch,), generator=generator, device=device)
    mean, deviation = log_sigma
    sigma = (mean + deviation * torch.randn(batch, generator=generator, device=device, dtype=dtype)).exp()
    clean = data[rows]
    spread = sigma.reshape(-1, *(1 for _ in model.event))
    noise = torch.randn(clean.shape, generator=generator, device=device, dtype=dtype)
    error = (model.denoise(clean + spread * noise, sigma) - clean).flatten(1).square().mean(-1)
    return ((sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2 * error).mean()


def scale_of(model: TrainableModel, data: Tensor) -> float:
    """The model's own `sigma_data`, or the standard deviation of the data."""
    known = getattr(model, "sigma_data", None)
    if isinstance(known, float):
        return known
    deviation = data.std(correction=0).item()
    return deviation if deviation > 0 else 1.0
