"""What a diffusion model is to this library: a denoiser at every noise level, and what follows from it.

Data `xi` seen through noise are `x = alpha xi + sigma eps`. A model predicts the clean data, `D(x, sigma)` at `alpha = 1`; the
score of the noisy density is `grad log p = (alpha D - x) / sigma^2 = -eps / sigma` (Tweedie), so that predictions of clean data,
noise, velocity `alpha eps - sigma xi` and score are one another's affine functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from attractor.validation import check_floating

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


def converted(value: Tensor, x: Tensor, sigma: Noise, *, given: Prediction, wanted: Prediction, alpha: float = 1.0) -> Tensor:
    """Turn one kind of prediction at `x = alpha xi + sigma eps` into another.

    Args:
        value: the prediction, of the shape of `x`.
        x: noisy data `(..., *event)`.
        sigma: noise level, > 0; a tensor must broadcast against `x`.
        given: what `value` is.
        wanted: what to return.
        alpha: how much of the signal is left, > 0.

    Raises:
        ValueError: an unknown kind of prediction, or a noise level that is not positive.

    Example:
        >>> x = torch.tensor([[3.0]])
        >>> converted(torch.tensor([[1.0]]), x, 2.0, given="clean", wanted="noise")
        tensor([[1.]])
    """
    for name, kind in (("given", given), ("wanted", wanted)):
        check_prediction(name, kind)
    check_noise(sigma)
    if given == "noise":
        noise = value
    elif given == "score":
        noise = -sigma * value
    elif given == "clean":
        noise = (x - alpha * value) / sigma
    else:
        noise = (sigma * x + alpha * value) / (alpha**2 + sigma**2)
    if wanted == "noise":
        return noise
    if wanted == "score":
        return -noise / sigma
    clean = (x - sigma * noise) / alpha
    return clean if wanted == "clean" else alpha * noise - sigma * clean


def check_prediction(name: str, kind: str) -> None:
    if kind not in get_args(Prediction):
        raise ValueError(f"{name} must be one of {', '.join(get_args(Prediction))}, got {kind!r}")


def check_noise(sigma: Noise) -> None:
    """`sigma` must be positive and finite throughout."""
    if isinstance(sigma, Tensor):
        good = bool(((sigma > 0) & sigma.isfinite()).all())
    else:
        good = 0 < sigma < math.inf
    if not good:
        raise ValueError(f"sigma must be positive and finite, got {sigma!r}")


def check_samples(name: str, x: Tensor, event: tuple[int, ...], like: Tensor | None = None) -> None:
    """`x` must be floating point `(..., *event)`, in the precision and place of `like`."""
    check_floating(name, x)
    if x.dim() < len(event) or tuple(x.shape[x.dim() - len(event) :]) != event:
        raise ValueError(f"{name} must have shape (..., {', '.join(map(str, event))}), got {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")
    if like is not None and (x.dtype != like.dtype or x.device != like.device):
        raise ValueError(f"{name} must be {like.dtype} on {like.device} like the model, got {x.dtype} on {x.device}")


def noise_per_sample(x: Tensor, sigma: Noise, event: tuple[int, ...]) -> Tensor:
    """`sigma` as a tensor that broadcasts against `x (..., *event)`.

    Raises:
        ValueError: it is not positive, or neither one number nor one for each sample.
    """
    check_noise(sigma)
    if not isinstance(sigma, Tensor):
        return torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    leading = x.shape[: x.dim() - len(event)]
    if sigma.numel() == 1:
        return sigma.reshape(()).to(x)
    if sigma.shape != leading:
        raise ValueError(f"sigma must be one number or have shape {tuple(leading)}, got {tuple(sigma.shape)}")
    return sigma.to(x).reshape(*leading, *(1 for _ in event))


def directional(function: Callable[[Tensor], Tensor], x: Tensor, z: Tensor) -> Tensor:
    """The derivative of `function` at `x` along `z`, by forward differentiation: nothing is kept for a way back."""
    return torch.func.jvp(function, (x,), (z,))[1]
