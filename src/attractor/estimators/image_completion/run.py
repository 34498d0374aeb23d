"""The loop of a training: batches, steps, evaluations, and the state that an interrupted one goes on from.

What follows from the seed and the number of the step (batches, masks, noise, the learning rate) is not part of the state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import AdamW

from attractor.estimators.image_completion.checkpoints import Checkpoint
from attractor.nn.energy_transformer.images import in_mode
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error
from attractor.nn.energy_transformer.norm import keep_descending
from attractor.validation import finite

if TYPE_CHECKING:
    from attractor.estimators.image_completion.training import ImageCompletion

DIVERGED = "lower learning_rate or clip, or normalise the images"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps of a parameter."""


class Run:
    """One training, as far as it has come. It advances within `engaged`."""

    def __init__(self, task: ImageCompletion, engine: Any, images: Tensor, validation: Tensor | None):
        self.task, self.engine, self.images, self.validation_images = task, engine, images, validation
        self.step, self.best_step = 0, task.iterations
        self.validation: list[tuple[int, float]] = []
        self.best: dict[str, Tensor] = {}
        self.losses = torch.zeros(task.iterations)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    @contextmanager
    def engaged(self) -> Iterator[None]:
        """Within, the model belongs to the engine and trains; afterwards it is by itself and in its own mode again.

        The head of a model with classes has no part in it, and processes would wait for its gradients.
        """
        task, engine = self.task, self.engine
        head = [] if task.model.head is None else [one for one in task.model.head.parameters() if one.requires_grad]
        for one in head:
            one.requires_grad_(False)
        self.trained = {name: one for name, one in task.model.named_parameters() if one.requires_grad}
        rate, decay = task.learning_rate, task.weight_decay
        optimiser = AdamW(list(self.trained.values()), lr=rate, betas=task.betas, weight_decay=decay)
        try:
            with in_mode(task.model, training=True):
                self.model, self.optimiser = engine.prepare(task.model, optimiser)
                try:
                    yield
                finally:
                    engine.unwrap_model(self.model, keep_fp32_wrapper=False)
                    if task.accelerator is None:
                        engine.free_memory()
        finally:
            for one in head:
                one.requires_grad_(True)

    def advance(self) -> None:
        """One step of the optimiser on the next batch.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        task, engine = self.task, self.engine
        parts = list(self.parts())
        self.optimiser.zero_grad()
        total = torch.zeros((), device=engine.device)
        for number, (images, masks) in enumerate(parts):
            noise = self.generator("noise", number, engine.device)
            waits = number + 1 < len(parts)
            with engine.no_sync(self.model) if waits else nullcontext():
                loss = self.loss(images, masks, noise)
                engine.backward(loss)
            total += loss.detach() / len(parts)
        total = engine.reduce(total, "mean").cpu()
        if not bool(total.isfinite()):
            raise FloatingPointError(f"the loss of iteration {self.step + 1} is {float(total)}: {DIVERGED}")
        engine.clip_grad_norm_(list(self.trained.values()), task.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = task.learning_rate * relative_rate(self.step, task.iterations, task.warm_up)
        self.optimiser.step()
        keep_descending(task.model)
        self.losses[self.step] = total
        self.step += 1

    def loss(self, images: Tensor, masks: PatchMasks, noise: torch.Generator) -> Tensor:
        std, size = self.task.model.std, self.task.model.patch_size
        try:
            found = self.model(images, masks.hidden, generator=noise)
        except ValueError as error:
            # the first call tells whether the block takes such tokens; later ones refuse nothing but states without end
            if not self.step:
                raise
            raise FloatingPointError(f"iteration {self.step + 1} has left the range of numbers: {DIVERGED}") from error
        return masked_error(found / std, images / std, masks.scored, size).mean()

    def parts(self) -> Iterator[tuple[Tensor, PatchMasks]]:
        """This process's share of the batch, in as many parts as gradients are accumulated over. All follows from the step."""
        task, engine = self.task, self.engine
        rows = self.rows()
        masks = task.masks(len(rows), seed_of(task.seed, self.step))
        count = engine.gradient_accumulation_steps
        for part in range(count):
            own = slice(engine.process_index + part * engine.num_processes, None, engine.num_processes * count)
            images = self.images[rows[own].to(self.images.device)]
            if task.transform is not None:
                images = task.transformed(images, self.generator("transform", part, images.device))
            yield images.to(engine.device), PatchMasks(*(mask[own].to(engine.device) for mask in masks))

    def generator(self, use: str, part: int, device: torch.device) -> torch.Generator:
        """Of numbers that no other use, part of a batch or process draws."""
        seed = seed_of(self.task.seed, self.step, use, part, self.engine.process_index)
        return torch.Generator(device=device).manual_seed(seed)

    def rows(self) -> Tensor:
        """The images of the batch: each epoch has an order of its own."""
        task = self.task
        epoch, number = divmod(self.step, len(self.images) // task.batch_size)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(seed_of(task.seed, epoch) + 1)
            self.epoch, self.order = epoch, torch.randperm(len(self.images), generator=generator)
        return self.order[number * task.batch_size : (number + 1) * task.batch_size]

    def evaluate(self) -> None:
        """Check that all is finite, and keep the weights if they are the best so far."""
        task = self.task
        if not all(finite(one) for one in self.trained.values()):
            raise FloatingPointError(f"weights are not finite after iteration {self.step}: {DIVERGED}")
        if self.validation_images is None:
            return
        mse = task.evaluate(self.validation_images).mse
        if not self.validation or mse < min(error for _, error in self.validation):
            self.best_step = self.step
            self.best = {name: one.detach().cpu().clone() for name, one in task.model.state_dict().items()}
        self.validation.append((self.step, mse))

    def checkpoint(self, settings: dict[str, Any]) -> Checkpoint:
        """All that cannot be told from the settings and the step."""
        tensors = {f"model.{name}": one for name, one in self.task.model.state_dict().items()}
        tensors |= {f"best.{name}": one for name, one in self.best.items()}
        for number, name in enumerate(self.trained):
            held = self.optimiser.state_dict()["state"].get(number, {})
            tensors |= {f"optimiser.{entry}.{name}": one for entry, one in held.items()}
        plain = {"validation": self.validation, "best_step": self.best_step}
        return Checkpoint(self.step, settings, plain, tensors | {"losses": self.losses})

    def restore(self, state: Checkpoint, every: int) -> None:
        """Stand where the checkpoint was made; all of it is checked before anything changes.

        Raises:
            ValueError: it is none of this training.
        """
        self.check(state, every)
        held = {
            number: {entry: state.tensors[f"optimiser.{entry}.{name}"] for entry in MOMENTS}
            for number, name in enumerate(self.trained)
            if f"optimiser.step.{name}" in state.tensors
        }
        self.task.model.load_state_dict(inside(state.tensors, "model."))
        self.optimiser.load_state_dict({"state": held, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.validation = [(step, error) for step, error in state.plain["validation"]]
        self.best, self.best_step, self.step = inside(state.tensors, "best."), state.plain["best_step"], state.step
        self.losses = state.tensors["losses"]

    def check(self, state: Checkpoint, every: int) -> None:
        model = {name: (one.shape, one.dtype) for name, one in self.task.model.state_dict().items()}
        wanted = {f"model.{name}": one for name, one in model.items()} | {"losses": (self.losses.shape, self.losses.dtype)}
        if self.validation_images is not None:
            wanted |= {f"best.{name}": one for name, one in model.items()}
        for name, one in self.trained.items():
            # a parameter that the loss does not depend on has no moments
            if any(f"optimiser.{entry}.{name}" in state.tensors for entry in MOMENTS):
                wanted |= {f"optimiser.{entry}.{name}": (one.shape, one.dtype) for entry in MOMENTS}
                wanted[f"optimiser.step.{name}"] = (torch.Size(), torch.float32)
        found = {name: (one.shape, one.dtype) for name, one in state.tensors.items()}
        wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        wrong += [] if all(finite(one) for one in state.tensors.values()) else ["numbers that are not finite"]
        counts = {float(one) for one in inside(state.tensors, "optimiser.step.").values() if one.numel() == 1}
        steps = [step for step in range(1, state.step + 1) if step % every == 0 or step == self.task.iterations]
        if not steps or steps[-1] != state.step or counts != {state.step}:
            wrong.append("step")
        if not evaluated(state.plain, [] if self.validation_images is None else steps, self.task.iterations):
            wrong.append("validation")
        if wrong:
            raise ValueError(f"folder must hold a whole checkpoint of this training; not of it are {', '.join(wrong[:5])}")


def evaluated(plain: Mapping[str, Any], steps: list[int], last: int) -> bool:
    """Whether errors of validation stand for these steps, and the least is called the best."""
    try:
        errors = {step: float(error) for step, error in plain["validation"]}
        best = min(errors, key=errors.__getitem__, default=last)
        return list(errors) == steps and len(plain["validation"]) == len(steps) and plain["best_step"] == best
    except (KeyError, TypeError, ValueError):
        return False


def relative_rate(step: int, iterations: int, warm_up: float) -> float:
    """The learning rate of a step as a share of the largest: from 1/25 up along a cosine, then down to nothing.

    Example:
        >>> [round(relative_rate(step, 10, 0.4), 2) for step in (0, 3, 9)]
        [0.04, 1.0, 0.0]
    """
    rise = max(warm_up * iterations - 1, 0.0)
    if step < rise:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / max(iterations - 1 - rise, 1))) / 2


def seed_of(*numbers: int | str) -> int:
    """A seed of its own for each iteration or epoch of each training, and for each use of it."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") << 1


def inside(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
