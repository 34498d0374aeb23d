"""Training of dialogue models: Adam with the rate of Vaswani et al. 2017, `f d^-0.5 min(n^-0.5, n w^-1.5)` at step `n`.

The loss is the sum of those of all parts (Yang et al. 2024). An interrupted training goes on from its folder, and ends as it would
have done: the order of the dialogues follows from the seed and the number of the step alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attractor.language.iamm.batch import Dialogue, collate
from attractor.language.iamm.metrics import Progress
from attractor.language.iamm.protocols import Trainable
from attractor.tensor_file import read, write
from attractor.validation import check_count, check_positive

KIND = "training of a dialogue model"
NAME = "training.safetensors"
BETAS, EPSILON = (0.9, 0.98), 1e-9
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
SORTED_TOGETHER = 20
"""Batches whose dialogues are sorted by length, that little of a batch is padding."""


@dataclass
class Training:
    """How a training went.

    Attributes:
        losses: of each step, the sum over the parts.
        validation: `[step, loss]`, where it was measured.
        best_step: whose weights the model has: those of the least loss of validation, or the last ones where there is none.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0


def fit_iamm(
    model: Trainable,
    dialogues: Sequence[Dialogue],
    vocabulary: int,
    *,
    validation: Sequence[Dialogue] | None = None,
    steps: int = 17_000,
    batch_size: int = 16,
    dim: int = 300,
    warm_up: int = 8000,
    factor: float = 1.0,
    every: int = 800,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> Training:
    """Train a model; the defaults are those of the reference run.

    Args:
        model: an `IAMM`, or another module that has `losses`, on the device that is to compute.
        dialogues: to learn from, at least one batch.
        vocabulary: number of words that the model knows.
        validation: other dialogues, on which the loss is measured every so many steps; the model ends with the weights of the
            least. Default: it ends with the last ones.
        steps: of Adam.
        batch_size: dialogues of a step.
        dim: `d` of the rate.
        warm_up: `w`, the step at which the rate is highest.
        factor: `f` of the rate.
        every: so many steps the loss of validation is measured and the training written to the folder, and after the last.
        folder: where the training is kept. If it holds that of the same settings and dialogues, training goes on from there.
        seed: of the order of the dialogues.
        progress: called with the fraction that is done.

    Raises:
        TypeError, ValueError: a number out of its range, fewer dialogues than a batch, a folder of another training or a damaged
            one; nothing has changed then. Else as `collate` and the model.
        FloatingPointError: training diverges; the model has changed.

    Example:
        >>> from attractor.language.iamm import IAMM, IAMMConfig, Vocabulary
        >>> vocabulary = Vocabulary(["my", "dog", "died", "so", "sorry"])
        >>> model = IAMM(IAMMConfig(len(vocabulary), classes=2, dim=16, depth=8, relations=0))
        >>> dialogue = vocabulary.dialogue([["my", "dog", "died"]], response=["so", "sorry"], label=1)
        >>> told = fit_iamm(model, [dialogue] * 4, len(vocabulary), steps=8, batch_size=4, dim=16, warm_up=8)
        >>> told.losses[-1] < told.losses[0]
        True
    """
    settings: dict[str, Any] = {"steps": check_count("steps", steps), "batch_size": check_count("batch_size", batch_size)}
    settings |= {"dim": check_count("dim", dim), "warm_up": check_count("warm_up", warm_up)}
    settings |= {"factor": check_positive("factor", factor), "every": check_count("every", every)}
    settings["seed"] = check_count("seed", seed, 0)
    if len(dialogues) < batch_size:
        raise ValueError(f"dialogues must be at least batch_size = {batch_size}, got {len(dialogues)}")
    if validation is not None and len(validation) == 0:
        raise ValueError("validation must hold at least one dialogue or be None, got none")
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1.0, betas=BETAS, eps=EPSILON)
    told, best = Training(), dict[str, Tensor]()
    file = None if folder is None else Path(folder, NAME)
    if file is not None:
        settings |= {"dialogues": digest_of(dialogues), "validation": None if validation is None else digest_of(validation)}
        settings |= {"model": {name: [list(one.shape), str(one.dtype)] for name, one in model.state_dict().items()}}
        if file.exists():
            told, best = resume(file, settings, model, optimizer)
    device = parameters[0].device
    was_training = model.training
    model.train(True)
    order = Order(dialogues, batch_size, seed)
    for step in range(len(told.losses) + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, dim, warm_up, factor)
        optimizer.zero_grad()
        loss = model.losses(collate([dialogues[place] for place in order.batch(step)], vocabulary).to(device)).total
        loss.backward()
        optimizer.step()
        told.losses.append(float(loss.detach()))
        if not math.isfinite(told.losses[-1]):
            raise FloatingPointError(f"training must stay finite, the loss of step {step} is not: lower factor, or raise warm_up")
        if step % every == 0 or step == steps:
            if validation is not None:
                told.validation.append((step, loss_of(model, validation, vocabulary, batch_size)))
            if validation is None or min(told.validation, key=lambda one: one[1])[0] == step:
                told.best_step = step
                best = {name: one.detach().clone() for name, one in model.state_dict().items()}
            if file is not None:
                keep(file, settings, model, optimizer, told, best)
        if progress is not None:
            progress(step / steps)
    model.load_state_dict(best)
    model.train(was_training)
    return told


def rate(step: int, dim: int, warm_up: int, factor: float = 1.0) -> float:
    """The learning rate of a step, from 1.

    Example:
        >>> [round(rate(step, 300, 8000), 6) for step in (1, 8000, 32000)]
        [0.0, 0.000645, 0.000323]
    """
    return float(factor * dim**-0.5 * min(step**-0.5, step * warm_up**-1.5))


class Order:
    """Which dialogues a step learns from: each one once in an epoch, but for those that do not fill a batch."""

    def __init__(self, dialogues: Sequence[Dialogue], batch_size: int, seed: int):
        self.lengths = [sum(map(len, one.utterances)) + len(one.response or ()) for one in dialogues]
        self.batch_size, self.seed = batch_size, seed
        self.batches = len(dialogues) // batch_size
        self.epoch, self.places = -1, list[list[int]]()

    def batch(self, step: int) -> list[int]:
        """Places of the dialogues of a step, from 1."""
        epoch, place = divmod(step - 1, self.batches)
        if epoch != self.epoch:
            self.epoch, self.places = epoch, self._shuffled(epoch)
        return self.places[place]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(
            int.from_bytes(hashlib.sha256(f"{self.seed} {epoch}".encode()).digest()[:7], "big")
        )
        places = torch.randperm(len(self.lengths), generator=generator).tolist()[: self.batches * self.batch_size]
        pool, size = SORTED_TOGETHER * self.batch_size, self.batch_size
        pools = [sorted(places[start : start + pool], key=self.lengths.__getitem__) for start in range(0, len(places), pool)]
        batches = [one[start : start + size] for one in pools for start in range(0, len(one), size)]
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


@torch.no_grad()
def loss_of(model: Trainable, dialogues: Sequence[Dialogue], vocabulary: int, batch_size: int) -> float:
    """The mean over batches, each counted by its dialogues."""
    device = next(iter(model.parameters())).device
    model.train(False)
    total = 0.0
    for start in range(0, len(dialogues), batch_size):
        some = dialogues[start : start + batch_size]
        total += len(some) * float(model.losses(collate(some, vocabulary).to(device)).total)
    model.train(True)
    return total / len(dialogues)


def digest_of(dialogues: Sequence[Dialogue]) -> str:
    """Tells other dialogues apart."""
    found = hashlib.blake2b(digest_size=16)
    for one in dialogues:
        found.update(json.dumps(asdict(one)).encode())
    return found.hexdigest()


def keep(
    file: Path,
    settings: dict[str, Any],
    model: Trainable,
    optimizer: torch.optim.Adam,
    told: Training,
    best: dict[str, Tensor],
) -> None:
    """Write where the training stands. The old file is there until the new one is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": one for name, one in model.state_dict().items()}
    tensors |= {f"best.{name}": one for name, one in best.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": moments[name] for name in MOMENTS}
    write(file, {"kind": KIND, "settings": settings, "told": asdict(told)}, tensors)


def resume(
    file: Path, settings: dict[str, Any], model: Trainable, optimizer: torch.optim.Adam
) -> tuple[Training, dict[str, Tensor]]:
    """Set model and optimizer to what `keep` wrote; how the training went, and its best weights.

    Raises:
        ValueError: a damaged file, or a training of other settings; nothing has changed then.
    """
    described, tensors = read(file, f"a {KIND}")
    # JSON has no tuples
    expected = json.loads(json.dumps(settings))
    try:
        if described["kind"] != KIND:
            raise ValueError(f"it is a {described['kind']}")
        other = sorted(key for key in expected if described["settings"].get(key) != expected[key])
        if other:
            raise ValueError(f"it has other settings: {', '.join(other)}")
        went = described["told"]
        told = Training(list(went["losses"]), [(int(step), float(loss)) for step, loss in went["validation"]], went["best_step"])
        weights = {name: tensors[f"model.{name}"] for name in model.state_dict()}
        best = {name: tensors[f"best.{name}"] for name in model.state_dict()}
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        moments = {number: {name: tensors[f"adam.{number}.{name}"] for name in MOMENTS} for number in range(count)}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"folder must be new or hold this training, {file} does not: {error}") from error
    model.load_state_dict(weights)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return told, best
