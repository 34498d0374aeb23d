"""Blur: a Gaussian filter as two small matrices, one for the columns of an image and one for its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.data.damage import Corruption, Damage, Shape, needed_shape
from attractor.validation import check_not_negative


@dataclass(frozen=True)
class Blur(Corruption):
    """Gaussian blur of standard deviation `sigma` pixels, channel by channel; beyond the border the edge pixel repeats.

    Raises:
        ValueError: `sigma` is negative or not finite; called without `shape`.

    Example:
        >>> Blur(1.0)(torch.ones(1, 9), shape=(1, 3, 3)).cue.isclose(torch.tensor(1.0)).all().item()
        True
    """

    sigma: float

    def __post_init__(self) -> None:
        check_not_negative("sigma", self.sigma)

    @property
    def name(self) -> str:
        return f"blur sigma {self.sigma:g}"

    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage:
        channels, height, width = needed_shape(shape, self)
        planes = patterns.reshape(-1, channels, height, width)
        rows, columns = (blur_matrix(size, self.sigma).to(patterns) for size in (height, width))
        return Damage((rows @ planes @ columns.T).reshape(patterns.shape), None)


def blur_matrix(size: int, sigma: float) -> Tensor:
    """`(size, size)`: Gaussian weights of a line's pixels in each blurred one; what falls off an end counts for it."""
    radius = math.ceil(4 * sigma)
    offsets = torch.arange(-radius, radius + 1)
    weights = (-0.5 * (offsets / max(sigma, 1e-9)).double().square()).softmax(0)
    pixels = torch.arange(size)[:, None]
    targets = (pixels + offsets).clamp(0, size - 1)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, targets, weights.expand(size, -1))
