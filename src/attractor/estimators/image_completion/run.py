"""The loop of a training: batches, steps, evaluations, and the state that an interrupted one goes on from.

What follows from the seed and the number of the step (batches, masks, noise, the learning rate) is not part of the state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import AdamW

from attractor.estimators.image_completion.checkpoints import Checkpoint
from attractor.nn.energy_transformer.images_patches import PatchMasks, masked_error

if TYPE_CHECKING:
    from attractor.estimators.image_completion.training import ImageCompletion


class Run:
    """One training, as far as it has come."""

    def __init__(self, task: ImageCompletion, engine: Any, images: Tensor, validation: Tensor | None):
        self.task, self.engine, self.images, self.validation_images = task, engine, images, validation
        self.step, self.best_step = 0, task.iterations
        self.validation: list[tuple[int, float]] = []
        self.best: dict[str, Tensor] = {}
        self.losses = torch.zeros(task.iterations)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)
        optimiser = AdamW(task.model.parameters(), lr=task.learning_rate, weight_decay=task.weight_decay)
        self.model, self.optimiser = engine.prepare(task.model, optimiser)

    def advance(self) -> None:
        """One step of the optimiser on the next batch."""
        task, engine = self.task, self.engine
        parts, std = list(self.parts()), task.model.std
        noise = torch.Generator(device=engine.device).manual_seed(seed_of(task.seed, self.step))
        self.model.train()
        self.optimiser.zero_grad()
        total = torch.zeros((), device=engine.device)
        for number, (images, masks) in enumerate(parts):
            waits = number + 1 < len(parts)
            with engine.no_sync(self.model) if waits else nullcontext():
                found = self.model(images, masks.hidden, generator=noise)
                loss = masked_error(found / std, images / std, masks.scored, task.model.patch_size).mean()
                engine.backward(loss)
            total += loss.detach() / len(parts)
        engine.clip_grad_norm_(self.model.parameters(), task.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = task.learning_rate * relative_rate(self.step, task.iterations, task.warm_up)
        self.optimiser.step()
        self.losses[self.step] = engine.reduce(total, "mean").cpu()
        self.step += 1

    def parts(self) -> Iterator[tuple[Tensor, PatchMasks]]:
        """This process's share of the batch, in as many parts as gradients are accumulated over. All follows from the step."""
        task, engine = self.task, self.engine
        rows = self.rows()
        masks = task.masks(len(rows), seed_of(task.seed, self.step))
        count = engine.gradient_accumulation_steps
        for part in range(count):
            own = slice(engine.process_index + part * engine.num_processes, None, engine.num_processes * count)
            images = self.images[rows[own].to(self.images.device)]
            yield images.to(engine.device), PatchMasks(*(mask[own].to(engine.device) for mask in masks))

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
        if not bool(self.losses[: self.step].isfinite().all()):
            raise FloatingPointError("the loss is no longer finite: lower learning_rate or clip, or normalise the images")
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
        state = self.optimiser.state_dict()["state"]
        tensors |= {f"optimiser.{number}.{name}": one for number, held in state.items() for name, one in held.items()}
        plain = {"validation": self.validation, "best_step": self.best_step}
        return Checkpoint(self.step, settings, plain, tensors | {"losses": self.losses})

    def restore(self, state: Checkpoint) -> None:
        """Stand where the checkpoint was made.

        Raises:
            ValueError: tensors that are not those of this training.
        """
        try:
            held: dict[int, dict[str, Tensor]] = {}
            for name, one in inside(state.tensors, "optimiser.").items():
                number, _, entry = name.partition(".")
                held.setdefault(int(number), {})[entry] = one
            self.losses = state.tensors["losses"]
            self.task.model.load_state_dict(inside(state.tensors, "model."))
            self.optimiser.load_state_dict({"state": held, "param_groups": self.optimiser.state_dict()["param_groups"]})
            self.validation = [(step, error) for step, error in state.plain["validation"]]
            self.best, self.best_step, self.step = inside(state.tensors, "best."), state.plain["best_step"], state.step
        except (KeyError, RuntimeError, TypeError) as error:
            raise ValueError(f"the folder must hold the tensors of this training: {error}") from error

    def release(self) -> None:
        """Take the engine off the model."""
        self.engine.unwrap_model(self.model, keep_fp32_wrapper=False)
        if self.task.accelerator is None:
            self.engine.free_memory()


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


def seed_of(seed: int, number: int) -> int:
    """A seed of its own for each iteration or epoch of each training."""
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") << 1


def inside(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
