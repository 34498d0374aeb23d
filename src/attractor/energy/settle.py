"""Steps of a system that follows its own velocity, `u <- u + dt u'`, until it rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.validation import check_count, check_positive


@dataclass(frozen=True)
class Settled:
    """Where a motion ended.

    Attributes:
        u: the state `(b, N)`.
        residual: its largest velocity, `(b,)`.
        converged: whether that is within the tolerance, `(b,)`.
        steps: that were taken.
    """

    u: Tensor
    residual: Tensor
    converged: Tensor
    steps: int


def settle(velocity: Callable[[Tensor], Tensor], u: Tensor, *, dt: float, tol: float | None, max_steps: int) -> Settled:
    """Follow `velocity` in steps of `dt`; gradients pass through all steps."""
    check_positive("dt", dt)
    check_count("max_steps", max_steps, 0)
    if tol is None:
        tol = 1e-6 if u.dtype == torch.float64 else 1e-4
    motion, steps = velocity(u), 0
    while steps < max_steps and bool((motion.detach().abs().amax(-1) > tol).any()):
        u = u + dt * motion
        motion, steps = velocity(u), steps + 1
    residual = motion.abs().amax(-1)
    return Settled(u, residual, residual.detach() <= tol, steps)
