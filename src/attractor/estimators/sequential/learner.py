"""Learning tasks one after the other, with any model, any optimizer and any strategies against forgetting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from attractor.estimators.sequential.evaluation import Evaluation, Right, correct, score
from attractor.estimators.sequential.strategy import Loss, Strategy, Training, check_stays_finite, evaluating, gradients_of
from attractor.estimators.sequential.tasks import Task, check_alike, check_items, check_like
from attractor.validation import check_count

STRATEGIES_SEED = 1_000_003
"""Added to the seed for what strategies draw: from that of the batches, a buffer would keep what one batch has shown."""


class SequentialLearner:
    """Trains a model on one task after the other, and says what it still knows of the earlier ones.

    Args:
        model: any module with parameters to train; its outputs `(b, classes)` are scores of classes, or whatever `loss` takes.
        strategies: against forgetting, any number of them together. None: plain training.
        optimizer: makes one from parameters, anew for each task: `lambda parameters: torch.optim.SGD(parameters, lr=0.1)`.
        loss: `loss(outputs, labels)`, a scalar.
        epochs: over the items of each task.
        batch_size: items of the task in a batch; what strategies join comes on top.
        schedule: makes a schedule of the learning rate from an optimizer, stepped after each epoch. Default: a constant rate.
        right: `right(outputs, labels)`, which are right. Default: where the largest output is that of the label.
        seed: of the batches and of what strategies draw.
        progress: called as `progress(task, epoch)`, both from 0, when an epoch begins.

    Raises:
        ValueError: a model without parameters to train, or `epochs` or `batch_size` below 1.

    Example:
        >>> from attractor.estimators.sequential import EWC, Rehearsal, permuted
        >>> generator = torch.Generator().manual_seed(0)
        >>> items = torch.randn(200, 8, generator=generator)
        >>> labels = (items[:, 0] > 0).long()
        >>> tasks = permuted(Task(items[:150], labels[:150], items[150:], labels[150:]), 3)
        >>> learner = SequentialLearner(
        ...     torch.nn.Linear(8, 2),
        ...     strategies=[Rehearsal(0.2), EWC(0.1)],
        ...     optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        ...     loss=torch.nn.functional.cross_entropy,
        ... )
        >>> learner.run(tasks).scores.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        strategies: Sequence[Strategy] = (),
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        loss: Loss,
        epochs: int = 10,
        batch_size: int = 50,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        right: Right = correct,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ):
        self.model, self.strategies, self.optimizer, self.loss = model, tuple(strategies), optimizer, loss
        self.epochs, self.batch_size = check_count("epochs", epochs), check_count("batch_size", batch_size)
        self.schedule, self.right, self.progress = schedule, right, progress
        self._batches = torch.Generator().manual_seed(seed)
        # what strategies draw must not move the batches: methods are then compared on the same ones
        self._training = Training(model, loss, torch.Generator().manual_seed(seed + STRATEGIES_SEED))
        self._first: tuple[Tensor, Tensor] | None = None
        if not self._training.parameters:
            raise ValueError("model must have parameters that require a gradient, got none")

    @property
    def tasks(self) -> int:
        """How many tasks are learned."""
        return self._training.tasks

    def fit_task(self, items: Tensor, labels: Tensor) -> None:
        """Learn a task after those before.

        Args:
            items: `(n, ...)` floating point, of the same width for all tasks.
            labels: `(n,)` int64 classes, or `(n, ...)` floating-point targets.

        Raises:
            TypeError, ValueError: ill-shaped, not finite, of another shape than the task before, classes that the model has no
                output for, or a strategy that cannot do with them; nothing has changed then.
            FloatingPointError: the loss, a gradient or a parameter is no longer finite.
        """
        self._check(items, labels)
        training = self._training
        optimizer = self.optimizer(list(training.parameters.values()))
        schedule = None if self.schedule is None else self.schedule(optimizer)
        for strategy in self.strategies:
            strategy.before_task(items, labels, training)
        self.model.train()
        for epoch in range(self.epochs):
            if self.progress is not None:
                self.progress(training.tasks, epoch)
            for rows in torch.randperm(len(items), generator=self._batches).to(items.device).split(self.batch_size):
                self._step(optimizer, items[rows], labels[rows])
            if schedule is not None:
                schedule.step()
        check_stays_finite("value", training.parameters)
        for strategy in self.strategies:
            strategy.after_task(items, labels, training)
        training.tasks += 1
        self._first = self._first or (items[:0], labels[:0])

    def evaluate(self, tasks: Sequence[Task]) -> Tensor:
        """The share of each task's test items that are right, `(tasks,)` float64.

        Raises:
            ValueError: no tasks, or tasks of different shapes.
        """
        check_alike(tasks)
        return torch.tensor([score(self.model, task, self.right) for task in tasks], dtype=torch.float64)

    def run(self, tasks: Sequence[Task]) -> Evaluation:
        """Learn all tasks in their order, and test all of them before the first and after each.

        Raises:
            TypeError, ValueError, FloatingPointError: as `fit_task`; tasks of different shapes are refused before anything changes.
        """
        check_alike(tasks)
        for task in tasks:
            self._check(task.items, task.labels)
        untrained, scores = self.evaluate(tasks), []
        for task in tasks:
            self.fit_task(task.items, task.labels)
            scores.append(self.evaluate(tasks))
        return Evaluation(torch.stack(scores), untrained)

    def state_dict(self) -> dict[str, Tensor]:
        """What is needed to go on after the tasks so far, but for the model: save its own `state_dict` beside."""
        state = {"tasks": torch.tensor(self.tasks)} | {name: one.get_state() for name, one in self._generators.items()}
        if self._first is not None:
            state |= {"first.items": self._first[0].clone(), "first.labels": self._first[1].clone()}
        for number, strategy in enumerate(self.strategies):
            state |= {f"strategies.{number}.{name}": value for name, value in strategy.state_dict().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where the learner was that gave this `state_dict`: with the same strategies, and a model that has loaded its own.

        Raises:
            ValueError: missing or unknown entries, or a state of other strategies; nothing has changed then.
        """
        parts: list[dict[str, Tensor]] = [{} for _ in self.strategies]
        own = {}
        for name, value in state.items():
            head, _, rest = name.partition(".")
            number, _, entry = rest.partition(".")
            if head != "strategies":
                own[name] = value
            elif number.isdecimal() and int(number) < len(parts):
                parts[int(number)][entry] = value
            else:
                raise ValueError(f"state must be that of {len(parts)} strategies, got {name!r}")
        expected = {"tasks", *self._generators}
        if own.get("tasks", 0) > 0:
            expected |= {"first.items", "first.labels"}
        if set(own) != expected:
            raise ValueError(f"state must hold {sorted(expected)} and what strategies keep, got {sorted(own)}")
        for strategy, part in zip(self.strategies, parts, strict=True):
            # what does not fit is refused by a copy, before anything has changed
            copy(strategy).load_state_dict(part)
        for strategy, part in zip(self.strategies, parts, strict=True):
            strategy.load_state_dict(part)
        for name, generator in self._generators.items():
            generator.set_state(own[name].cpu())
        self._training.tasks = int(own["tasks"])
        self._first = (own["first.items"], own["first.labels"]) if self._training.tasks else None

    @property
    def _generators(self) -> dict[str, torch.Generator]:
        return {"generators.batches": self._batches, "generators.strategies": self._training.generator}

    def _step(self, optimizer: Optimizer, items: Tensor, labels: Tensor) -> None:
        training = self._training
        batch = (items, labels)
        for strategy in self.strategies:
            batch = strategy.extend(*batch, training)
        loss = self.loss(self.model(batch[0]), batch[1])
        for strategy in self.strategies:
            extra = strategy.extra_loss(items, labels, training)
            loss = loss if extra is None else loss + extra
        if not bool(loss.isfinite()):
            raise FloatingPointError(
                f"loss must stay finite, got {float(loss.detach())} in task {training.tasks}: lower the learning rate"
            )
        gradients = gradients_of(loss, training.parameters)
        penalties = [strategy.penalty(gradients, training) for strategy in self.strategies]
        for penalty in penalties:
            gradients = gradients | {name: gradients[name] + value for name, value in penalty.items()}
        for strategy in self.strategies:
            gradients = strategy.project(gradients, training)
        check_stays_finite("gradient", gradients)
        for name, parameter in training.parameters.items():
            parameter.grad = gradients[name]
        optimizer.step()
        for strategy in self.strategies:
            strategy.after_step(training)

    def _check(self, items: Tensor, labels: Tensor) -> None:
        check_items("items", items, "labels", labels)
        if self._first is not None:
            check_like("items", items, self._first[0])
            check_like("labels", labels, self._first[1])
        if labels.dtype == torch.int64:
            self._check_classes(items[:1], int(labels.max()))
        for strategy in self.strategies:
            strategy.check(items, labels, self._training)

    @torch.no_grad()
    def _check_classes(self, item: Tensor, largest: int) -> None:
        with evaluating(self.model):
            outputs = self.model(item)
        if outputs.dim() == 2 and largest >= outputs.shape[1]:
            raise ValueError(f"labels must lie below {outputs.shape[1]}, the number of outputs of the model, got {largest}")
