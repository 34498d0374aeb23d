"""Separations: how the scores of a cue become weights on the stored patterns.

A separation is the derivative of a function of the scores, its *potential* `Psi`: the read-out is `sum_mu w_mu xi_mu` with
`w = dPsi/ds`, and the energy of a memory follows from `-Psi`. Where `Psi` is convex, moving the state to its read-out is a step
of the concave-convex procedure and never raises that energy.

Each separation reduces a block of scores to a *body* of bounded size, and two bodies merge into one: a read is an associative
fold over blocks, whether they lie in memory, on disk or on other machines.

Sources: Krotov and Hopfield 2016 and 2021; Ramsauer et al. 2021; Millidge et al. 2022 (the word *separation*).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from attractor.products import linear
from attractor.read.best import Best


class Separation(ABC):
    """Turns scores into weights; immutable."""

    name: ClassVar[str]
    normalised: ClassVar[bool]
    """Whether the weights sum to one, which makes `Psi(s + c) = Psi(s) + c`."""
    rank: int = 2
    """How many of the best scores of a cue a read has to know exactly."""

    @property
    def convex(self) -> bool:
        """Whether the potential is convex, hence the read-out step a descent step."""
        return True

    @abstractmethod
    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Any:
        """Reduce a block: `scores (b, n)` of rows `ids (n,)`, `rows (n, e)` to read out, the block's `best`."""

    @abstractmethod
    def merge(self, left: Any, right: Any) -> Any:
        """Combine two blocks; associative and commutative up to rounding."""

    @abstractmethod
    def finish(self, body: Any) -> tuple[Tensor, Tensor]:
        """Read-out `(b, e)` and potential `(b,)`."""

    @abstractmethod
    def potential(self, scores: Tensor) -> Tensor:
        """`Psi (b,)` of all `scores (b, n)` at once."""

    def comparable(self, scores: Tensor) -> Tensor:
        """A number `(b,)` ordered as the potential is, safe from overflow."""
        return self.potential(scores)

    def skips(self, best: Best, body: Any) -> bool:
        """Whether a block whose best scores are `best` changes nothing beside what `body` already holds."""
        return False

    def reach(self, count: int, dtype: torch.dtype) -> float:
        """How far below a cue's best score a row, one of `count`, can still change a read in `dtype`."""
        return math.inf

    def settings(self) -> dict[str, Any]:
        """What rebuilds this separation, as plain data."""
        return {"name": self.name}

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.settings().items() if key != "name")
        return f"{type(self).__name__}({inside})"


class Tempered(Separation):
    """A separation with an inverse temperature.

    `beta` is a positive number, a tensor or parameter with one element, or `"auto"`: then the memory chooses it from its
    patterns and reads with `at(beta)`.
    """

    def __init__(self, beta: float | Tensor | str = "auto"):
        if isinstance(beta, Tensor):
            if beta.numel() != 1 or not beta.is_floating_point():
                raise ValueError(f"beta must be one floating-point number, got {beta.dtype} of shape {tuple(beta.shape)}")
            positive = bool((beta > 0) & beta.isfinite())
        elif isinstance(beta, str):
            positive = beta == "auto"
        else:
            positive = not isinstance(beta, bool) and isinstance(beta, (int, float)) and 0 < beta < math.inf
        if not positive:
            raise ValueError(f"beta must be a positive finite number or 'auto', got {beta!r}")
        self.beta: float | Tensor | str = beta

    def at(self, beta: float | Tensor) -> Self:
        """The same separation at another inverse temperature."""
        arguments = {**self.settings(), "beta": beta}
        del arguments["name"]
        return type(self)(**arguments)

    @property
    def resolved(self) -> float | Tensor:
        """`beta` as a number or tensor.

        Raises:
            ValueError: it still is `"auto"`.
        """
        if isinstance(self.beta, str):
            raise ValueError("beta is 'auto': a memory chooses it from its patterns; to read without one pass a number")
        return self.beta

    @property
    def number(self) -> float:
        """`resolved` as a plain number, without its gradient."""
        return float(self.resolved.detach()) if isinstance(self.resolved, Tensor) else self.resolved

    def logits(self, scores: Tensor) -> Tensor:
        """`beta s`, in float32 or better."""
        return scores.to(torch.promote_types(scores.dtype, torch.float32)) * self.resolved

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "beta": self.beta}


class Weighted(NamedTuple):
    """A weighted sum of rows: `reference (b, 1)` scales the weights, `total (b, 1)` sums them, `rows (b, e)` is the sum."""

    reference: Tensor
    total: Tensor
    rows: Tensor


class SoftMax(Tempered):
    """`w = softmax(beta s)`, `Psi = log sum exp(beta s) / beta`.

    Args:
        beta: inverse temperature, > 0, or `"auto"`. Large: the best pattern wins; small: patterns blend.

    Raises:
        ValueError: `beta` is no positive finite number.

    Example:
        >>> SoftMax(beta=2.0).potential(torch.zeros(1, 4)).exp().item()
        2.0
    """

    name = "softmax"
    normalised = True

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Weighted:
        logits = self.logits(scores)
        reference = logits.detach().amax(-1, keepdim=True)
        weights = (logits - reference).exp()
        return Weighted(reference, weights.sum(-1, keepdim=True), weighted_sum(weights, rows))

    def merge(self, left: Weighted, right: Weighted) -> Weighted:
        reference = torch.maximum(left.reference, right.reference)
        a, b = (left.reference - reference).exp(), (right.reference - reference).exp()
        return Weighted(reference, a * left.total + b * right.total, a * left.rows + b * right.rows)

    def finish(self, body: Weighted) -> tuple[Tensor, Tensor]:
        return body.rows / body.total, (body.reference + body.total.log()).squeeze(-1) / self.resolved

    def potential(self, scores: Tensor) -> Tensor:
        return self.logits(scores).logsumexp(-1) / self.resolved

    def skips(self, best: Best, body: Weighted) -> bool:
        # exp() of what lies this far below is zero in float32 and float64 alike once it is divided by a total of at least one
        lowest = -104 if body.reference.dtype == torch.float32 else -746
        return bool((self.logits(best.scores[:, :1]) - body.reference < lowest).all())

    def reach(self, count: int, dtype: torch.dtype) -> float:
        # all rows beyond weigh less than count * exp(-beta reach) = eps / 4 of the best one together
        return (math.log(4 * count) - math.log(torch.finfo(dtype).eps)) / self.number


class Exponential(SoftMax):
    """`w = exp(beta s)`, `Psi = sum exp(beta s) / beta` (Demircigil et al. 2017), for binary and spherical states.

    The read-out is given as a weighted mean: those states ignore its length. The potential is computed in float64 and
    overflows to infinity where `beta s` exceeds 709; the states do not.

    Example:
        >>> round(Exponential(beta=1.0).potential(torch.zeros(1, 4)).item(), 6)
        4.0
    """

    name = "exponential"
    normalised = False

    def __init__(self, beta: float | Tensor | str = 1.0):
        super().__init__(beta)

    def finish(self, body: Weighted) -> tuple[Tensor, Tensor]:
        read_out, logarithm = super().finish(body)
        return read_out, (logarithm.double() * self.resolved).exp() / self.resolved

    def potential(self, scores: Tensor) -> Tensor:
        return (self.comparable(scores).double() * self.resolved).exp() / self.resolved

    def comparable(self, scores: Tensor) -> Tensor:
        return SoftMax.potential(self, scores)


def weighted_sum(weights: Tensor, rows: Tensor) -> Tensor:
    """`weights (b, n) @ rows (n, e)` in the precision of the weights, with the product in that of the rows."""
    return linear(weights.to(rows.dtype), rows.T).to(weights.dtype)
