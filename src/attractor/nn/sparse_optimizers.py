"""Momentum and Adam for networks in which most neurons are silent in a step: what has no gradient does not move.

Top-K layers and mixtures of experts give most rows of a weight a gradient of exactly zero. `torch.optim` goes on moving such a row:
with momentum `mu` by `lr g mu^t` in the t-th silent step, `lr g / (1 - mu)` in all; Adam likewise. That drives silent neurons off
the data until they never win again ("stale momentum", Bricken et al. 2023). Here a row without gradient keeps its parameter, its
moments and its number of steps bit for bit; a row with one takes the step of `torch.optim`, counted in its own steps.

`torch.optim.SparseAdam` is something else: it wants sparse tensors as gradients.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from attractor.validation import check_count, check_positive, check_share

AXIS = 0


class RowSparseOptimizer(Optimizer):
    """Steps the rows with a gradient, and leaves all others alone.

    A group of parameters may name another `axis` whose slices are the rows: 1 for a weight `(outputs, neurons)`, in which a silent
    neuron is a zero column.
    """

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step; `closure` computes the loss anew, as in `torch.optim`.

        Raises:
            ValueError: a parameter does not have its group's `axis`, or its gradient is a sparse tensor.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [(parameter, group) for group in self.param_groups for parameter in group["params"] if parameter.grad is not None]
        for parameter, group in moving:
            check_rows(parameter, group["axis"])
        for parameter, group in moving:
            values, gradient = rows_of(parameter, group["axis"]), rows_of(parameter.grad, group["axis"])
            rows = has_gradient(gradient).nonzero().flatten()
            if len(rows):
                self.move(values, gradient[rows], rows, group, self.state[parameter])
        return loss

    @abstractmethod
    def move(self, values: Tensor, gradient: Tensor, rows: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Move `rows (m,)` of `values (n, ...)`, in place, by their `gradient (m, ...)`."""


class RowSparseSGD(RowSparseOptimizer):
    """Gradient descent with momentum for rows that are silent in most steps.

    Args:
        parameters: to optimise, or groups of them.
        lr: learning rate.
        momentum: from 0, below 1.
        axis: whose slices are the rows.

    Raises:
        ValueError: a rate or momentum out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2, 3))
        >>> optimizer = RowSparseSGD([weight], lr=0.5, momentum=0.9)
        >>> for _ in range(2):
        ...     weight.grad = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
        ...     optimizer.step()
        >>> weight.detach()
        tensor([[-0.4500, -0.4500, -0.4500],
                [ 1.0000,  1.0000,  1.0000]])
    """

    def __init__(self, parameters: Iterable[Any], lr: float = 1e-3, *, momentum: float = 0.9, axis: int = AXIS):
        defaults = {
            "lr": check_positive("lr", lr),
            "momentum": check_share("momentum", momentum),
            "axis": check_count("axis", axis, 0),
        }
        super().__init__(parameters, defaults)

    def move(self, values: Tensor, gradient: Tensor, rows: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["momentum"]:
            if not state:
                state["momentum"] = torch.zeros_like(values)
            gradient = state["momentum"][rows].mul_(group["momentum"]).add_(gradient)
            state["momentum"][rows] = gradient
        values.index_add_(0, rows, gradient, alpha=-group["lr"])


class RowSparseAdam(RowSparseOptimizer):
    """Adam (Kingma and Ba 2015) for rows that are silent in most steps; each row corrects the bias by its own number of steps.

    Args:
        parameters: to optimise, or groups of them.
        lr: learning rate.
        betas: decay of the first and of the second moment, from 0, below 1.
        eps: added to the root of the second moment.
        axis: whose slices are the rows.

    Raises:
        ValueError: a rate, beta or eps out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2, 3))
        >>> optimizer = RowSparseAdam([weight], lr=0.25)
        >>> weight.grad = torch.tensor([[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
        >>> optimizer.step()
        >>> weight.tolist()
        [[0.75, 0.75, 0.75], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        axis: int = AXIS,
    ):
        first, second = (check_share("betas", beta) for beta in betas)
        defaults = {
            "lr": check_positive("lr", lr),
            "betas": (first, second),
            "eps": check_positive("eps", eps),
            "axis": check_count("axis", axis, 0),
        }
        super().__init__(parameters, defaults)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `torch.optim`, but numbers of steps keep their precision: rounded to that of a bfloat16 weight they stand still."""
        super().load_state_dict(state_dict)
        for saved, group in zip(state_dict["param_groups"], self.param_groups, strict=True):
            for number, parameter in zip(saved["params"], group["params"], strict=True):
                if number in state_dict["state"]:
                    self.state[parameter]["steps"] = state_dict["state"][number]["steps"].to(parameter.device, copy=True)

    def move(self, values: Tensor, gradient: Tensor, rows: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if not state:
            state |= {"first": torch.zeros_like(values), "second": torch.zeros_like(values)}
            state["steps"] = torch.zeros(len(values), dtype=torch.float64, device=values.device)
        decays = group["betas"]
        state["steps"][rows] += 1
        steps = state["steps"][rows].reshape(-1, *[1] * (values.dim() - 1))
        first = state["first"][rows].lerp_(gradient, 1 - decays[0])
        second = state["second"][rows].mul_(decays[1]).addcmul_(gradient, gradient, value=1 - decays[1])
        state["first"][rows], state["second"][rows] = first, second
        corrected, scale = ((1 - decay**steps).to(values.dtype) for decay in decays)
        step = first / corrected / (second / scale).sqrt_().add_(group["eps"])
        values.index_add_(0, rows, step, alpha=-group["lr"])


@dataclass
class Movement:
    """How far the rows of a parameter moved.

    Attributes:
        steps: rows times steps, those with a gradient.
        silent_steps: the same, those without.
        distance: sum of the lengths of the moves of rows with a gradient.
        silent_distance: the same of rows without: the stale momentum.
    """

    steps: int = 0
    silent_steps: int = 0
    distance: float = 0.0
    silent_distance: float = 0.0

    @property
    def silent_share(self) -> float:
        """The part of all movement that rows made while they had no gradient."""
        whole = self.distance + self.silent_distance
        return self.silent_distance / whole if whole else 0.0


class SilentMovement:
    """Measures, within, what any optimizer does to rows that have no gradient.

    The state after a step is compared with that before it; projections registered with the optimizer earlier are counted, those
    registered later are not.

    Args:
        optimizer: to watch.
        axis: whose slices are the rows, for groups that do not say.

    Attributes:
        movements: one `Movement` for each parameter, in the optimizer's order.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1, 1))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.5)
        >>> with SilentMovement(optimizer) as watched:
        ...     for gradient in (1.0, 0.0, 0.0):
        ...         weight.grad = torch.full((1, 1), gradient)
        ...         optimizer.step()
        >>> [round(one.silent_distance / one.distance, 3) for one in watched.movements]
        [0.75]
    """

    def __init__(self, optimizer: Optimizer, *, axis: int = AXIS):
        self.optimizer, self.axis = optimizer, check_count("axis", axis, 0)
        self.movements = [Movement() for _ in self._parameters()]
        self._before: list[Tensor] = []

    def __enter__(self) -> Self:
        self._hooks = [
            self.optimizer.register_step_pre_hook(lambda *_: self._remember()),
            self.optimizer.register_step_post_hook(lambda *_: self._measure()),
        ]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()

    def _parameters(self) -> Iterator[tuple[Tensor, int]]:
        for group in self.optimizer.param_groups:
            yield from ((parameter, group.get("axis", self.axis)) for parameter in group["params"])

    def _remember(self) -> None:
        self._before = [parameter.detach().clone() for parameter, _ in self._parameters()]

    @torch.no_grad()
    def _measure(self) -> None:
        for movement, before, (parameter, axis) in zip(self.movements, self._before, self._parameters(), strict=True):
            moved = rows_of(parameter - before, axis).flatten(1).double().norm(dim=1)
            if parameter.grad is None:
                active = torch.zeros_like(moved, dtype=torch.bool)
            else:
                active = has_gradient(rows_of(parameter.grad, axis))
            movement.steps += int(active.sum())
            movement.silent_steps += int((~active).sum())
            movement.distance += float(moved[active].sum())
            movement.silent_distance += float(moved[~active].sum())


def rows_of(values: Tensor, axis: int) -> Tensor:
    """A view `(n, ...)` of `values` with `axis` first, at least two axes; a scalar is one row."""
    values = values.reshape(1) if values.dim() == 0 else values.movedim(axis, 0)
    return values[:, None] if values.dim() == 1 else values


def has_gradient(rows: Tensor) -> Tensor:
    """Which of `rows (n, ...)` have an entry that is not zero, `(n,)` Boolean."""
    return (rows != 0).flatten(1).any(1)


def check_rows(parameter: Tensor, axis: int) -> None:
    if axis >= max(parameter.dim(), 1):
        raise ValueError(f"axis must be one of the parameter's, got {axis} for the shape {tuple(parameter.shape)}")
    if parameter.grad is not None and parameter.grad.is_sparse:
        raise ValueError("gradient must be a dense tensor, got a sparse one; use torch.optim.SparseAdam")
