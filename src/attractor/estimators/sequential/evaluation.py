"""How well each task is known after each task, and what that says of forgetting and transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attractor.estimators.sequential.strategy import evaluating
from attractor.estimators.sequential.tasks import Task

ITEMS_AT_A_TIME = 1024
Right = Callable[[Tensor, Tensor], Tensor]
"""`right(outputs, labels)`: which of a batch are right, `(b,)` Boolean."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model that learned tasks one after the other.

    Args:
        scores: `(tasks, tasks)`: `scores[t, i]` on task `i` after task `t`, float64.
        untrained: `(tasks,)`: before the first task.

    Raises:
        ValueError: other shapes.

    Example:
        >>> told = Evaluation(torch.tensor([[0.9, 0.2], [0.5, 0.8]]), torch.tensor([0.1, 0.1]))
        >>> round(told.average_accuracy, 2), round(told.forgetting, 2), round(told.forward_transfer, 2)
        (0.65, 0.4, 0.1)
    """

    scores: Tensor
    untrained: Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.scores.shape)
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
            raise ValueError(f"scores must have shape (tasks, tasks), got {shape}")
        if self.untrained.shape != shape[:1]:
            raise ValueError(f"untrained must have shape ({shape[0]},), one for each task, got {tuple(self.untrained.shape)}")

    @property
    def average_accuracy(self) -> float:
        """The mean over all tasks at the end."""
        return float(self.scores[-1].mean())

    @property
    def learned_accuracy(self) -> float:
        """The mean over tasks, each as soon as it is learned."""
        return float(self.scores.diagonal().mean())

    @property
    def forgetting(self) -> float:
        """What is lost of the best score that a task has ever had: the mean over all tasks but the last; 0 for a single task."""
        lost = (self.scores.amax(0) - self.scores[-1])[:-1]
        return float(lost.mean()) if len(lost) else 0.0

    @property
    def backward_transfer(self) -> float:
        """What later tasks have added to a task since it was learned: the mean over all tasks but the last; 0 for a single task."""
        gained = (self.scores[-1] - self.scores.diagonal())[:-1]
        return float(gained.mean()) if len(gained) else 0.0

    @property
    def forward_transfer(self) -> float:
        """What earlier tasks have added to a task before it is learned: the mean over all but the first; 0 for a single task."""
        gained = self.scores.diagonal(1) - self.untrained[1:]
        return float(gained.mean()) if len(gained) else 0.0

    def __repr__(self) -> str:
        return (
            f"Evaluation({len(self.scores)} tasks: average accuracy {self.average_accuracy:.3f}, "
            f"learned accuracy {self.learned_accuracy:.3f}, forgetting {self.forgetting:.3f}, "
            f"backward transfer {self.backward_transfer:.3f}, forward transfer {self.forward_transfer:.3f})"
        )


def correct(outputs: Tensor, labels: Tensor) -> Tensor:
    """Which outputs `(b, classes)` are largest at their label `(b,)`."""
    return outputs.argmax(-1) == labels


def stable(outputs: Tensor, labels: Tensor, *, tolerance: float = 0.02) -> Tensor:
    """Which outputs `(b, d)` differ in sign from the pattern `(b, d)` in at most the share `tolerance` of the units."""
    return (outputs.sign() != labels.sign()).flatten(1).double().mean(1) <= tolerance


@torch.no_grad()
def score(model: nn.Module, task: Task, right: Right = correct) -> float:
    """The share of the test items of `task` that `model` gets `right`."""
    pairs = zip(task.test_items.split(ITEMS_AT_A_TIME), task.test_labels.split(ITEMS_AT_A_TIME), strict=True)
    with evaluating(model):
        counts = [int(right(model(items), labels).sum()) for items, labels in pairs]
    return sum(counts) / len(task.test_items)
