"""Tasks to learn one after the other: permuted images, classes split among tasks, random patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.validation import check_count, check_floating


@dataclass(frozen=True, eq=False)
class Task:
    """Items to learn, and others to test what was learned.

    Args:
        items: `(n, ...)` floating point.
        labels: `(n,)` int64 classes, or `(n, ...)` floating-point targets.
        test_items: `(m, ...)`.
        test_labels: `(m, ...)`.

    Raises:
        TypeError: not tensors.
        ValueError: lengths, widths or types that do not belong together, or nothing to learn or to test.

    Example:
        >>> task = Task(torch.zeros(6, 4), torch.zeros(6, dtype=torch.int64), torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
        >>> len(task.items)
        6
    """

    items: Tensor
    labels: Tensor
    test_items: Tensor
    test_labels: Tensor

    def __post_init__(self) -> None:
        check_items("items", self.items, "labels", self.labels)
        check_items("test_items", self.test_items, "test_labels", self.test_labels)
        check_like("test_items", self.test_items, self.items)
        check_like("test_labels", self.test_labels, self.labels)


def permuted(task: Task, count: int = 5, *, seed: int = 0) -> list[Task]:
    """`task` itself, and again with its entries in another, fixed order each time: same classes, new inputs.

    Args:
        task: with items `(n, d)`.
        count: how many tasks to make.
        seed: of the orders.

    Raises:
        ValueError: `count` below 1, or items that are no rows.

    Example:
        >>> labels = torch.zeros(2, dtype=torch.int64)
        >>> rows = torch.arange(6.0).reshape(2, 3)
        >>> [one.items[0].tolist() for one in permuted(Task(rows, labels, rows, labels), 2)]
        [[0.0, 1.0, 2.0], [2.0, 0.0, 1.0]]
    """
    check_count("count", count)
    if task.items.dim() != 2:
        raise ValueError(f"task must have items of shape (n, d), got {tuple(task.items.shape)}; flatten them with items.flatten(1)")
    generator = torch.Generator().manual_seed(seed)
    tasks = [task]
    for _ in range(count - 1):
        order = torch.randperm(task.items.shape[1], generator=generator).to(task.items.device)
        tasks.append(Task(task.items[:, order], task.labels, task.test_items[:, order], task.test_labels))
    return tasks


def split_classes(task: Task, groups: Sequence[Sequence[int]]) -> list[Task]:
    """One task for each group of classes; the labels stay what they are.

    Args:
        task: with classes as labels.
        groups: of classes, such as `[(0, 1), (2, 3)]`.

    Raises:
        ValueError: no groups, a class that stands in two of them, or a group without items.

    Example:
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> tasks = split_classes(Task(torch.rand(4, 5), labels, torch.rand(4, 5), labels), [(0, 1), (2, 3)])
        >>> tasks[1].labels.tolist()
        [2, 3]
    """
    named = [label for group in groups for label in group]
    if not named or len(set(named)) != len(named):
        raise ValueError(f"groups must name every class once, got {[list(group) for group in groups]}")
    tasks = []
    for group in groups:
        classes = torch.tensor(list(group), device=task.labels.device)
        learned, tested = torch.isin(task.labels, classes), torch.isin(task.test_labels, classes)
        if not bool(learned.any()) or not bool(tested.any()):
            raise ValueError(f"groups must hold classes of the task, {list(group)} have nothing to learn or nothing to test")
        tasks.append(Task(task.items[learned], task.labels[learned], task.test_items[tested], task.test_labels[tested]))
    return tasks


def random_patterns(counts: Sequence[int], dim: int, *, seed: int = 0) -> list[Task]:
    """Patterns of -1 and 1 to keep, each of them item and target alike: what is tested is what was learned.

    Args:
        counts: of patterns, one for each task.
        dim: their width.
        seed: of the patterns.

    Raises:
        ValueError: a count or `dim` below 1.

    Example:
        >>> [tuple(task.items.shape) for task in random_patterns((20, 1), 64)]
        [(20, 64), (1, 64)]
    """
    check_count("dim", dim)
    generator = torch.Generator().manual_seed(seed)
    tasks = []
    for count in counts:
        patterns = torch.randint(0, 2, (check_count("counts", count), dim), generator=generator).float() * 2 - 1
        tasks.append(Task(patterns, patterns, patterns, patterns))
    return tasks


def joint(tasks: Sequence[Task]) -> Task:
    """All tasks as one, learned at once: what no method that learns them in turn can be expected to beat.

    Raises:
        ValueError: no tasks, or tasks of different shapes.

    Example:
        >>> len(joint(random_patterns((20, 1), 64)).items)
        21
    """
    check_alike(tasks)
    parts = zip(*((task.items, task.labels, task.test_items, task.test_labels) for task in tasks), strict=True)
    return Task(*(torch.cat(part) for part in parts))


def check_alike(tasks: Sequence[Task]) -> None:
    """All tasks must have items and labels of one shape and type."""
    if not tasks:
        raise ValueError("tasks must hold at least one task, got none")
    for number, task in enumerate(tasks):
        check_like(f"items of task {number}", task.items, tasks[0].items)
        check_like(f"labels of task {number}", task.labels, tasks[0].labels)


def check_like(name: str, values: Tensor, first: Tensor) -> None:
    """`values (n, ...)` must have the shape and type of `first`, but for their number."""
    if values.shape[1:] != first.shape[1:] or values.dtype != first.dtype:
        expected, came = (f"{one.dtype} of shape {tuple(one.shape[1:])}" for one in (first, values))
        raise ValueError(f"{name} must be {expected} each, as before, got {came}")


def check_items(name: str, items: Tensor, labels_name: str, labels: Tensor) -> None:
    """Finite items, at least one, and as many labels."""
    check_floating(name, items)
    if items.dim() < 2 or items.numel() == 0:
        raise ValueError(f"{name} must have shape (n, ...) with at least one item, got {tuple(items.shape)}")
    if not bool(items.isfinite().all()):
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    if not isinstance(labels, Tensor):
        raise TypeError(f"{labels_name} must be a torch.Tensor, got {type(labels).__name__}; torch.as_tensor converts arrays")
    if labels.dtype != torch.int64 and not labels.is_floating_point():
        raise ValueError(f"{labels_name} must be int64 classes or floating-point targets, got {labels.dtype}")
    if labels.dim() == 0 or len(labels) != len(items) or (labels.dtype == torch.int64 and labels.dim() != 1):
        raise ValueError(f"{labels_name} must be one for each of {len(items)} {name}, got shape {tuple(labels.shape)}")
    if labels.dtype == torch.int64 and int(labels.min()) < 0:
        raise ValueError(f"{labels_name} must be classes from 0 on, got {int(labels.min())}")
    if labels.is_floating_point() and not bool(labels.isfinite().all()):
        raise ValueError(f"{labels_name} must be finite, got NaN or infinity")
