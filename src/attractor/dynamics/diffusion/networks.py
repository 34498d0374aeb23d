"""Learned denoisers: a network that predicts, and a network that is an energy.

Preconditioned as Karras et al. 2022 do it, with data of standard deviation `s`:
`D(x) = c_skip x + c_out F(c_in x, log(sigma) / 4)`,
`c_skip = s^2 / (sigma^2 + s^2)`, `c_out = sigma s / sqrt(sigma^2 + s^2)`, `c_in = 1 / sqrt(sigma^2 + s^2)`.

A free `F` is in general no gradient, so that no energy belongs to it. With `F = grad phi` the denoiser descends one:
`D = x - grad E`, `E = (1 - c_skip) |x|^2 / 2 - (c_out / c_in) phi(c_in x)`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from attractor.dynamics.diffusion.model import (
    Denoising,
    Noise,
    Prediction,
    check_energies,
    check_prediction,
    check_samples,
    converted,
    gradient_step,
    noise_per_sample,
)
from attractor.validation import check_count, check_positive


class Denoiser(nn.Module, Denoising):
    """What learned denoisers share: the event's shape and the scale of the data."""

    def __init__(self, event: tuple[int, ...], *, sigma_data: float):
        super().__init__()
        self.event = tuple(check_count("event", size) for size in event)
        self.sigma_data = check_positive("sigma_data", sigma_data)

    def forward(self, x: Tensor, sigma: Noise) -> Tensor:
        """`denoise`."""
        return self.denoise(x, sigma)

    def _scaled(self, x: Tensor, sigma: Noise) -> tuple[Tensor, Tensor, Tensor]:
        """`sigma` against `x`, the total deviation `sqrt(sigma^2 + s^2)` and `log(sigma) / 4` for each sample."""
        check_samples("x", x, self.event, next(self.parameters(), None))
        level = noise_per_sample(x, sigma, self.event)
        leading = x.shape[: x.dim() - len(self.event)]
        flat = level.reshape(level.shape[: len(leading)]) if level.dim() else level
        return level, (level**2 + self.sigma_data**2).sqrt(), (flat.log() / 4).expand(leading)


class NetDenoiser(Denoiser):
    """Any network `net(x (b, *event), noise (b,)) -> (b, *event)` as a denoiser.

    Args:
        net: the network.
        event: shape of one sample.
        precondition: `"edm"` scales inputs and outputs as above and hands `log(sigma) / 4` on; `"none"` hands `x` and `sigma` on.
        sigma_data: standard deviation of the data.
        prediction: what the network's output is, where nothing is preconditioned.

    Raises:
        ValueError: an unknown preconditioning or prediction, a bad shape or scale, or a prediction other than clean data with EDM.

    Example:
        >>> net = ResidualMLP((4,), width=8, blocks=1)
        >>> NetDenoiser(net, (4,)).denoise(torch.zeros(2, 4), 0.5).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        net: nn.Module,
        event: tuple[int, ...],
        *,
        precondition: Literal["edm", "none"] = "edm",
        sigma_data: float = 0.5,
        prediction: Prediction = "clean",
    ):
        super().__init__(event, sigma_data=sigma_data)
        if precondition not in ("edm", "none"):
            raise ValueError(f"precondition must be 'edm' or 'none', got {precondition!r}")
        check_prediction("prediction", prediction)
        if precondition == "edm" and prediction != "clean":
            raise ValueError(f"prediction must be 'clean' with precondition 'edm', which fixes it, got {prediction!r}")
        self.net = net
        self.precondition = precondition
        self.prediction: Prediction = prediction

    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        level, total, logarithm = self._scaled(x, sigma)
        batch = x.reshape(-1, *self.event)
        if self.precondition == "none":
            seen = self._predicted(batch, (4 * logarithm).exp()).reshape(x.shape)
            return converted(seen, x, sigma, given=self.prediction, wanted="clean")
        inner = self._predicted((x / total).to(x.dtype).reshape(batch.shape), logarithm).reshape(x.shape)
        return ((self.sigma_data / total) ** 2 * x + level * self.sigma_data / total * inner).to(x.dtype)

    def _predicted(self, batch: Tensor, noise: Tensor) -> Tensor:
        seen: Tensor = self.net(batch, noise.reshape(-1).to(batch.dtype))
        if seen.shape != batch.shape:
            raise ValueError(f"net must return the shape of its input {tuple(batch.shape)}, got {tuple(seen.shape)}")
        return seen


class EnergyDenoiser(Denoiser):
    """A network `potential(x (b, *event), noise (b,)) -> (b,)` whose gradient denoises: an energy at every noise level.

    Args:
        potential: `phi` above; twice differentiable, for training.
        event: shape of one sample.
        sigma_data: standard deviation of the data.

    Example:
        >>> denoiser = EnergyDenoiser(PotentialMLP((4,), width=8, blocks=1), (4,))
        >>> x = torch.zeros(2, 4)
        >>> denoiser.energy(x, 0.5).shape, denoiser.denoise(x, 0.5).shape
        (torch.Size([2]), torch.Size([2, 4]))
    """

    def __init__(self, potential: nn.Module, event: tuple[int, ...], *, sigma_data: float = 0.5):
        super().__init__(event, sigma_data=sigma_data)
        self.potential = potential

    def energy(self, x: Tensor, sigma: Noise) -> Tensor:
        """`E(x; sigma)`, `(...)`: `-sigma^2 log p` up to a constant of the noise level."""
        level, total, logarithm = self._scaled(x, sigma)
        leading = logarithm.shape
        batch = (x / total).to(x.dtype).reshape(-1, *self.event)
        inner = check_energies("potential", self.potential(batch, logarithm.reshape(-1).to(x.dtype)), batch).reshape(leading)
        squares = x.reshape(*leading, -1).square().sum(-1)
        level, total = (one.reshape(one.shape[: len(leading)]) if one.dim() else one for one in (level, total))
        return ((level / total) ** 2 * squares / 2 - level * self.sigma_data * inner).to(x.dtype)

    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        return gradient_step(lambda state: self.energy(state, sigma), x)


class ResidualMLP(nn.Module):
    """A small residual network `(b, *event), (b,) -> (b, *event)` that is told the noise by Fourier features.

    Args:
        event: shape of one sample.
        width: of the hidden layers.
        blocks: number of residual blocks.
        generator: of the first weights. Default: torch's own.
    """

    def __init__(self, event: tuple[int, ...], *, width: int = 256, blocks: int = 3, generator: torch.Generator | None = None):
        super().__init__()
        self.event = event
        dim = math.prod(event)
        self.frequencies: Tensor
        frequencies = 2.0 ** torch.arange(-2, 6)
        self.register_buffer("frequencies", frequencies)
        self.enter = nn.Linear(dim, width)
        self.told = nn.Linear(2 * len(frequencies), width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.leave = nn.Linear(width, dim)
        if generator is not None:
            reset(self, generator)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        angles = noise[:, None] * self.frequencies
        told = self.told(torch.cat([angles.sin(), angles.cos()], -1))
        hidden = self.enter(x.flatten(1))
        for first, second, norm in zip(self.first, self.second, self.norms, strict=True):
            hidden = hidden + second(nn.functional.silu(first(nn.functional.silu(norm(hidden) + told))))
        return self.leave(hidden).reshape(x.shape)


class PotentialMLP(nn.Module):
    """A scalar network `(b, *event), (b,) -> (b,)`: the inner product of its input with a residual network's output.

    Arguments as for `ResidualMLP`.
    """

    def __init__(self, event: tuple[int, ...], *, width: int = 256, blocks: int = 3, generator: torch.Generator | None = None):
        super().__init__()
        self.inner = ResidualMLP(event, width=width, blocks=blocks, generator=generator)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return (x * self.inner(x, noise)).flatten(1).sum(-1)


def reset(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of every linear layer from `generator`, uniform within `1 / sqrt(inputs)`; biases become zero."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.zero_()
