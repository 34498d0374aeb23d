"""Decoders: the sparse error `e` that explains how a cue `y = x + e` violates the constraints, `Q e = Q (y - mean)`.

With orthonormal rows `Q` everything can be said with `P = Q^T Q`: the residual is `P (e - y)`, the adjoint syndrome `P y`. A
decoder takes a batch of cues, their mean subtracted, and a `Subspace`; samples that have settled leave the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attractor.memory.sparse_recovery.iteration import State, iterate, settled_below
from attractor.memory.sparse_recovery.learning import Subspace
from attractor.validation import check_count, check_positive

LOOK_EVERY = 10
THRESHOLD, OVER_RELAXATION = 0.1, 1.6


@dataclass(frozen=True)
class Decoded:
    """Errors `(b, n)`, the steps `(b,)` that they took, and which settled `(b,)`."""

    errors: Tensor
    steps: Tensor
    settled: Tensor


class Decoder(ABC):
    """Finds sparse errors. `exact` decoders look for errors that explain the whole violation of the constraints."""

    name: ClassVar[str]
    exact: ClassVar[bool] = True

    @abstractmethod
    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        """The errors of `cues (b, n)`, whose mean is subtracted."""

    def settings(self) -> dict[str, Any]:
        """What rebuilds it, as JSON values with its name."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class BasisPursuit(Decoder):
    """`min |e|_1` subject to `Q e = Q y`, by Douglas-Rachford splitting; at most `steps` steps.

    Errors that can be corrected settle in some hundred steps; the least sum of others takes longer.
    """

    steps: int = 2000
    name: ClassVar[str] = "basis_pursuit"

    def __post_init__(self) -> None:
        check_count("steps", self.steps)

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        target = subspace.violation(cues)
        scale = largest(target)

        def advance(state: State) -> State:
            sparse, dual, _, target, scale = state
            point = sparse - dual
            feasible = point - subspace.violation(point) + target
            relaxed = OVER_RELAXATION * feasible - (OVER_RELAXATION - 1) * sparse
            sparse = shrink(relaxed + dual, THRESHOLD * scale)
            return sparse, dual + relaxed - sparse, feasible, target, scale

        def settled(state: State) -> Tensor:
            sparse, _, feasible, _, scale = state
            return small(feasible - sparse, scale)

        start = (target, torch.zeros_like(target), target, target, scale)
        (sparse, *_), steps, done = iterate(start, advance, settled, self.steps, LOOK_EVERY)
        return Decoded(sparse, steps, done)


@dataclass(frozen=True)
class Bregman(Decoder):
    """Bregman iteration: what a penalised problem left unexplained is added to the syndrome, and the problem solved again.

    `e <- argmin mu |e|_1 + |Q e - b|^2 / 2`, then `b <- b + (Q y - Q e)`. Each of the `inner` steps (FISTA) of the `steps` problems
    sends one message up and one down the bipartite network of constraints and coordinates.

    Args:
        penalty: `mu` as a share of `max |Q^T Q y|`; a large one needs very many steps.
    """

    steps: int = 10
    inner: int = 300
    penalty: float = 0.01
    name: ClassVar[str] = "bregman"

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("inner", self.inner)
        check_positive("penalty", self.penalty)

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        target = subspace.violation(cues)

        def advance(state: State) -> State:
            errors, explained, _, target, scale = state
            asked = explained + target - subspace.violation(errors)
            errors = penalised(asked, errors, self.penalty * scale, subspace, self.inner)
            return errors, asked, target - subspace.violation(errors), target, scale

        start = (torch.zeros_like(target), torch.zeros_like(target), target, target, largest(target))
        (errors, *_), steps, done = iterate(start, advance, lambda state: small(state[2], state[4]), self.steps)
        return Decoded(errors, steps, done)


@dataclass(frozen=True)
class LinearisedBregman(Decoder):
    """`v += Q^T (s - Q e)`, `e = shrink(v, mu)`. Its limit has the least `mu |e|_1 + |e|^2 / 2`: the sparse one if `mu` is large.

    Args:
        penalty: `mu` in units of `max |Q^T Q y|`. A small one meets the constraints with another error, and no residual shows it.
    """

    steps: int = 5000
    penalty: float = 5.0
    name: ClassVar[str] = "linearised_bregman"

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("penalty", self.penalty)

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        target = subspace.violation(cues)

        def advance(state: State) -> State:
            errors, summed, residual, target, scale = state
            summed = summed + residual
            errors = shrink(summed, self.penalty * scale)
            return errors, summed, target - subspace.violation(errors), target, scale

        start = (torch.zeros_like(target), torch.zeros_like(target), target, target, largest(target))
        (errors, *_), steps, done = iterate(start, advance, lambda state: small(state[2], state[4]), self.steps, LOOK_EVERY)
        return Decoded(errors, steps, done)


@dataclass(frozen=True)
class HardThresholding(Decoder):
    """Normalised iterative hard thresholding: gradient steps, after each of which the `errors` largest entries stay.

    Args:
        errors: how many coordinates are wrong at most; not above the number of constraints.
    """

    errors: int
    steps: int = 500
    name: ClassVar[str] = "hard_thresholding"

    def __post_init__(self) -> None:
        check_count("errors", self.errors)
        check_count("steps", self.steps)

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        if self.errors > len(subspace.dual):
            raise ValueError(f"errors must be at most the number of constraints, {len(subspace.dual)}, got {self.errors}")
        target = subspace.violation(cues)

        def advance(state: State) -> State:
            errors, gradient, target, scale = state
            active = (errors != 0) | ((errors == 0).all(1, keepdim=True) & top(gradient, self.errors))
            ascent = gradient * active
            power, curvature = ascent.square().sum(1, keepdim=True), subspace.violation(ascent).square().sum(1, keepdim=True)
            moved = errors + torch.where(curvature > 0, power / curvature, 0) * gradient
            errors = moved * top(moved, self.errors)
            return errors, target - subspace.violation(errors), target, scale

        start = (torch.zeros_like(target), target, target, largest(target))
        (errors, *_), steps, done = iterate(start, advance, lambda state: small(state[1], state[3]), self.steps, LOOK_EVERY)
        return Decoded(errors, steps, done)


@dataclass(frozen=True)
class Denoising(Decoder):
    """Basis-pursuit denoising, for data that obey their constraints nearly: `min lambda |e|_1 + |Q (y - e)|^2 / 2`, by FISTA.

    Args:
        penalty: `lambda`, in units of the data; about as large as what an entry of an undamaged pattern violates.
    """

    penalty: float
    steps: int = 500
    name: ClassVar[str] = "denoising"
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("penalty", self.penalty)
        check_count("steps", self.steps)

    def decode(self, cues: Tensor, subspace: Subspace) -> Decoded:
        target = subspace.violation(cues)
        penalty = torch.full_like(target[:, :1], self.penalty)
        errors = penalised(target, torch.zeros_like(target), penalty, subspace, self.steps)
        # the conditions of the minimum, to the accuracy that the steps reach
        gradient = target - subspace.violation(errors)
        slack = torch.where(errors == 0, (gradient.abs() - penalty).clamp_min(0), gradient - penalty * errors.sign())
        steps = torch.full_like(target[:, 0], self.steps, dtype=torch.int64)
        return Decoded(errors, steps, slack.abs().amax(1) <= 1e-2 * self.penalty)


def penalised(asked: Tensor, errors: Tensor, penalty: Tensor, subspace: Subspace, steps: int) -> Tensor:
    """`argmin penalty |e|_1 + |P e - asked|^2 / 2` by so many steps of FISTA from `errors`."""
    ahead, momentum = errors, 1.0
    for _ in range(steps):
        before = errors
        errors = shrink(ahead + asked - subspace.violation(ahead), penalty)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead, momentum = errors + (momentum - 1) / following * (errors - before), following
    return errors


def shrink(values: Tensor, threshold: Tensor) -> Tensor:
    """Soft thresholding."""
    return values - values.clamp(-threshold, threshold)


def largest(values: Tensor) -> Tensor:
    return values.abs().amax(1, keepdim=True)


def small(values: Tensor, scale: Tensor) -> Tensor:
    """Which rows are small beside their `scale (b, 1)`."""
    return (largest(values) <= settled_below(values.dtype) * scale)[:, 0]


def top(values: Tensor, count: int) -> Tensor:
    """Where the `count` largest absolute values of each row are."""
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, values.abs().topk(count, 1).indices, True)
