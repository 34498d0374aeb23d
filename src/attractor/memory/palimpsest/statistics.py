"""What is known of the weights once a pattern is given: their means, and how far synapses of one neuron vary together.

With `u = (x - f) / sqrt(f (1 - f))`, every local rule leaves

    W_ij = mean + A u_i + B u_j + C u_i u_j + R_i + Q_j + sqrt(v_s) E_ij + sqrt(v_p) xi_ij

(i is the neuron behind the synapse, j the one before it; E is symmetric, `cov(R_i, Q_i)` is 2 x 2, all of it Gaussian). Savin,
Dayan and Lengyel, "Correlations strike back (again)", NeurIPS 2013; the decomposition is an analysis of variance with two factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import sqrt
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from attractor.validation import check_number

ROUNDING = 1e-12


class Effects(NamedTuple):
    """`mean + post u_i + pre u_j + both u_i u_j`: a table of what two neurons do to their synapse, taken apart."""

    mean: Tensor
    post: Tensor
    pre: Tensor
    both: Tensor


def effects(table: Tensor, f: float) -> Effects:
    """Take tables `(..., 2, 2)`, by the state of the neuron behind and of the one before the synapse, apart.

    Args:
        f: the share of active neurons.

    Example:
        >>> [float(part) for part in effects(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), 0.5)]
        [0.25, 0.25, 0.25, 0.25]
    """
    chance = torch.tensor([1 - f, f], dtype=torch.float64)
    tilted = chance * standardised(torch.tensor([0.0, 1.0], dtype=torch.float64), f)
    table = table.double()
    return Effects(*((table * torch.outer(post, pre)).sum((-2, -1)) for pre in (chance, tilted) for post in (chance, tilted)))


def standardised(patterns: Tensor, f: float) -> Tensor:
    """`u`, of mean 0 and variance 1."""
    return (patterns - f) / sqrt(f * (1 - f))


def overlap_excess(patterns: Tensor, f: float) -> float:
    """Mean square overlap of `patterns (n, N)`, in that of independent neurons with a share `f` of active ones, `1 / N`.

    A single pattern counts as random.
    """
    count, size = patterns.shape
    u = standardised(patterns.double(), f)
    overlaps = (u @ u.T / size).square().fill_diagonal_(0)
    return float(overlaps.sum() * size / (count * (count - 1))) if count > 1 else 1.0


def check_inside(name: str, value: float, most: float = 1.0) -> float:
    """A number above 0 and below `most`."""
    check_number(name, value)
    if not 0 < value < most:
        raise ValueError(f"{name} must be above 0 and below {most:g}, got {value!r}")
    return float(value)


def two_by_two(name: str, table: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """A finite table `(2, 2)` in float64."""
    given = torch.as_tensor(table, dtype=torch.float64)
    if given.shape != (2, 2) or not bool(given.isfinite().all()):
        raise ValueError(f"{name} must be a finite 2 x 2 table, [neuron behind][neuron before], got {table!r}")
    return given


@dataclass(frozen=True)
class WeightStatistics:
    """Means and covariances of the weights given a pattern, of one shape: a number for each age, or for each cue.

    Attributes:
        mean: of all weights.
        post, pre, both: how far the mean of a weight follows the given pattern (A, B, C).
        shared_post: variance that synapses onto one neuron share (of R).
        shared_pre: variance that synapses from one neuron share (of Q).
        chain: covariance of the two, of a synapse onto a neuron and one from it.
        symmetric: variance that the two synapses between a pair share beyond that (v_s).
        private: variance of a synapse of its own (v_p).

    Raises:
        ValueError: the covariance is not positive definite.
    """

    mean: Tensor
    post: Tensor
    pre: Tensor
    both: Tensor
    shared_post: Tensor
    shared_pre: Tensor
    chain: Tensor
    symmetric: Tensor
    private: Tensor

    def __post_init__(self) -> None:
        slack = ROUNDING * self.total
        if not bool((self.private > 0).all()):
            raise ValueError(f"statistics must be positive definite, got a private variance of {float(self.private.min()):g}")
        if not bool(((self.shared_post >= -slack) & (self.shared_pre >= -slack) & (self.symmetric >= -slack)).all()):
            raise ValueError("statistics must be positive definite, got a negative shared variance")
        if not bool((self.chain.square() <= self.shared_post * self.shared_pre + slack * self.total).all()):
            raise ValueError("statistics must be positive definite, the covariance of chains is too large")

    @property
    def total(self) -> Tensor:
        """Variance of a weight."""
        return self.shared_post + self.shared_pre + self.symmetric + self.private

    def independent(self) -> WeightStatistics:
        """The same means and variances without any correlation: what a naive reader of the weights assumes."""
        none = torch.zeros_like(self.total)
        return WeightStatistics(self.mean, self.post, self.pre, self.both, none, none, none, none, self.total)

    def at(self, index: Tensor | tuple[Any, ...]) -> Self:
        """Some of the entries."""
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))
