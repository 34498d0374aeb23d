"""What a diffusion model is to this library: a denoiser at every noise level, and what follows from it.

Data `xi` seen through noise are `x = alpha xi + sigma eps`. A model predicts the clean data, `D(x, sigma)` at `alpha = 1`; the
score of the noisy density is `grad log p = (alpha D - x) / sigma^2 = -eps / sigma` (Tweedie), so that predictions of clean data,
noise, velocity `alpha eps - sigma xi` and score are one another's affine functions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from attractor.validation import check_floating, check_positive, finite, shorten

Noise = float | Tensor
"""A noise level: one number for all samples, or a tensor with one for each."""

Prediction = Literal["clean", "noise", "velocity", "score"]


class ScoreModel(Protocol):
    """A denoiser of samples `(..., *event)` at `alpha = 1`; `sigma` is one number or one for each sample."""

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one sample."""

    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        """The clean data `D(x, sigma)` that the model expects behind `x`, of its shape."""

    def score(self, x: Tensor, sigma: Noise) -> Tensor:
        """`grad log p_sigma(x)`, of the shape of `x`."""


class Denoising(ABC):
    """A score model that is given by its denoiser and knows no density.

    Attributes:
        event: shape of one sample.
    """

    event: tuple[int, ...]

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Noise) -> Tensor:
        """The clean data expected behind `x (..., *event)`."""

    def score(self, x: Tensor, sigma: Noise) -> Tensor:
        """`(D - x) / sigma^2`."""
        return ((self.denoise(x, sigma) - x) / noise_per_sample(x, sigma, self.event) ** 2).to(x.dtype)

    def log_prob(self, x: Tensor, sigma: Noise) -> Tensor:
        """Refused: no normalised density is known.

        Raises:
            ValueError: always; `ode_log_prob` integrates the density along the probability-flow ODE.
        """
        raise ValueError(
            f"log_prob is not known to {type(self).__name__}: use ode_log_prob, which follows the probability-flow ODE"
        )


def converted(value: Tensor, x: Tensor, sigma: Noise, *, given: Prediction, wanted: Prediction, alpha: float = 1.0) -> Tensor:
    """Turn one kind of prediction at `x = alpha xi + sigma eps` into another.

    Args:
        value: the prediction, of the shape of `x`.
        x: noisy data `(..., *event)`.
        sigma: noise level, > 0: one number, or a tensor with one for each sample, of the leading dimensions of `x`.
        given: what `value` is.
        wanted: what to return.
        alpha: how much of the signal is left, > 0.

    Raises:
        ValueError: an unknown kind of prediction, a noise level or `alpha` that is not positive, or another shape than `x`.

    Example:
        >>> x = torch.tensor([[3.0]])
        >>> converted(torch.tensor([[1.0]]), x, 2.0, given="clean", wanted="noise")
        tensor([[1.]])
    """
    for name, kind in (("given", given), ("wanted", wanted)):
        check_prediction(name, kind)
    check_positive("alpha", alpha)
    if value.shape != x.shape:
        raise ValueError(f"value must have the shape of x {tuple(x.shape)}, got {tuple(value.shape)}")
    sigma = noise_per_sample(x, sigma, tuple(x.shape[sigma.dim() :]) if isinstance(sigma, Tensor) else ())
    if given == "noise":
        noise = value
    elif given == "score":
        noise = -sigma * value
    elif given == "clean":
        noise = (x - alpha * value) / sigma
    else:
        noise = (sigma * x + alpha * value) / (alpha**2 + sigma**2)
    clean = (x - sigma * noise) / alpha
    found = {"noise": noise, "score": -noise / sigma, "clean": clean, "velocity": alpha * noise - sigma * clean}
    return found[wanted].to(x.dtype)


def check_prediction(name: str, kind: str) -> None:
    if kind not in get_args(Prediction):
        raise ValueError(f"{name} must be one of {', '.join(get_args(Prediction))}, got {kind!r}")


def check_noise(sigma: Noise) -> None:
    """`sigma` must be positive and finite throughout."""
    if isinstance(sigma, Tensor):
        bad = sigma.detach()[~((sigma > 0) & sigma.isfinite())]
    else:
        bad = torch.tensor([] if 0 < check_number("sigma", sigma) < math.inf else [sigma])
    if len(bad):
        raise ValueError(f"sigma must be positive and finite, got {shorten(bad.tolist())}")


def check_number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number or a tensor, got {type(value).__name__}")
    return value


def check_samples(name: str, x: Tensor, event: tuple[int, ...], like: Tensor | None = None) -> None:
    """`x` must be finite, floating point `(..., *event)`, in the precision and place of `like`."""
    check_floating(name, x)
    if x.dim() < len(event) or tuple(x.shape[x.dim() - len(event) :]) != event:
        raise ValueError(f"{name} must have shape (..., {', '.join(map(str, event))}), got {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")
    if like is not None and (x.dtype != like.dtype or x.device != like.device):
        raise ValueError(f"{name} must be {like.dtype} on {like.device} like the model, got {x.dtype} on {x.device}")
    if not finite(x):
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def noise_per_sample(x: Tensor, sigma: Noise, event: tuple[int, ...]) -> Tensor:
    """`sigma` as a tensor that broadcasts against `x (..., *event)`, in its precision or, in place of half precision, float32.

    Raises:
        ValueError: it is not positive, its powers leave the range of the precision of `x`, or it is neither one number nor one
            for each sample.
    """
    check_noise(sigma)
    dtype = torch.promote_types(x.dtype, torch.float32)
    level = torch.as_tensor(sigma, dtype=dtype, device=x.device)
    leading = x.shape[: x.dim() - len(event)]
    if level.numel() == 1:
        level = level.reshape(())
    elif level.shape != leading:
        raise ValueError(f"sigma must be one number or have shape {tuple(leading)}, got {tuple(level.shape)}")
    # scores are distances over sigma^2: half of the exponents are left to the distances
    limits = torch.finfo(dtype)
    least, most = limits.tiny**0.25, limits.max**0.25
    if not bool(((level > least) & (level < most)).all()):
        given = shorten(torch.as_tensor(sigma).flatten().tolist())
        raise ValueError(f"sigma must lie within {least:.0e} to {most:.0e} in {dtype}, got {given}")
    return level.reshape((*level.shape, *(1 for _ in event if level.dim())))


def gradient_step(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`x - grad E` for `energy (..., *event) -> (...)`.

    Raises:
        ValueError: the energy does not depend on `x` as far as automatic differentiation sees.
    """

    def total(state: Tensor) -> Tensor:
        energies = energy(state)
        if not energies.requires_grad:
            raise ValueError(
                "energy must depend on the states by differentiable operations: under no_grad or detached it has no slope"
            )
        return energies.sum()

    return x - torch.func.grad(total)(x)


def check_energies(name: str, energies: Tensor, batch: Tensor) -> Tensor:
    """`energies`, one for each of `batch (b, *event)`."""
    if energies.shape != batch.shape[:1]:
        raise ValueError(
            f"{name} must return one number for each sample, shape {tuple(batch.shape[:1])}, got {tuple(energies.shape)}"
        )
    return energies


def directional(function: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """The derivative of `function` at `x` along `z`, by forward differentiation: nothing is kept for a way back."""
    return torch.func.jvp(function, (x,), (z,))[1]
