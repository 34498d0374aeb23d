"""Separations that give exact zeros: sparsemax, alpha-entmax and the soft-max over the `k` best.

A block leaves *candidates*: the rows that can still get weight for some cue. What lies too far below the best score so far can
be dropped for good, so the candidates stay few where the separation is sparse.

With `z = beta s`, alpha-entmax is `w = argmax_p p.z + H_alpha(p)` over the simplex, `H_alpha` the Tsallis entropy
`(1 - sum p^alpha) / (alpha (alpha - 1))`; hence `w = max((alpha - 1) z - tau, 0)^(1 / (alpha - 1))`. A pattern is an exact fixed
point once its score leads by `1 / ((alpha - 1) beta)`.

Sources: Martins and Astudillo 2016 (sparsemax); Peters et al. 2019 (entmax); Hu et al. 2023 (sparse modern Hopfield).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attractor.read.best import Best
from attractor.read.separation import Tempered, weighted_sum
from attractor.validation import check_count

BISECTIONS, NEWTON_STEPS = 60, 60
PRECISION = 1e-15


class Candidates(NamedTuple):
    """Rows that can still get weight: `scores (b, c)`, `ids (c,)`, `rows (c, e)`."""

    scores: Tensor
    ids: Tensor
    rows: Tensor

    def keep(self, wanted: Tensor) -> Candidates:
        """Only the rows that some cue wants, `wanted (b, c)`."""
        some = wanted.any(0)
        return self if bool(some.all()) else Candidates(self.scores[:, some], self.ids[some], self.rows[some])


class Sparse(Tempered):
    """A separation with weights on few rows."""

    normalised = True

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Candidates:
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return Candidates(scores, ids, rows).keep(scores >= self.threshold(scores))

    def merge(self, left: Candidates, right: Candidates) -> Candidates:
        both = Candidates(*(torch.cat(pair, axis) for pair, axis in zip(zip(left, right, strict=True), (1, 0, 0), strict=True)))
        return both.keep(both.scores >= self.threshold(both.scores))

    def finish(self, body: Candidates) -> tuple[Tensor, Tensor]:
        weights = self.weights(body.scores, body.ids)
        return weighted_sum(weights, body.rows), self.value(body.scores, weights)

    def potential(self, scores: Tensor) -> Tensor:
        return self.value(scores, self.weights(scores, torch.arange(scores.shape[-1], device=scores.device)))

    def skips(self, best: Best, body: Candidates) -> bool:
        return bool((best.scores[:, :1] < self.threshold(body.scores)).all())

    @abstractmethod
    def threshold(self, scores: Tensor) -> Tensor:
        """The score `(b, 1)` below which a row gets no weight beside `scores (b, c)`."""

    @abstractmethod
    def weights(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Weights `(b, c)` of the candidates."""

    @abstractmethod
    def value(self, scores: Tensor, weights: Tensor) -> Tensor:
        """The potential `(b,)`."""


class Entmax(Sparse):
    """Weights `alpha-entmax(beta s)`; `alpha -> 1` is the soft-max, `alpha = 2` is sparsemax.

    Args:
        alpha: > 1. The larger, the sparser.
        beta: inverse temperature, > 0, or `"auto"`.

    Raises:
        ValueError: `alpha` is not above 1, or `beta` is no positive finite number.

    Example:
        >>> Entmax(alpha=1.5, beta=1.0).weights(torch.tensor([[3.0, 0.0]]), torch.arange(2)).tolist()
        [[1.0, 0.0]]
    """

    name = "entmax"

    def __init__(self, alpha: float = 1.5, beta: float | Tensor | str = "auto"):
        if not 1 < alpha < math.inf:
            raise ValueError(f"alpha must be a finite number above 1, got {alpha!r}")
        super().__init__(beta)
        self.alpha = float(alpha)

    def threshold(self, scores: Tensor) -> Tensor:
        return scores.detach().amax(-1, keepdim=True) - self.reach(scores.shape[-1], scores.dtype)

    def reach(self, count: int, dtype: torch.dtype) -> float:
        return 1 / ((self.alpha - 1) * self.number)

    def weights(self, scores: Tensor, ids: Tensor) -> Tensor:
        return entmax((self.alpha - 1) * self.logits(scores), 1 / (self.alpha - 1))

    def value(self, scores: Tensor, weights: Tensor) -> Tensor:
        # (1 - sum w^alpha) / (alpha - 1), of which near 1 nothing but rounding would be left
        shares = weights * (weights.where(weights > 0, 1).log() * (self.alpha - 1)).expm1()
        entropy = -shares.sum(-1) / (self.alpha * (self.alpha - 1))
        # a row that is ruled out scores -inf, which its weight of zero would turn into NaN
        mean = (weights * scores.masked_fill(weights == 0, 0)).sum(-1)
        return (mean + entropy / self.resolved).masked_fill((scores == -math.inf).all(-1), -math.inf)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "alpha": self.alpha, "beta": self.beta}


class Sparsemax(Entmax):
    """Weights `sparsemax(beta s)`, the Euclidean projection of `beta s` on the simplex: `Entmax(alpha=2)`.

    Example:
        >>> Sparsemax(beta=1.0).weights(torch.tensor([[0.5, 0.0, -3.0]]), torch.arange(3)).tolist()
        [[0.75, 0.25, 0.0]]
    """

    name = "sparsemax"

    def __init__(self, beta: float | Tensor | str = "auto"):
        super().__init__(2.0, beta)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "beta": self.beta}


class TopK(Sparse):
    """The soft-max over the `k` best scores; a tie goes to the lower id.

    Args:
        k: how many rows get weight, >= 1.
        beta: inverse temperature, > 0, or `"auto"`.

    Raises:
        ValueError: `k` is below 1, or `beta` is no positive finite number.

    Example:
        >>> TopK(1, beta=1.0).weights(torch.tensor([[2.0, 2.0, 0.0]]), torch.arange(3)).tolist()
        [[1.0, 0.0, 0.0]]
    """

    name = "top-k"

    def __init__(self, k: int = 32, beta: float | Tensor | str = "auto"):
        super().__init__(beta)
        self.k = check_count("k", k)
        self.rank = max(2, self.k)

    def threshold(self, scores: Tensor) -> Tensor:
        if scores.shape[-1] <= self.k:
            return scores.new_full((len(scores), 1), -math.inf)
        return scores.detach().topk(self.k, -1, sorted=False).values.amin(-1, keepdim=True)

    def reach(self, count: int, dtype: torch.dtype) -> float:
        return 0.0

    def weights(self, scores: Tensor, ids: Tensor) -> Tensor:
        return self.logits(scores).masked_fill(~self.chosen(scores, ids), -math.inf).softmax(-1)

    def chosen(self, scores: Tensor, ids: Tensor) -> Tensor:
        """Which rows `(b, c)` are among the `k` best; of rows that tie for the last places those of lower id."""
        order = ids.argsort()
        ranked = scores.detach()[:, order]
        threshold = self.threshold(ranked)
        above, level = ranked > threshold, ranked == threshold
        places = self.k - above.sum(-1, keepdim=True)
        picked = above | (level & (level.cumsum(-1) <= places))
        return torch.empty_like(picked).index_copy_(1, order, picked)

    def value(self, scores: Tensor, weights: Tensor) -> Tensor:
        return self.logits(scores).masked_fill(weights == 0, -math.inf).logsumexp(-1) / self.resolved

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k, "beta": self.beta}


def entmax(scaled: Tensor, power: float) -> Tensor:
    """`max(scaled - tau, 0)^power` with `tau` such that each row sums to one; exact gradients to first order.

    The step of Newton at the end both polishes `tau` and carries the gradient. All is done in float64: for powers far from 1, a
    `tau` of fewer digits leaves sums far from one. A row that is -inf throughout gets zeros.
    """
    top = scaled.detach().amax(-1, keepdim=True)
    shifted = (scaled - top.masked_fill(top == -math.inf, 0)).double()
    fixed = shifted.detach()
    gap = gap_of_steep(fixed, power) if power >= 1 else gap_of_flat(fixed, power)
    slope = power * rectified_power(fixed + gap, power - 1).sum(-1, keepdim=True)
    gap = gap - (rectified_power(shifted + gap, power).sum(-1, keepdim=True) - 1) / slope.where(slope > 0, 1)
    weights = rectified_power(shifted + gap, power)
    total = weights.detach().sum(-1, keepdim=True)
    return (weights / total.where(total > 0, 1)).to(scaled.dtype)


def gap_of_steep(shifted: Tensor, power: float) -> Tensor:
    """`max - tau` for powers of at least 1: the power's norm of `max(x - tau, 0)` is convex, so that Newton falls to its place."""
    gap = torch.ones_like(shifted[..., :1])
    for _ in range(NEWTON_STEPS):
        lower = rectified_power(shifted + gap, power - 1)
        total = (lower * (shifted + gap).clamp_min_(0)).sum(-1, keepdim=True)
        # the sum is zero in a row of -inf throughout
        step = ((total - total ** (1 - 1 / power)) / lower.sum(-1, keepdim=True)).masked_fill_(total == 0, 0)
        gap = gap - step
        if bool((step.abs() <= PRECISION).all()):
            break
    return gap


def gap_of_flat(shifted: Tensor, power: float) -> Tensor:
    """`max - tau` for powers below 1, which may be tiny: `n^(-1/power)` for `n` equal scores; by bisection of its logarithm."""
    high = torch.zeros_like(shifted[..., :1])
    low = high - math.log(shifted.shape[-1]) / power
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        light = rectified_power(shifted + middle.exp(), power).sum(-1, keepdim=True) < 1
        low, high = torch.where(light, middle, low), torch.where(light, high, middle)
    return high.exp()


def rectified_power(base: Tensor, power: float) -> Tensor:
    """`max(base, 0)^power`, zero with a zero gradient where `base` is not positive."""
    positive = base > 0
    return torch.where(positive, torch.where(positive, base, 1) ** power, 0)
