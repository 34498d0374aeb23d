"""Training of an image model to fill in hidden patches, as the Energy Transformer is trained (Hoover et al. 2023).

Each iteration hides other patches of other images; the loss is the mean squared error over the patches that are scored, in units
of the variance that the model takes out of pixels. AdamW with a learning rate that rises and falls along cosines; gradients are
clipped by their norm. `accelerate` places the training on devices, in mixed precision, over processes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.estimators.image_completion.checkpoints import load, save
from attractor.estimators.image_completion.errors import CompletionErrors, completion_errors
from attractor.estimators.image_completion.run import Run
from attractor.nn.energy_transformer.images import VisionEnergyTransformer, check_known_pixels
from attractor.nn.energy_transformer.images_patches import PatchMasks, random_patch_masks
from attractor.validation import check_count, check_finite, check_floating, check_positive

EVALUATION_SEED = 1_000_003
"""Added to the seed for masks of an evaluation: they are never those of an iteration."""


class ImageCompletion:
    """Trains a model on images, and completes others with it.

    A batch is split evenly over the processes of `accelerator` and its steps of gradient accumulation; neither changes the result
    beyond rounding. The same seed gives the same result, also where a training was interrupted and went on from its folder (in
    float16, where the scale of the loss begins anew, it may differ).

    Args:
        model: to train, in place.
        hidden: patches of an image that are hidden.
        shown: further patches that are not hidden and are scored all the same.
        iterations: steps of the optimiser.
        batch_size: images of a step.
        learning_rate: the largest, reached after the share `warm_up` of the iterations.
        warm_up: share of the iterations, in (0, 1).
        weight_decay: of AdamW.
        clip: largest norm of the gradients.
        seed: of batches, masks and noise.
        accelerator: `accelerate.Accelerator(mixed_precision="bf16", gradient_accumulation_steps=4)`, for instance. Default: one of
            default settings, which uses what accelerators there are and what `accelerate launch` was told.
        progress: called with the fraction that is done.

    Attributes:
        losses_: Tensor `(iterations,)`, the loss of each.
        validation_: `(iteration, mse)` of each evaluation on images of validation.
        best_iteration_: the iteration whose weights the model holds.

    Raises:
        TypeError, ValueError: a number out of its range, or more patches chosen than the images have.
        ImportError: from `fit`, without accelerate.

    Example:
        >>> from attractor.nn.energy_transformer import EnergyTransformer
        >>> generator = torch.Generator().manual_seed(0)
        >>> images = torch.randn(100, 1, 1, 1, generator=generator).expand(-1, 1, 8, 8)
        >>> block = EnergyTransformer(16, heads=2, key_dim=8, steps=3, init="scaled", generator=generator)
        >>> model = VisionEnergyTransformer((1, 8, 8), 4, block, generator=generator)
        >>> completion = ImageCompletion(model, hidden=2, iterations=100)
        >>> completion.fit(images[:80]).evaluate(images[80:]).mse < float(images.var())
        True
    """

    def __init__(
        self,
        model: VisionEnergyTransformer,
        *,
        hidden: int,
        shown: int = 0,
        iterations: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        warm_up: float = 0.3,
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        accelerator: Any = None,
        progress: Callable[[float], None] | None = None,
    ):
        self.model = model
        self.hidden, self.shown = check_count("hidden", hidden, 0), check_count("shown", shown, 0)
        if not 1 <= hidden + shown <= model.patches:
            raise ValueError(f"hidden and shown together must lie between 1 and {model.patches}, got {hidden} and {shown}")
        self.iterations, self.batch_size = check_count("iterations", iterations), check_count("batch_size", batch_size)
        self.learning_rate, self.clip = check_positive("learning_rate", learning_rate), check_positive("clip", clip)
        if not 0 < warm_up < 1:
            raise ValueError(f"warm_up must lie between 0 and 1, got {warm_up!r}")
        if not 0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a number of at least 0, got {weight_decay!r}")
        self.warm_up, self.weight_decay, self.seed = warm_up, float(weight_decay), check_count("seed", seed, 0)
        self.accelerator, self.progress = accelerator, progress

    def fit(
        self,
        images: Tensor,
        *,
        validation: Tensor | None = None,
        folder: str | Path | None = None,
        every: int = 500,
    ) -> Self:
        """Train on `images (n, channels, height, width)`.

        Args:
            images: floating point, at least one batch.
            validation: other images, on which the model is scored every so many iterations; it ends with the weights of the least
                error. Default: it ends with the last weights.
            folder: where the state is kept every so many iterations. If it holds that of this very training, training goes on from
                there. Default: none.
            every: so many iterations, and after the last.

        Raises:
            TypeError, ValueError: images of another shape or not finite, fewer than a batch, a batch that cannot be split evenly,
                or a folder of another training; nothing has changed then.
            FloatingPointError: the loss is no longer finite; the model has changed.
            ValueError: training has made the gain of the block's norm negative; the model has changed.
        """
        self._check("images", images)
        if len(images) < self.batch_size:
            raise ValueError(f"images must be at least batch_size={self.batch_size}, got {len(images)}")
        if validation is not None:
            self._check("validation", validation)
        check_count("every", every)
        folder = None if folder is None else Path(folder)
        engine = new_accelerator() if self.accelerator is None else self.accelerator
        parts = engine.num_processes * engine.gradient_accumulation_steps
        if self.batch_size % parts:
            raise ValueError(f"batch_size must be a multiple of {parts}, processes times accumulation, got {self.batch_size}")
        settings = self._settings(images, validation, every)
        state = None if folder is None else load(folder, settings)
        run = Run(self, engine, images, validation)
        try:
            if state is not None:
                run.restore(state)
            while run.step < self.iterations:
                run.advance()
                if run.step % every == 0 or run.step == self.iterations:
                    run.evaluate()
                    if folder is not None and engine.is_main_process:
                        save(folder, run.checkpoint(settings))
                if self.progress is not None:
                    self.progress(run.step / self.iterations)
        finally:
            run.release()
        if run.best:
            self.model.load_state_dict(run.best)
        self.losses_, self.validation_, self.best_iteration_ = run.losses, run.validation, run.best_step
        return self

    def predict(self, images: Tensor, known: Tensor, *, batch_size: int = 512) -> Tensor:
        """Images with their unknown pixels filled in: `model.complete`, some images at a time.

        Args:
            images: `(b, channels, height, width)`; what stands at unknown pixels, NaN included, changes nothing.
            known: Boolean, of a shape that broadcasts to that of the images, True where a pixel is trusted.
            batch_size: images at a time.

        Raises:
            TypeError, ValueError: as `model.complete`.
        """
        check_count("batch_size", batch_size)
        device = self.model.positions.device
        parts = zip(images.split(batch_size), check_known_pixels(images, known).split(batch_size), strict=True)
        return torch.cat([self.model.complete(one.to(device), mask.to(device)).to(images.device) for one, mask in parts])

    def evaluate(self, images: Tensor, *, seed: int = 0) -> CompletionErrors:
        """Errors on images, with random masks of their own; the same ones for the same seed.

        Raises:
            TypeError, ValueError: images of another shape or not finite, or a negative seed.
        """
        self._check("images", images)
        masks = self.masks(len(images), EVALUATION_SEED + check_count("seed", seed, 0))
        mse = float(completion_errors(self.model, images, masks).double().mean())
        scored = (self.hidden + self.shown) / self.model.patches
        return CompletionErrors(mse, math.sqrt(mse), math.sqrt(mse * scored))

    def score(self, images: Tensor) -> float:
        """Minus the mean squared error of `evaluate`: larger is better."""
        return -self.evaluate(images).mse

    def masks(self, count: int, seed: int) -> PatchMasks:
        """Random masks of `count` images, with the numbers of patches of this training."""
        generator = torch.Generator().manual_seed(seed)
        return random_patch_masks(count, self.model.patches, hidden=self.hidden, shown=self.shown, generator=generator)

    def _check(self, name: str, images: Tensor) -> None:
        check_floating(name, images)
        if images.dim() != 4 or images.shape[1:] != self.model.image_shape or not len(images):
            expected = ", ".join(map(str, self.model.image_shape))
            raise ValueError(f"{name} must have shape (n, {expected}), got {tuple(images.shape)}")
        check_finite(name, images.flatten(1))

    def _settings(self, images: Tensor, validation: Tensor | None, every: int) -> dict[str, Any]:
        names = ("hidden", "shown", "iterations", "batch_size", "learning_rate", "warm_up", "weight_decay", "clip", "seed")
        data = {"images": fingerprint(images), "validation": None if validation is None else fingerprint(validation)}
        shapes = {name: list(one.shape) for name, one in self.model.state_dict().items()}
        return (
            {name: getattr(self, name) for name in names}
            | data
            | {"every": every, "model": shapes, "steps": self.model.block.steps}
        )


def new_accelerator() -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise ImportError("training an image model needs accelerate: pip install 'attractor[train]'") from error
    return Accelerator()


def fingerprint(images: Tensor) -> str:
    """Tells other images apart."""
    digest = hashlib.blake2b(images.detach().cpu().contiguous().numpy().tobytes(), digest_size=16).hexdigest()
    return f"{tuple(images.shape)} {images.dtype} {digest}"
