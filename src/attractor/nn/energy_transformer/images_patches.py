"""Images as rows of square patches, and which of the patches a model has to fill in.

A patch is a token: `C p^2` numbers in the order channel, row, column; patches follow each other row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.validation import check_count, shorten


class PatchMasks(NamedTuple):
    """Which patches `(b, N)` are hidden from the model, and on which it is scored; both Boolean."""

    hidden: Tensor
    scored: Tensor


def random_patch_masks(
    count: int, patches: int, *, hidden: int, shown: int = 0, generator: torch.Generator | None = None
) -> PatchMasks:
    """Masks of `count` images, each with its own random choice of patches.

    Args:
        count: of images.
        patches: of each image.
        hidden: patches that the model does not see.
        shown: further patches that it does see and is scored on all the same. The paper's 90/10: `hidden=90, shown=10` of 196.
        generator: of the choice.

    Raises:
        TypeError, ValueError: a number that is no integer or too small, or more patches chosen than there are.

    Example:
        >>> masks = random_patch_masks(5, 16, hidden=7, shown=1)
        >>> masks.hidden.sum(1).tolist(), masks.scored.sum(1).tolist()
        ([7, 7, 7, 7, 7], [8, 8, 8, 8, 8])
    """
    for name, number, least in (("count", count, 1), ("patches", patches, 1), ("hidden", hidden, 0), ("shown", shown, 0)):
        check_count(name, number, least)
    if not 1 <= hidden + shown <= patches:
        raise ValueError(f"hidden and shown together must lie between 1 and {patches}, the patches, got {hidden} and {shown}")
    device = None if generator is None else generator.device
    places = torch.rand(count, patches, generator=generator, device=device).argsort(1).argsort(1)
    return PatchMasks(places < hidden, places < hidden + shown)


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images `(b, C, height, width)` as patches `(b, N, C p^2)`.

    Raises:
        ValueError: another number of dimensions, or a height or width that is no multiple of `patch_size`.

    Example:
        >>> patchify(torch.arange(8.0).reshape(1, 1, 2, 4), 2)
        tensor([[[0., 1., 4., 5.],
                 [2., 3., 6., 7.]]])
    """
    if images.dim() != 4:
        raise ValueError(f"images must have shape (b, channels, height, width), got {tuple(images.shape)}")
    rows, columns = grid_of(images.shape[2:], patch_size)
    b, channels = images.shape[:2]
    cut = images.reshape(b, channels, rows, patch_size, columns, patch_size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(b, rows * columns, -1)


def unpatchify(patches: Tensor, image_shape: tuple[int, int, int], patch_size: int) -> Tensor:
    """The inverse of `patchify`, for images of the shape `(C, height, width)`.

    Raises:
        ValueError: the patches are not those of such images.
    """
    channels, height, width = image_shape
    rows, columns = grid_of((height, width), patch_size)
    expected = (rows * columns, channels * patch_size**2)
    if patches.dim() != 3 or patches.shape[1:] != expected:
        raise ValueError(f"patches must have shape (b, {expected[0]}, {expected[1]}), got {tuple(patches.shape)}")
    cut = patches.reshape(-1, rows, columns, channels, patch_size, patch_size)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)


def grid_of(size: tuple[int, ...], patch_size: int) -> tuple[int, int]:
    """How many patches fill an image of `(height, width)`, as rows and columns.

    Raises:
        ValueError: they do not fill it.
    """
    height, width = size
    check_count("patch_size", patch_size)
    if not height or not width or height % patch_size or width % patch_size:
        raise ValueError(
            f"images must have a height and width that are multiples of patch_size={patch_size}, got {height} x {width}"
        )
    return height // patch_size, width // patch_size


def masked_error(found: Tensor, images: Tensor, scored: Tensor, patch_size: int) -> Tensor:
    """Mean squared error of each image `(b,)` over its scored patches.

    Args:
        found: completed images `(b, C, height, width)`.
        images: what they should be.
        scored: Boolean `(b, N)`, at least one patch an image.
        patch_size: in pixels.

    Raises:
        TypeError, ValueError: a mask that is not Boolean, of another shape, or without a patch of an image.

    Example:
        >>> images = torch.zeros(1, 1, 2, 4)
        >>> masked_error(images + torch.tensor([1.0, 1.0, 3.0, 3.0]), images, torch.tensor([[False, True]]), 2)
        tensor([9.])
    """
    apart = patchify(found - images, patch_size)
    if not isinstance(scored, Tensor) or scored.dtype != torch.bool:
        raise TypeError(
            f"scored must be a Boolean tensor, got {scored.dtype if isinstance(scored, Tensor) else type(scored).__name__}"
        )
    if scored.shape != apart.shape[:2]:
        raise ValueError(f"scored must have shape {tuple(apart.shape[:2])}, got {tuple(scored.shape)}")
    count = scored.sum(1)
    if not bool(count.all()):
        raise ValueError(
            f"scored must have a patch of each image, images without any: {shorten((count == 0).nonzero().flatten().tolist())}"
        )
    # what stands in other patches, NaN included, counts neither here nor in the gradient
    return apart.masked_fill(~scored[..., None], 0).square().mean(-1).sum(1) / count


def resize_positions(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """A table of positions `(1 + N, D)` for another grid of patches, bicubically; its first row, of the class token, stays.

    Raises:
        ValueError: the table is not one of the old grid.

    Example:
        >>> resize_positions(torch.ones(5, 3), (2, 2), (4, 4)).shape
        torch.Size([17, 3])
    """
    rows, columns = old
    if positions.dim() != 2 or len(positions) != 1 + rows * columns:
        raise ValueError(
            f"positions must have {1 + rows * columns} rows for a grid of {rows} x {columns}, got {tuple(positions.shape)}"
        )
    if old == new:
        return positions
    grid = positions[1:].T.reshape(1, -1, rows, columns)
    resized = torch.nn.functional.interpolate(grid, size=new, mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], resized[0].flatten(1).T])


def check_known_pixels(images: Tensor, known: Tensor) -> Tensor:
    """`known` in the shape of the images `(b, channels, height, width)`.

    Raises:
        TypeError, ValueError: not Boolean, or of a shape that does not broadcast to that of the images.
    """
    if not isinstance(known, Tensor) or known.dtype != torch.bool:
        came = known.dtype if isinstance(known, Tensor) else type(known).__name__
        raise TypeError(f"known must be a Boolean tensor, True where a pixel is trusted, got {came}")
    try:
        return known.expand_as(images)
    except RuntimeError as error:
        raise ValueError(f"known must broadcast to the images {tuple(images.shape)}, got {tuple(known.shape)}") from error


def each_channel(name: str, value: float | Sequence[float], channels: int) -> Tensor:
    """One number for each channel, `(channels, 1, 1)`.

    Raises:
        TypeError, ValueError: other than one number or one for each channel, or not finite.
    """
    try:
        numbers = torch.as_tensor(value, dtype=torch.get_default_dtype()).reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or {channels} of them, one for each channel, got {value!r}") from error
    if len(numbers) not in (1, channels) or not bool(numbers.isfinite().all()):
        raise ValueError(f"{name} must be a finite number or {channels} of them, one for each channel, got {value}")
    return numbers.expand(channels).clone().reshape(channels, 1, 1)
