"""What a method against forgetting can do while a model learns one task after the other.

A strategy overrides the hooks that it needs. The learner calls them in this order:

    check            all of them, before anything changes
    before_task
        extend       the batch, by items to learn beside it
        extra_loss   what to add to the loss of the batch
        penalty      what to add to the gradient; all see that of the loss alone
        project      the gradient, last of all, so that what a projection promises holds of the gradient that is used
        after_step
    after_task
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from attractor.validation import finite

Loss = Callable[[Tensor, Tensor], Tensor]
"""`loss(outputs, labels)`, a scalar."""

Gradients = dict[str, Tensor]
"""A gradient, or anything else of its shape, by the name of its parameter."""


@dataclass
class Training:
    """What strategies see.

    Attributes:
        model: that learns.
        loss: of its outputs.
        generator: for what strategies draw; batches are drawn from another one, so that they do not depend on the strategies.
        tasks: how many are learned so far.
    """

    model: nn.Module
    loss: Loss
    generator: torch.Generator
    tasks: int = field(default=0)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def gradients(self, items: Tensor, labels: Tensor) -> Gradients:
        """The gradient of the loss of `items (b, ...)`; zero for parameters that it does not reach."""
        return gradients_of(self.loss(self.model(items), labels), self.parameters)


class Strategy:
    """Does nothing against forgetting: the base of those that do."""

    def check(self, items: Tensor, labels: Tensor, training: Training) -> None:
        """Refuse a task that cannot be learned so, and change nothing.

        Raises:
            ValueError: why not.
        """

    def before_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        """Look at the task that is to be learned."""

    def extend(self, items: Tensor, labels: Tensor, training: Training) -> tuple[Tensor, Tensor]:
        """The batch `items (b, ...)`, `labels (b, ...)` with what is to be learned beside it."""
        return items, labels

    def extra_loss(self, items: Tensor, labels: Tensor, training: Training) -> Tensor | None:
        """What to add to the loss of the batch `items (b, ...)`, a scalar."""
        return None

    def penalty(self, gradients: Gradients, training: Training) -> Gradients:
        """What to add to the `gradients` of the loss."""
        return {}

    def project(self, gradients: Gradients, training: Training) -> Gradients:
        """The gradients to follow instead."""
        return gradients

    def after_step(self, training: Training) -> None:
        """The optimizer has moved the parameters."""

    def after_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        """The task is learned: keep what the next ones need of it."""

    def state_dict(self) -> dict[str, Tensor]:
        """What is kept of the tasks so far."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: unknown entries.
        """
        if state:
            raise ValueError(f"state must be empty for {type(self).__name__}, got {sorted(state)}")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within, `model` answers as it does in use, without dropout and the like; then each part of it is in its own mode again."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def gradients_of(value: Tensor, parameters: dict[str, nn.Parameter]) -> Gradients:
    """The gradient of the scalar `value`; zero for parameters that it does not depend on.

    Raises:
        FloatingPointError: it is not finite.
    """
    found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True, materialize_grads=True)
    gradients = dict(zip(parameters, found, strict=True))
    check_stays_finite("gradient", gradients)
    return gradients


def check_stays_finite(what: str, values: Mapping[str, Tensor]) -> None:
    """`what` of each parameter, by its name, must have no NaN and no infinity."""
    for name, value in values.items():
        if not finite(value):
            raise FloatingPointError(f"{what} of {name!r} must stay finite, got NaN or infinity: lower the learning rate")


def flatten(gradients: Gradients) -> Tensor:
    """All entries, `(parameters,)`, in the order of the dictionary."""
    return torch.cat([value.reshape(-1) for value in gradients.values()])


def unflatten(flat: Tensor, like: Gradients) -> Gradients:
    """What `flatten` made flat, in the shapes of `like`."""
    parts: Sequence[Tensor] = flat.split([value.numel() for value in like.values()])
    return {name: part.view_as(value) for (name, value), part in zip(like.items(), parts, strict=True)}
