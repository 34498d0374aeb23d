"""How far completed images are from the true ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error


class CompletionErrors(NamedTuple):
    """Errors over the scored patches of images.

    Attributes:
        mse: mean squared error of a pixel.
        rmse: its root.
        published_loss: what public training code of the paper reports: the root of the mean over all patches of an image, with
            those that are not scored counted as zero. It is `rmse sqrt(scored / patches)`.
    """

    mse: float
    rmse: float
    published_loss: float


@torch.no_grad()
def completion_errors(
    model: VisionEnergyTransformer, images: Tensor, masks: PatchMasks, *, steps: int | None = None, batch_size: int = 512
) -> Tensor:
    """Mean squared error of each image `(n,)` over its scored patches, on the device of the images.

    Args:
        model: that reconstructs them.
        images: `(n, channels, height, width)`.
        masks: of the same images.
        steps: of the block. Default: its own number.
        batch_size: images at a time.
    """
    training, device = model.training, model.positions.device
    model.eval()
    errors = []
    for one, hidden, scored in zip(images.split(batch_size), *(mask.split(batch_size) for mask in masks), strict=True):
        found = model(one.to(device), hidden.to(device), steps=steps)
        errors.append(masked_error(found, one.to(device), scored.to(device), model.patch_size).to(images.device))
    model.train(training)
    return torch.cat(errors)
