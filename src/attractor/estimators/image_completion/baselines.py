"""What an image model has to beat: fillings that learn nothing, and an ordinary transformer layer in the same model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attractor.nn.energy_transformer.images_patches import check_known_pixels
from attractor.nn.energy_transformer.norm import EnergyLayerNorm
from attractor.validation import check_count, check_floating, check_positive, finite


class LoopedEncoder(nn.Module):
    """One `torch.nn.TransformerEncoderLayer`, applied several times: a block for `VisionEnergyTransformer` without an energy.

    Args:
        dim: width of a token.
        heads: of the attention; they divide `dim`.
        width: of the layer between.
        steps: how often the layer is applied.
        seed: of the first weights.

    Raises:
        TypeError, ValueError: a size below 1, or heads that do not divide `dim`.

    Example:
        >>> LoopedEncoder(16, heads=4, width=32, steps=3)(torch.randn(2, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(self, dim: int, *, heads: int, width: int, steps: int, seed: int = 0):
        super().__init__()
        for name, size in (("dim", dim), ("heads", heads), ("width", width), ("steps", steps)):
            check_count(name, size)
        if dim % heads:
            raise ValueError(f"heads must divide dim={dim}, got {heads}")
        self.dim, self.steps = dim, steps
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = nn.TransformerEncoderLayer(dim, heads, width, dropout=0.0, batch_first=True)
        self.norm = EnergyLayerNorm(dim)

    def forward(self, x: Tensor, *, steps: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Tokens `(b, N, dim)` after `steps` steps; there is no noise, and the generator is not used."""
        for _ in range(self.steps if steps is None else check_count("steps", steps)):
            x = self.layer(x)
        return x

    def normalize(self, x: Tensor) -> Tensor:
        normalized: Tensor = self.norm(x)
        return normalized


def visible_mean(images: Tensor, known: Tensor) -> Tensor:
    """Unknown pixels `(b, channels, height, width)` as the mean of the known ones of their image and channel.

    Raises:
        TypeError, ValueError: no floating-point images, a mask that does not fit them, or a channel without a known
            pixel or with one that is not finite.

    Example:
        >>> visible_mean(torch.tensor([[[[1.0, 3.0, 9.0]]]]), torch.tensor([True, True, False])).tolist()
        [[[[1.0, 3.0, 2.0]]]]
    """
    known = check(images, known)
    mean = images.masked_fill(~known, 0).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    return torch.where(known, images, mean)


def harmonic(images: Tensor, known: Tensor, *, tol: float = 1e-5) -> Tensor:
    """Unknown pixels as a membrane that is held at the known ones: each is the mean of its neighbours.

    The smallest sum of squared differences of neighbours, by conjugate gradients.

    Args:
        images: `(b, channels, height, width)`.
        known: Boolean, of a shape that broadcasts to that of the images.
        tol: largest deviation of a pixel from the balance of its neighbours.

    Raises:
        TypeError, ValueError: no floating-point images, a mask that does not fit them, or a channel without a known
            pixel or with one that is not finite.

    Example:
        >>> harmonic(torch.tensor([[[[1.0, 0.0, 0.0, 4.0]]]]), torch.tensor([True, False, False, True])).round(decimals=3).tolist()
        [[[[1.0, 2.0, 3.0, 4.0]]]]
    """
    known = check(images, known)
    check_positive("tol", tol)
    x = visible_mean(images, known)
    residual = -tension(x).masked_fill(known, 0)
    direction, square = residual, residual.square().sum((2, 3), keepdim=True)
    for _ in range(images.shape[2] * images.shape[3]):
        if not bool((residual.abs() > tol).any()):
            break
        bent = tension(direction).masked_fill(known, 0)
        # an image that is done stands still
        length = square / (direction * bent).sum((2, 3), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        x, residual = x + length * direction, residual - length * bent
        before, square = square, residual.square().sum((2, 3), keepdim=True)
        direction = residual + square / before.clamp_min(torch.finfo(x.dtype).tiny) * direction
    return torch.where(known, images, x)


def tension(x: Tensor) -> Tensor:
    """Of each pixel, the sum of its differences from its neighbours: half the gradient of their squares."""
    down, right = x.diff(dim=2), x.diff(dim=3)
    pulled = torch.zeros_like(x)
    pulled[:, :, 1:] += down
    pulled[:, :, :-1] -= down
    pulled[..., 1:] += right
    pulled[..., :-1] -= right
    return pulled


def check(images: Tensor, known: Tensor) -> Tensor:
    check_floating("images", images)
    if images.dim() != 4:
        raise ValueError(f"images must have shape (b, channels, height, width), got {tuple(images.shape)}")
    known = check_known_pixels(images, known)
    if not finite(images.masked_fill(~known, 0)):
        raise ValueError("images must be finite where they are known, got NaN or infinity")
    if not bool(known.any(-1).any(-1).all()):
        raise ValueError("known must trust at least one pixel of each channel of each image")
    return known
