"""Polynomial separations: the many-body energies of Krotov and Hopfield 2016.

`Psi = sum_mu F(s_mu)` with `F(s) = s^n / n`, hence weights `s^(n-1)`; rectified: `F(s) = max(s, 0)^n / n`. The sums are kept
relative to the largest score, so that no power overflows on the way; the potential itself is computed in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attractor.read.best import Best
from attractor.read.separation import Separation, Weighted, weighted_sum
from attractor.validation import check_count


class Polynomial(Separation):
    """`w = s^(n-1)`, `Psi = sum s^n / n`. `n = 2` is the classical Hopfield energy with its self-couplings.

    Args:
        n: the power, an integer of at least 2. An odd power is not convex: it has a descent law under single flips only.

    Raises:
        ValueError: `n` is below 2.

    Example:
        >>> Polynomial(4).potential(torch.tensor([[1.0, -2.0]])).item()
        4.25
    """

    name = "polynomial"
    normalised = False

    def __init__(self, n: int):
        self.n = check_count("n", n, 2)

    @property
    def convex(self) -> bool:
        return self.n % 2 == 0

    def positive(self, scores: Tensor) -> Tensor:
        """What is raised to the power."""
        return scores

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Weighted:
        base = self.positive(scores)
        largest = base.detach().abs().amax(-1, keepdim=True)
        # a square has a second derivative where all scores are zero: the reference must not wipe it out
        reference = torch.where(largest > 0, largest, 1 if self.n == 2 else torch.finfo(base.dtype).tiny)
        base = base / reference
        weights = base ** (self.n - 1)
        return Weighted(reference, (weights * base).sum(-1, keepdim=True), weighted_sum(weights, rows))

    def merge(self, left: Weighted, right: Weighted) -> Weighted:
        reference = torch.maximum(left.reference, right.reference)
        a, b = left.reference / reference, right.reference / reference
        power = self.n - 1
        rows = a**power * left.rows + b**power * right.rows
        return Weighted(reference, a**self.n * left.total + b**self.n * right.total, rows)

    def finish(self, body: Weighted) -> tuple[Tensor, Tensor]:
        reference = body.reference.double()
        potential = reference**self.n * body.total / self.n
        return reference ** (self.n - 1) * body.rows, potential.squeeze(-1)

    def potential(self, scores: Tensor) -> Tensor:
        return (self.positive(scores).double() ** self.n).sum(-1) / self.n

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "n": self.n}


class RectifiedPolynomial(Polynomial):
    """`w = max(s, 0)^(n-1)`, `Psi = sum max(s, 0)^n / n`: convex for every `n`, and deaf to anti-patterns.

    Example:
        >>> RectifiedPolynomial(3).potential(torch.tensor([[3.0, -2.0]])).item()
        9.0
    """

    name = "rectified-polynomial"

    @property
    def convex(self) -> bool:
        return True

    def positive(self, scores: Tensor) -> Tensor:
        return scores.clamp_min(0)


class Identity(Polynomial):
    """`w = s`, `Psi = sum s^2 / 2`: the linear associator, whose weight matrix would be `xi^T xi`.

    Example:
        >>> Identity().potential(torch.tensor([[2.0]])).item()
        2.0
    """

    name = "identity"

    def __init__(self) -> None:
        super().__init__(2)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name}
