"""The Energy Transformer for images: hidden patches are filled in by descent of one energy (Hoover et al. 2023).

Patches -> linear encoder -> hidden ones become MASK -> CLS in front -> positions added -> `T` steps `x <- x - alpha dE/dg` with
`g = LN(x)` -> the same layer norm -> linear decoder -> pixels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from attractor.nn.energy_transformer.images_patches import (
    check_known_pixels,
    each_channel,
    grid_of,
    patchify,
    resize_positions,
    unpatchify,
)
from attractor.nn.energy_transformer.layers import linear
from attractor.nn.energy_transformer.norm import refuse_gains
from attractor.validation import check_count, check_floating, finite, shorten

Initialise = Literal["scaled", "paper"]
PAPER_STD = 0.002


class TokenBlock(Protocol):
    """What turns tokens into tokens: an `EnergyTransformer`, or anything to compare it with."""

    dim: int
    steps: int

    def __call__(self, x: Tensor, *, steps: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Tokens `(b, N, dim)` after `steps` steps, or after its own number of them; the generator is for noise, if it has any."""
        ...

    def normalize(self, x: Tensor) -> Tensor:
        """Tokens as the decoder reads them."""
        ...


class CompletionTrace(NamedTuple):
    """What is seen while hidden patches are filled in.

    `images (1 + steps, b, C, height, width)` are the reconstructions before the first and after each step, and
    `tokens (1 + steps, b, 1 + N, dim)` the states, whose energy is `block.energy(block.normalize(tokens[step]))`.
    """

    images: Tensor
    tokens: Tensor


class VisionEnergyTransformer(nn.Module):
    """Fills in the hidden patches of images, or classifies images, with one recurrent block.

    Args:
        image_shape: `(channels, height, width)`; height and width are multiples of `patch_size`.
        patch_size: edge of a patch in pixels.
        block: `EnergyTransformer(dim, ...)`. The published image model: `EnergyTransformer(768, self_attention=True)` for
            `(3, 224, 224)` and patches of 16.
        classes: number of classes for `classify`. Default: no classification head.
        mean, std: of the pixels that the model is for, one number or one for each channel. It works on `(images - mean) / std`, and
            learns much faster where these have mean 0 and deviation 1; what goes in and comes out has the scale of the images.
        init: `"scaled"` draws positions of deviation 1, and CLS and MASK of `1/sqrt(dim)`; `"paper"` all with 0.002, with which a
            narrow model takes very long to leave the mean image.
        generator: of the first weights.

    Raises:
        TypeError, ValueError: a shape that is not that of an image or that patches do not fill, a number out of range, or an
            unknown `init`.

    Example:
        >>> from attractor.nn.energy_transformer import EnergyTransformer
        >>> block = EnergyTransformer(32, heads=2, key_dim=16, steps=4)
        >>> model = VisionEnergyTransformer((1, 8, 8), 2, block)
        >>> images = torch.rand(3, 1, 8, 8)
        >>> known = torch.ones(3, 1, 8, 8, dtype=torch.bool)
        >>> known[:, :, 4:] = False
        >>> completed = model.complete(images, known)
        >>> torch.equal(completed[:, :, :4], images[:, :, :4])
        True
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        patch_size: int,
        block: TokenBlock,
        *,
        classes: int | None = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        init: Initialise = "scaled",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.register_load_state_dict_pre_hook(refuse_gains)
        if not isinstance(image_shape, Sequence) or len(image_shape) != 3:
            raise ValueError(f"image_shape must be (channels, height, width), got {image_shape!r}")
        if not isinstance(block, nn.Module) or not all(hasattr(block, name) for name in ("dim", "steps", "normalize")):
            raise TypeError(f"block must be an EnergyTransformer, or a module as TokenBlock has it, got {type(block).__name__}")
        if init not in ("scaled", "paper"):
            raise ValueError(f"init must be 'scaled' or 'paper', got {init!r}")
        channels, height, width = (check_count("image_shape", size) for size in image_shape)
        self.image_shape, self.patch_size = (channels, height, width), check_count("patch_size", patch_size)
        rows, columns = grid_of((height, width), patch_size)
        self.patches = rows * columns
        dim, entries = block.dim, channels * patch_size**2
        spread, apart = (PAPER_STD, PAPER_STD) if init == "paper" else (dim**-0.5, 1.0)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", each_channel("mean", mean, channels))
        self.register_buffer("std", each_channel("std", std, channels))
        if not bool((self.std > 0).all()):
            raise ValueError(f"std must be positive, got {std}")
        self.block = block
        self.encoder = linear(entries, dim, generator)
        self.decoder = linear(dim, entries, generator)
        self.class_token = nn.Parameter(spread * torch.randn(dim, generator=generator))
        self.mask_token = nn.Parameter(spread * torch.randn(dim, generator=generator))
        self.positions = nn.Parameter(apart * torch.randn(1 + self.patches, dim, generator=generator))
        self.classes = None if classes is None else check_count("classes", classes)
        self.head: nn.Module | None = None
        if self.classes is not None:
            self.head = nn.Sequential(nn.LayerNorm(dim), linear(dim, self.classes, generator))

    def forward(
        self,
        images: Tensor,
        hidden: Tensor | None = None,
        *,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Reconstructions of whole images, hidden and visible patches alike; differentiable.

        Args:
            images: `(b, channels, height, width)`, floating point.
            hidden: Boolean `(b, N)`, or `(N,)` for all images, True for patches that the model does not see. Default: none.
            steps: of the block. Default: its own number.
            generator: of the block's noise, if it has any.

        Returns:
            `(b, channels, height, width)`.

        Raises:
            TypeError, ValueError: images of another shape, not floating point or not finite, or `hidden` no such mask.
        """
        return self.decode(self.block(self.embed(images, hidden), steps=steps, generator=generator))

    @torch.no_grad()
    def complete(self, images: Tensor, known: Tensor, *, steps: int | None = None) -> Tensor:
        """Images with their unknown pixels filled in, by the model in evaluation; known ones do not change by a bit.

        A patch with an unknown pixel is hidden as a whole. What stands at unknown pixels, NaN included, changes nothing.

        Args:
            images: `(b, channels, height, width)`.
            known: Boolean, of a shape that broadcasts to that of the images, True where a pixel is trusted.
            steps: of the block. Default: its own number.

        Raises:
            TypeError, ValueError: as `forward`, or an image without a single patch that is wholly known.
        """
        self._check(images)
        known = check_known_pixels(images, known)
        hidden = ~patchify(known, self.patch_size).all(-1)
        blind = hidden.all(1).nonzero().flatten().tolist()
        if blind:
            raise ValueError(f"known must leave at least one whole patch of each image, images without any: {shorten(blind)}")
        with in_mode(self, training=False):
            found = self(images.masked_fill(~known, 0), hidden, steps=steps)
        return torch.where(known, images, found)

    @torch.no_grad()
    def trace(self, images: Tensor, hidden: Tensor | None = None, *, steps: int | None = None) -> CompletionTrace:
        """The reconstruction before the first and after each step, in evaluation. Arguments and errors are those of `forward`."""
        with in_mode(self, training=False):
            tokens = [self.embed(images, hidden)]
            for _ in range(self.block.steps if steps is None else check_count("steps", steps)):
                tokens.append(self.block(tokens[-1], steps=1))
            return CompletionTrace(torch.stack([self.decode(one) for one in tokens]), torch.stack(tokens))

    def classify(self, images: Tensor, *, steps: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Scores of the classes `(b, classes)`, read from the class token of whole images; differentiable.

        In the mode that the model is in: a block with noise asks for a generator in training, as `forward` does.

        Raises:
            TypeError, ValueError: as `forward`, or a model without `classes`.
        """
        if self.head is None:
            raise ValueError("classify needs a model with classes, got classes=None")
        scores: Tensor = self.head(self.block(self.embed(images), steps=steps, generator=generator)[:, 0])
        return scores

    def embed(self, images: Tensor, hidden: Tensor | None = None) -> Tensor:
        """The tokens `(b, 1 + N, dim)` that the descent starts from. Errors are those of `forward`."""
        self._check(images)
        if not torch.compiler.is_compiling() and not finite(images):
            raise ValueError("images must be finite, got NaN or infinity; complete() takes them where pixels are unknown")
        tokens = self.encoder(patchify((images - self.mean) / self.std, self.patch_size))
        if hidden is not None:
            tokens = torch.where(self._checked(hidden, len(images))[..., None], self.mask_token, tokens)
        tokens = torch.cat([self.class_token.expand(len(tokens), 1, -1), tokens], 1)
        return tokens + self.positions

    def decode(self, tokens: Tensor) -> Tensor:
        """The images `(b, channels, height, width)` that tokens `(b, 1 + N, dim)` stand for."""
        patches = self.decoder(self.block.normalize(tokens)[:, 1:])
        return unpatchify(patches, self.image_shape, self.patch_size) * self.std + self.mean

    def pixels(self, patches: Tensor) -> Tensor:
        """A Boolean mask of patches `(b, N)` as one of pixels `(b, channels, height, width)`."""
        spread = patches[..., None].expand(*patches.shape, self.image_shape[0] * self.patch_size**2)
        return unpatchify(spread, self.image_shape, self.patch_size)

    def resized(self, height: int, width: int) -> VisionEnergyTransformer:
        """A copy for images of another size: the table of positions is resized bicubically, all else stays.

        Raises:
            TypeError, ValueError: sizes that patches do not fill.
        """
        check_count("height", height), check_count("width", width)
        new = grid_of((height, width), self.patch_size)
        copy = deepcopy(self)
        copy.image_shape, copy.patches = (self.image_shape[0], height, width), new[0] * new[1]
        old = grid_of(self.image_shape[1:], self.patch_size)
        copy.positions = nn.Parameter(resize_positions(self.positions.detach(), old, new).clone())
        return copy

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and settings to one file. Its block must be an `EnergyTransformer`.

        Raises:
            TypeError, ValueError: another block, or a path that is a folder.
        """
        from attractor.nn.energy_transformer.images_files import save_model

        save_model(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model that `save` wrote, on the CPU and in evaluation.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or no such model.
        """
        from attractor.nn.energy_transformer.images_files import load_model

        return load_model(path, cls)

    def extra_repr(self) -> str:
        return f"image_shape={self.image_shape}, patch_size={self.patch_size}"

    def _check(self, images: Tensor) -> None:
        check_floating("images", images)
        if images.dim() != 4 or images.shape[1:] != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise ValueError(f"images must have shape (b, {expected}), got {tuple(images.shape)}")
        weights = self.encoder.weight.dtype
        if images.dtype != weights and not torch.is_autocast_enabled(images.device.type):
            raise ValueError(f"images must be {weights} like the weights of the model, or stand under autocast, got {images.dtype}")

    def _checked(self, hidden: Tensor, count: int) -> Tensor:
        if not isinstance(hidden, Tensor) or hidden.dtype != torch.bool:
            came = hidden.dtype if isinstance(hidden, Tensor) else type(hidden).__name__
            raise TypeError(f"hidden must be a Boolean tensor, True for hidden patches, got {came}")
        if hidden.shape not in ((self.patches,), (count, self.patches)):
            raise ValueError(f"hidden must have shape ({count}, {self.patches}) or ({self.patches},), got {tuple(hidden.shape)}")
        return hidden


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Within, all modules train or are evaluated; afterwards each is again as it was."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode
