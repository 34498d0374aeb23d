"""A batch of independent iterations, each of which leaves when it has settled; and least squares on a support, one of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Project = Callable[[Tensor], Tensor]

SETTLED = {torch.float64: 1e-8, torch.float32: 1e-4}
MOST_STEPS = 400


def settled_below(dtype: torch.dtype) -> float:
    """How small, relative to its scale, is small enough."""
    return SETTLED.get(dtype, 1e-2)


def iterate(
    state: State, advance: Callable[[State], State], settled: Callable[[State], Tensor], most: int, every: int = 1
) -> tuple[State, Tensor, Tensor]:
    """The states after at most so many steps, how many each sample took, and which have settled.

    Args:
        state: tensors `(b, ...)`; entry `i` of each belongs to sample `i`.
        advance: one step of those still on their way.
        settled: which of them have settled, `(b,)`; asked `every` few steps.
    """
    whole = tuple(part.clone() for part in state)
    rows = torch.arange(len(state[0]), device=state[0].device)
    steps, done = torch.full_like(rows, most), torch.zeros_like(rows, dtype=torch.bool)
    for step in range(1, most + 1):
        if len(rows) == 0:
            break
        state = advance(state)
        if step % every and step < most:
            continue
        rest = settled(state)
        if step == most or bool(rest.any()):
            for kept, part in zip(whole, state, strict=True):
                kept[rows] = part
            steps[rows], done[rows] = step, rest
            rows, state = rows[~rest], tuple(part[~rest] for part in state)
    return whole, steps, done


def least_squares(given: Tensor, free: Tensor, violation: Project) -> Tensor:
    """The least `v (b, n)` on the `free` entries for which `given + v` violates the constraints least, by conjugate gradients."""
    residual = -violation(given) * free
    power = residual.square().sum(1, keepdim=True)
    limit = power * (0.1 * settled_below(given.dtype)) ** 2

    def advance(state: State) -> State:
        value, residual, direction, power, limit, free = state
        image = violation(direction) * free
        # without curvature there is nothing left to gain, and a step of 0 keeps what there is
        curvature = (direction * image).sum(1, keepdim=True)
        rate = torch.where(curvature > 0, power / curvature, 0)
        value, residual = value + rate * direction, residual - rate * image
        fresh = residual.square().sum(1, keepdim=True)
        direction = residual + torch.where(power > 0, fresh / power, 0) * direction
        return value, residual, direction, fresh, limit, free

    start = (torch.zeros_like(given), residual, residual, power, limit, free)
    (value, *_), _, _ = iterate(start, advance, lambda state: (state[3] <= state[4])[:, 0], MOST_STEPS)
    return value
