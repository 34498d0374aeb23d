"""Learning old items along with the new: kept ones (rehearsal), or made-up ones as the model answers them (pseudorehearsal).

Both join each batch by as many old items (Robins 1995).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attractor.estimators.sequential.buffer import Buffered, check_entries
from attractor.estimators.sequential.strategy import Loss, Strategy, Training, evaluating
from attractor.validation import check_count

Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]
"""`draw(shape, generator)`: random items of this shape."""

Settle = Callable[[nn.Module, Tensor], Tensor]
"""`settle(model, items)`: where the items come to rest in the model."""


class Rehearsal(Buffered):
    """Joins each batch by as many items of earlier tasks, a part of which is kept.

    Args:
        fraction: of each task's items to keep; 1 keeps all.

    Raises:
        ValueError: `fraction` is not in (0, 1].

    Example:
        >>> Rehearsal(0.1)
        Rehearsal(fraction=0.1, 0 items kept)
    """

    def extend(self, items: Tensor, labels: Tensor, training: Training) -> tuple[Tensor, Tensor]:
        if not self.sizes:
            return items, labels
        rows = drawn_rows(len(self.items), len(items), training.generator).to(items.device)
        return torch.cat([items, self.items[rows]]), torch.cat([labels, self.labels[rows]])


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Summed over the batch and its outputs, as in the loss of the dense memory with power 1."""
    return (outputs - targets).square().sum()


def random_signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Entries of -1 and 1, equally likely.

    Example:
        >>> random_signs((2, 3), torch.Generator().manual_seed(0)).abs().sum().item()
        6.0
    """
    return torch.randint(0, 2, shape, generator=generator).float() * 2 - 1


class PseudoRehearsal(Strategy):
    """Before a new task, has the model answer random items, and holds it to these answers while it learns. Keeps no data.

    Args:
        count: how many random items to draw before each task but the first.
        draw: them.
        settle: moves them to attractors of the model first. Default: they stay where they are.
        first_only: draw them once, when the first task alone is known, and hold on to these.
        reject_learned: leave out items that equal an item learned before, or the negative of one, as settled ones may. All
            items are kept to compare with.
        answer: of the model, from its outputs.
        error: of as many answers as the batch has items, `error(answers now, answers then)`, a scalar. Default: squares, summed as
            in `classification_loss`; beside a loss that is a mean, give a mean as well.

    Raises:
        ValueError: `count` below 1.

    Example:
        >>> PseudoRehearsal(500)
        PseudoRehearsal(count=500, 0 items held)
    """

    items: Tensor
    answers: Tensor

    def __init__(
        self,
        count: int,
        *,
        draw: Draw = random_signs,
        settle: Settle | None = None,
        first_only: bool = False,
        reject_learned: bool = False,
        answer: Callable[[Tensor], Tensor] = torch.tanh,
        error: Loss = squared_error,
    ):
        self.count = check_count("count", count)
        self.draw, self.settle, self.answer, self.error = draw, settle, answer, error
        self.first_only, self.reject_learned = first_only, reject_learned
        self.held = 0
        self.learned: list[Tensor] = []

    @torch.no_grad()
    def before_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        if training.tasks == 0 or (self.first_only and training.tasks > 1):
            return
        made = self.draw((self.count, *items.shape[1:]), training.generator).to(items)
        with evaluating(training.model):
            if self.settle is not None:
                made = self.settle(training.model, made)
            fresh = made[torch.tensor([not self.is_learned(item) for item in made], device=made.device)]
            answers = self.answer(training.model(fresh)) if len(fresh) else fresh
        self.items, self.answers, self.held = fresh, answers, len(fresh)

    def extra_loss(self, items: Tensor, labels: Tensor, training: Training) -> Tensor | None:
        if not self.held:
            return None
        rows = drawn_rows(self.held, len(items), training.generator).to(items.device)
        return self.error(self.answer(training.model(self.items[rows])), self.answers[rows])

    def after_task(self, items: Tensor, labels: Tensor, training: Training) -> None:
        if self.reject_learned:
            self.learned.append(items.detach())

    def is_learned(self, item: Tensor) -> bool:
        """Whether `item` or its negative equals one learned before."""
        pairs = ((known, sign * item) for known in self.learned for sign in (1, -1))
        return any(bool((known == one).flatten(1).all(1).any()) for known, one in pairs)

    def state_dict(self) -> dict[str, Tensor]:
        state = {f"learned.{number}": items for number, items in enumerate(self.learned)}
        return state | ({"items": self.items, "answers": self.answers} if self.held else {})

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        held = {name: value for name, value in state.items() if not name.startswith("learned.")}
        check_entries(held, {"items", "answers"})
        learned = [f"learned.{number}" for number in range(len(state) - len(held))]
        if set(state) - set(held) != set(learned) or len({len(value) for value in held.values()}) > 1:
            raise ValueError(f"state must hold {learned} and as many answers as items, got {sorted(state)}")
        self.held = len(held.get("items", ()))
        if self.held:
            self.items, self.answers = held["items"].clone(), held["answers"].clone()
        self.learned = [state[name].clone() for name in learned]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(count={self.count}, {self.held} items held)"


def drawn_rows(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """`wanted` of the numbers below `count`; none of them twice before all are drawn."""
    rounds = -(-wanted // count)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])[:wanted]
