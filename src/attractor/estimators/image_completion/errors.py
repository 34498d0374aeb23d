"""How far completed images are from the true ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from attractor.nn.energy_transformer.images import VisionEnergyTransformer, in_mode
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error
from attractor.validation import check_count


class CompletionErrors(NamedTuple):
    """Errors over the scored patches of images.

    Attributes:
        mse: mean squared error of a pixel, in the scale of the images.
        rmse: its root.
        published_loss: what public training code of the paper reports, of pixels in units of the model's `std`: the root of the
            mean over all patches, with those that are not scored counted as zero. Where `std` is the same for all channels it is
            `rmse / std sqrt(scored / patches)`.
    """

    mse: float
    rmse: float
    published_loss: float


def completion_errors(
    model: VisionEnergyTransformer, images: Tensor, masks: PatchMasks, *, steps: int | None = None, batch_size: int = 512
) -> Tensor:
    """Mean squared error of each image `(n,)` over its scored patches, on the device of the images, by the model in evaluation.

    Args:
        model: that reconstructs them.
        images: `(n, channels, height, width)`.
        masks: of the same images.
        steps: of the block. Default: its own number.
        batch_size: images at a time.

    Raises:
        TypeError, ValueError: images or masks that the model does not take, or a number below 1.
    """
    return channel_errors(model, images, masks, steps=steps, batch_size=batch_size).mean(1)


@torch.no_grad()
def channel_errors(
    model: VisionEnergyTransformer, images: Tensor, masks: PatchMasks, *, steps: int | None = None, batch_size: int = 512
) -> Tensor:
    """The errors of `completion_errors` for each channel, `(n, channels)`."""
    device, size, errors = model.positions.device, check_count("batch_size", batch_size), []
    with in_mode(model, training=False):
        for part, hidden, scored in zip(images.split(size), *(mask.split(size) for mask in masks), strict=True):
            one = part.to(device)
            found, scored = model(one, hidden.to(device), steps=steps), scored.to(device)
            pairs = zip(found.split(1, 1), one.split(1, 1), strict=True)
            errors.append(torch.stack([masked_error(*pair, scored, model.patch_size) for pair in pairs], 1).to(images.device))
    return torch.cat(errors)
