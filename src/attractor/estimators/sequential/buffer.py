"""Items of earlier tasks, kept for methods that look at them again."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.estimators.sequential.strategy import Strategy, Training
from attractor.validation import check_fraction


class Buffered(Strategy):
    """Keeps a random part of the items of each task.

    Args:
        fraction: of the items of a task, above 0 and at most 1.

    Attributes:
        items, labels: all that is kept, one task after the other.
        sizes: how much of that belongs to each task.

    Raises:
        ValueError: `fraction` is not in (0, 1].
    """

    items: Tensor
    labels: Tensor

    def __init__(self, fraction: float):
        self.fraction = check_fraction("fraction", fraction)
        self.sizes: list[int] = []

    def check(self, items: Tensor, labels: Tensor, training: Training) -> None:
        if round(self.fraction * len(items)) == 0:
            raise ValueError(
                f"fraction must keep at least one item of each task, {type(self).__name__} needs a buffer that is not empty: "
                f"{self.fraction:g} of {len(items)} items is none"
            )

    def after_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        order = torch.randperm(len(items), generator=training.generator)
        rows = order[: round(self.fraction * len(items))].to(items.device)
        before = (self.items, self.labels) if self.sizes else (items[:0], labels[:0])
        self.items = torch.cat([before[0], items[rows]]).detach()
        self.labels = torch.cat([before[1], labels[rows]]).detach()
        self.sizes.append(len(rows))

    def state_dict(self) -> dict[str, Tensor]:
        return {"items": self.items, "labels": self.labels, "sizes": torch.tensor(self.sizes)} if self.sizes else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        check_entries(state, {"items", "labels", "sizes"})
        if state:
            if not int(state["sizes"].sum()) == len(state["items"]) == len(state["labels"]):
                raise ValueError("state must hold as many items and labels as its sizes sum to")
            self.items, self.labels = state["items"].clone(), state["labels"].clone()
        self.sizes = state["sizes"].tolist() if state else []

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fraction={self.fraction:g}, {sum(self.sizes)} items kept)"


def check_entries(state: dict[str, Tensor], expected: set[str]) -> None:
    """A state is empty, before the first task, or holds all entries."""
    if state and set(state) != expected:
        raise ValueError(f"state must be empty or hold {sorted(expected)}, got {sorted(state)}")
