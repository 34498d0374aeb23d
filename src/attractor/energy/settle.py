"""Steps of a system that follows its own velocity, `u <- u + dt u'`, until it rests; and when a motion is at rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.errors import EnergyUnboundedWarning
from attractor.validation import check_count, check_positive


def tolerance(tol: float | None, dtype: torch.dtype) -> float:
    """How far from rest a state counts as resting: `tol`, or by default 1e-6 in float64, else 1e-4.

    Raises:
        ValueError: `tol` is negative, infinite or NaN.
    """
    if tol is None:
        return 1e-6 if dtype == torch.float64 else 1e-4
    if not 0 <= tol < float("inf"):
        raise ValueError(f"tol must be a finite number, 0 or more, got {tol}")
    return float(tol)


@dataclass(frozen=True)
class Settled:
    """Where a motion ended, sample by sample.

    Attributes:
        u: the state `(b, N)`; of a sample that diverged, the last that is finite.
        residual: its largest velocity, `(b,)`.
        converged: whether that is within the tolerance, `(b,)`.
        diverged: whether the next step would have left the range of numbers, `(b,)`.
        steps: that each sample took, `(b,)`.
    """

    u: Tensor
    residual: Tensor
    converged: Tensor
    diverged: Tensor
    steps: Tensor


def settle(velocity: Callable[[Tensor], Tensor], u: Tensor, *, dt: float, tol: float | None, max_steps: int) -> Settled:
    """Follow `velocity` in steps of `dt`, each sample until it rests; gradients pass through all steps.

    Raises:
        TypeError, ValueError: `dt` or `max_steps` are not positive, or `tol` is negative.

    Warns:
        EnergyUnboundedWarning: samples diverged.
    """
    check_positive("dt", dt)
    check_count("max_steps", max_steps, 0)
    tol = tolerance(tol, u.dtype)
    motion = velocity(u)
    steps, diverged = torch.zeros_like(u[:, 0], dtype=torch.long), torch.zeros_like(u[:, 0], dtype=torch.bool)
    for _ in range(max_steps):
        moving = (~(motion.detach().abs().amax(-1) <= tol) & ~diverged).nonzero().flatten()
        if not len(moving):
            break
        moved = u[moving] + dt * motion[moving]
        then = velocity(moved)
        finite = (moved.detach().isfinite() & then.detach().isfinite()).all(-1)
        diverged[moving[~finite]] = True
        moving = moving[finite]
        u, motion = u.index_copy(0, moving, moved[finite]), motion.index_copy(0, moving, then[finite])
        steps[moving] += 1
    if lost := int(diverged.sum()):
        text = f"{lost} of {len(u)} samples diverged: the energy has no lower bound, or dt = {dt:g} is too large"
        warnings.warn(text, EnergyUnboundedWarning, stacklevel=3)
    residual = motion.abs().amax(-1)
    return Settled(u, residual, residual.detach() <= tol, diverged, steps)
