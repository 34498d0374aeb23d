"""Training of an image model to fill in hidden patches, as the Energy Transformer is trained (Hoover et al. 2023).

Each iteration hides other patches of other images; the loss is the mean squared error over the patches that are scored, in units
of the variance that the model takes out of pixels. AdamW with a learning rate that rises and falls along cosines; gradients are
clipped by their norm. `accelerate` places the training on devices, in mixed precision, over processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from attractor.estimators.image_completion.checkpoints import load, save
from attractor.estimators.image_completion.errors import CompletionErrors, channel_errors
from attractor.estimators.image_completion.run import Run
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.nn.energy_transformer.images_patches import PatchMasks, check_known_pixels, random_patch_masks
from attractor.tensor_file import digest
from attractor.validation import check_count, check_finite, check_floating, check_not_negative, check_positive, check_share

Transform = Callable[[Tensor, torch.Generator], Tensor]
EVALUATION_SEED = 1_000_003
"""Added to the seed for masks of an evaluation: they are never those of an iteration."""


class ImageCompletion:
    """Trains a model on images, and completes others with it.

    It is no scikit-learn estimator: it is made around a model, has no `get_params` and cannot be cloned, and a second `fit` goes on
    from the weights that the model has. `model.save(path)` keeps what was learned.

    A batch is split evenly over the processes of `accelerator` and its steps of gradient accumulation; neither changes the result
    beyond rounding, except that a block with noise, or `transform`, draws other numbers. The same seed gives the same result, also
    where a training was interrupted and went on from its folder (in float16, where the scale of the loss begins anew, it may
    differ). Images are one tensor in memory; `torch.from_file` makes one that stays on disk.

    Args:
        model: to train, in place.
        hidden: patches of an image that are hidden; not all of them.
        shown: further patches that are not hidden and are scored all the same.
        iterations: steps of the optimiser.
        batch_size: images of a step.
        learning_rate: the largest, reached after the share `warm_up` of the iterations.
        warm_up: share of the iterations, in (0, 1).
        betas: of AdamW, how slowly the means of gradients and of their squares change.
        weight_decay: of AdamW.
        clip: largest norm of the gradients.
        seed: of batches, masks, noise and `transform`.
        transform: called with each part of a batch and a generator for what it draws; it returns other images of the same shape,
            shifted or mirrored for instance. Default: images are taken as they are.
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
        betas: Sequence[float] = (0.9, 0.999),
        weight_decay: float = 0.01,
        clip: float = 1.0,
        seed: int = 0,
        transform: Transform | None = None,
        accelerator: Any = None,
        progress: Callable[[float], None] | None = None,
    ):
        if not isinstance(model, VisionEnergyTransformer):
            raise TypeError(f"model must be a VisionEnergyTransformer, got {type(model).__name__}")
        self.model = model
        self.hidden, self.shown = check_count("hidden", hidden, 0), check_count("shown", shown, 0)
        if not 1 <= hidden + shown <= model.patches:
            raise ValueError(f"hidden and shown together must lie between 1 and {model.patches}, got {hidden} and {shown}")
        if hidden == model.patches:
            raise ValueError(f"hidden must leave a patch to see, got all {hidden}")
        self.iterations, self.batch_size = check_count("iterations", iterations), check_count("batch_size", batch_size)
        self.learning_rate, self.clip = check_positive("learning_rate", learning_rate), check_positive("clip", clip)
        self.warm_up = check_share("warm_up", check_positive("warm_up", warm_up))
        if not isinstance(betas, Sequence) or len(betas) != 2:
            raise ValueError(f"betas must be two numbers, got {betas!r}")
        self.betas = check_share("betas", betas[0]), check_share("betas", betas[1])
        self.weight_decay, self.seed = check_not_negative("weight_decay", weight_decay), check_count("seed", seed, 0)
        self.transform, self.accelerator, self.progress = transform, accelerator, progress

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
                there. It holds nothing else. Default: none.
            every: so many iterations, and after the last.

        Raises:
            TypeError, ValueError: images of another shape or not finite, fewer than a batch, a batch that cannot be split evenly,
                or a folder of another training, with other files or damaged; nothing has changed then.
            TypeError, ValueError: `transform` returns something else than such images; the model has changed.
            FloatingPointError: training diverges, `learning_rate` is too large for instance; the model has changed.
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
        settings = {} if folder is None else self._settings(images, validation, every)
        state = None if folder is None else load(folder, settings)
        run = Run(self, engine, images, validation)
        with run.engaged():
            if state is not None:
                run.restore(state, every)
            while run.step < self.iterations:
                run.advance()
                if run.step % every == 0 or run.step == self.iterations:
                    run.evaluate()
                    if folder is not None and engine.is_main_process:
                        save(folder, run.checkpoint(settings))
                if self.progress is not None:
                    self.progress(run.step / self.iterations)
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
        check_shape("images", images, self.model)
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
        errors = channel_errors(self.model, images, masks).double().mean(0)
        mse, scored = float(errors.mean()), (self.hidden + self.shown) / self.model.patches
        standard = errors / self.model.std.flatten().to(errors).square()
        return CompletionErrors(mse, math.sqrt(mse), math.sqrt(float(standard.mean()) * scored))

    def score(self, images: Tensor) -> float:
        """Minus the mean squared error of `evaluate`: larger is better."""
        return -self.evaluate(images).mse

    def masks(self, count: int, seed: int) -> PatchMasks:
        """Random masks of `count` images, with the numbers of patches of this training."""
        generator = torch.Generator().manual_seed(seed)
        return random_patch_masks(count, self.model.patches, hidden=self.hidden, shown=self.shown, generator=generator)

    def transformed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images after `transform`.

        Raises:
            TypeError, ValueError: it returns something else than as many images of the same shape and precision.
        """
        assert self.transform is not None
        found = self.transform(images, generator)
        self._check("transform(images, generator)", found)
        if found.shape != images.shape or found.dtype != images.dtype:
            raise ValueError(f"transform must return {tuple(images.shape)} {images.dtype}, got {tuple(found.shape)} {found.dtype}")
        return found

    def _check(self, name: str, images: Tensor) -> None:
        check_shape(name, images, self.model)
        check_finite(name, images.flatten(1))

    def _settings(self, images: Tensor, validation: Tensor | None, every: int) -> dict[str, Any]:
        """All that the result follows from, but for the first weights, as plain JSON."""
        names = ("hidden", "shown", "iterations", "batch_size", "learning_rate", "warm_up", "betas", "weight_decay", "clip", "seed")
        model = self.model
        return {name: getattr(self, name) for name in names} | {
            "images": digest("", {"images": images}),
            "validation": None if validation is None else digest("", {"images": validation}),
            "transform": None if self.transform is None else name_of(self.transform),
            "every": every,
            "model": {name: [list(one.shape), str(one.dtype)] for name, one in model.state_dict().items()},
            "trained": [name for name, one in model.named_parameters() if one.requires_grad],
            "mean": model.mean.flatten().tolist(),
            "std": model.std.flatten().tolist(),
            "modules": {path: module_settings(module) for path, module in model.named_modules()},
        }


def check_shape(name: str, images: Tensor, model: VisionEnergyTransformer) -> None:
    check_floating(name, images)
    if images.dim() != 4 or images.shape[1:] != model.image_shape or not len(images):
        expected = ", ".join(map(str, model.image_shape))
        raise ValueError(f"{name} must have shape (n, {expected}) with n >= 1, got {tuple(images.shape)}")


def module_settings(module: nn.Module) -> dict[str, Any]:
    """The class of a module and its numbers, names and switches: what a state_dict does not tell."""
    own = {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"}
    return {"class": name_of(type(module))} | {name: value for name, value in own.items() if is_plain(value)}


def is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def name_of(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def new_accelerator() -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise ImportError("training an image model needs accelerate: pip install 'attractor[train]'", name="accelerate") from error
    return Accelerator()
