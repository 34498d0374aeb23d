"""What the weights say of a pattern: the Gaussian likelihood of all synapses together, in closed form.

`log p(W | x) = -1/2 y^T K^-1 y - 1/2 log det K` with `y = W - E[W | x]` and the covariance `K` of `WeightStatistics`. `K` has
N(N-1) rows, but splits: `S = (y + y^T) / sqrt2` and `D = (y - y^T) / sqrt2` are independent but for the neurons' own latents
`P = R + Q` and `M = R - Q`, whose posterior has one 2 x 2 precision for the mean over neurons and another for all else. So

    (K^-1 y)_ij = a y_ij + b y_ji - rho_i - gamma_j,   a, b = (1/v_S +- 1/v_D) / 2,   v_S = 2 v_s + v_p,   v_D = v_p

with `rho, gamma = (P/v_S +- M/v_D) / 2`, and the sums over synapses need no more of the weights than `(W + W^T) u` and their sums
by row and by column. All N single flips of a batch of patterns cost one product of matrices.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, Self

import torch
from torch import Tensor

from attractor.memory.palimpsest.statistics import WeightStatistics, standardised


class Sums(NamedTuple):
    """Sums over neurons `(..., b, 1)`: of u, u^2, u^3, and of u times the rows' and the columns' sums."""

    one: Tensor
    two: Tensor
    three: Tensor
    rows: Tensor
    columns: Tensor


class Fields(NamedTuple):
    """The log odds of a neuron as `zero + one u + two u^2 + three u^3 + drive ((W + W^T) u)_i`, and its sums of weights, in all
    (row and column) and in excess (row less column), times `.._zero + .._one u`."""

    zero: Tensor
    one: Tensor
    two: Tensor
    three: Tensor
    drive: Tensor
    total_zero: Tensor
    total_one: Tensor
    excess_zero: Tensor
    excess_one: Tensor


class Modes(NamedTuple):
    """A symmetric 2 x 2 matrix for P and M: of the mean over neurons, or of the differences from it."""

    pp: Tensor
    pm: Tensor
    mm: Tensor


class Decoder:
    """The likelihood of patterns given weights.

    Args:
        weights: `(..., N, N)`, `[neuron behind][neuron before]`, at least 2 neurons; the diagonal is not read.
        statistics: of them; each number broadcasts against `(..., b, 1)`.
        f: the share of active neurons.

    Raises:
        ValueError: `weights` of another shape, or not finite.

    Example:
        >>> from attractor.memory.palimpsest import Additive
        >>> rule, pattern = Additive("hebb", noise=0.1), torch.tensor([[1.0, 0, 1, 0, 1, 1]]).double()
        >>> weights = rule.weights(rule.write(rule.initial((6, 6), 0.5, 0), pattern, 0.5, [0]), 0)
        >>> decoder = Decoder(weights, rule.statistics(0.5, 1, torch.tensor([0])), 0.5)
        >>> (decoder.log_odds(pattern) > 0).long().tolist()
        [[1, 0, 1, 0, 1, 1]]
    """

    def __init__(self, weights: Tensor, statistics: WeightStatistics, f: float):
        if weights.ndim < 2 or weights.shape[-1] != weights.shape[-2] or weights.shape[-1] < 2:
            raise ValueError(f"weights must have shape (..., N, N) with N from 2, got {tuple(weights.shape)}")
        if not bool(weights.isfinite().all()):
            raise ValueError("weights must be finite, got NaN or infinity")
        weights = weights.double() - torch.diag_embed(weights.double().diagonal(dim1=-2, dim2=-1))
        self.f, self.size = f, weights.shape[-1]
        self.symmetric = weights + weights.mT
        self.rows, self.columns = weights.sum(-1)[..., None, :], weights.sum(-2)[..., None, :]
        self.total, self.excess = self.rows + self.columns, self.rows - self.columns
        self.squares = weights.square().sum((-2, -1))[..., None, None]
        self.products = (weights * weights.mT).sum((-2, -1))[..., None, None]
        self._read(statistics)

    def with_statistics(self, statistics: WeightStatistics) -> Self:
        """The same weights, read by other statistics."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._read(statistics)
        return other

    def of_cue(self, row: int) -> Self:
        """The decoder of one cue, where the statistics are of several."""
        shape = self.statistics.mean.shape
        if len(shape) < 2 or shape[-2] == 1:
            return self
        return self.with_statistics(self.statistics.at((..., slice(row, row + 1), slice(None))))

    def _read(self, statistics: WeightStatistics) -> None:
        self.statistics, size = statistics, self.size
        self.v_symmetric = 2 * statistics.symmetric + statistics.private
        self.v_antisymmetric = statistics.private
        onto, out_of, chain = statistics.shared_post, statistics.shared_pre, statistics.chain
        prior = Modes(onto + out_of + 2 * chain, onto - out_of, onto + out_of - 2 * chain)
        none = torch.zeros_like(onto)
        self.apart, log_apart = posterior(prior, (size - 2) / (2 * self.v_symmetric), size / (2 * self.v_antisymmetric))
        self.common, log_common = posterior(prior, (size - 1) / self.v_symmetric, none)
        pairs = size * (size - 1) / 2
        self.log_determinant = pairs * (self.v_symmetric.log() + self.v_antisymmetric.log()) + (size - 1) * log_apart + log_common

    def sums(self, u: Tensor) -> Sums:
        """The sums of standardised patterns `(..., b, N)`."""
        weighed = (1, u, u.square(), self.rows, self.columns)
        return Sums(*((u * by).sum(-1, keepdim=True) for by in weighed))

    def log_odds(self, patterns: Tensor) -> Tensor:
        """By how much each neuron of `patterns (..., b, N)` is rather active than silent, by the weights and all the others.

        What lies between 0 and 1 counts as a probability, and the others as independent.
        """
        u = standardised(patterns, self.f)
        return self.odds(patterns, u @ self.symmetric, self.sums(u), slice(None))

    def odds(self, patterns: Tensor, drive: Tensor, sums: Sums, some: slice) -> Tensor:
        """`log_odds` of `some` neurons: their `patterns` and their `drive`, (W + W^T) u, from the sums over all.

        All that differs between the neurons are `u`, in a cubic, `drive`, and what their rows and columns sum to.
        """
        u = standardised(patterns, self.f)
        fields = self._fields(sums, self._curvature(sums))
        odds = torch.addcmul(fields.zero, fields.one + u * (fields.two + u * fields.three), u)
        odds = torch.addcmul(odds, fields.drive, drive)
        odds = torch.addcmul(odds, self.total[..., some], fields.total_zero + fields.total_one * u)
        return torch.addcmul(odds, self.excess[..., some], fields.excess_zero + fields.excess_one * u)

    def _fields(self, sums: Sums, bend: tuple[Tensor, Tensor, Tensor]) -> Fields:
        """`d K^-1 y + (x - 1/2) d K^-1 d`, where `d / step` is the change of the mean weights with the neuron's `u`."""
        mean, both, apart, common = self.statistics.mean, self.statistics.both, self.apart, self.common
        plus, minus = self.statistics.post + self.statistics.pre, self.statistics.post - self.statistics.pre
        size, step, tilt = self.size, 1 / sqrt(self.f * (1 - self.f)), (self.f - 0.5) / (self.f * (1 - self.f))
        # evidence for P and M: h_p = of_p (total + ...), h_m = of_m (excess + ...)
        of_p, of_m, h_mean = 1 / (2 * self.v_symmetric), 1 / (2 * self.v_antisymmetric), self._mean_evidence(sums)
        gain = 2 * both * of_p
        p_zero = -of_p * (2 * (size - 1) * mean + plus * sums.one)
        p_one = -of_p * ((size - 2) * plus + 2 * both * sums.one)
        m_zero, m_one = of_m * minus * sums.one, -of_m * minus * size
        more_p, more_m = (common.pp - apart.pp) * h_mean, (common.pm - apart.pm) * h_mean
        inhibition_p, inhibition_m = (size - 2) * plus * of_p, size * minus * of_m
        by_p = plus - inhibition_p * apart.pp - inhibition_m * apart.pm - gain * apart.pp * sums.one
        by_m = minus - inhibition_p * apart.pm - inhibition_m * apart.mm - gain * apart.pm * sums.one
        by_p_one, by_m_one = 2 * gain * apart.pp, 2 * gain * apart.pm
        everywhere = size * h_mean * (plus * common.pp * of_p - minus * common.pm * of_m)
        everywhere = everywhere + inhibition_p * more_p + inhibition_m * more_m
        expected = 2 * mean * sums.one + plus * sums.two + self._weighed_p(sums, h_mean) + more_p * sums.one
        slope = (
            by_p * p_zero + by_m * m_zero - everywhere - gain * expected,
            by_p * p_one + by_p_one * p_zero + by_m * m_one + by_m_one * m_zero
            + gain * (2 * more_p + 2 * mean - plus * sums.one - 2 * both * sums.two),
            by_p * gain + by_p_one * p_one + by_m_one * m_one + 2 * gain * plus,
            by_p_one * gain + 2 * gain * both,
        )  # fmt: skip
        return Fields(
            step * slope[0] + tilt * bend[0],
            step * (slope[1] + bend[0]) + tilt * bend[1],
            step * (slope[2] + bend[1]) + tilt * bend[2],
            step * (slope[3] + bend[2]),
            step * gain,
            step * of_p * by_p,
            step * of_p * by_p_one,
            step * of_m * by_m,
            step * of_m * by_m_one,
        )

    def _curvature(self, sums: Sums) -> tuple[Tensor, Tensor, Tensor]:
        """`d K^-1 d / step^2` of each neuron, quadratic in its `u`."""
        both, apart, common, size = self.statistics.both, self.apart, self.common, self.size
        plus, minus = self.statistics.post + self.statistics.pre, self.statistics.post - self.statistics.pre
        of_p, of_m, count = 1 / (2 * self.v_symmetric), 1 / (2 * self.v_antisymmetric), size - 1
        # the evidence that d makes for P at the neuron itself is flip - gain u
        flip, gain = of_p * (count * plus + 2 * both * sums.one), 2 * both * of_p
        square, linear = -apart.pp - 4 / size * (common.pp - apart.pp), -2 * apart.pm * minus * (count - 1) * of_m
        own = 2 * gain * (1 - of_p * apart.pp)
        alone = count * plus.square() * of_p * (1 - apart.pp * of_p)
        alone = alone + count * minus.square() * of_m * (1 - apart.mm * of_m * size)
        return (
            alone + flip * (square * flip + linear) + own * (plus * sums.one + both * sums.two),
            -gain * (2 * square * flip + linear) - own * plus,
            square * gain.square() - own * both,
        )

    def expected_log_likelihood(self, probabilities: Tensor) -> Tensor:
        """The mean of `log_likelihood` over independent neurons, active with `probabilities (..., b, N)`: `(..., b)`.

        To second order in each neuron: exact where all but one are certain.
        """
        u = standardised(probabilities, self.f)
        zero, one, two = self._curvature(self.sums(u))
        variance = probabilities * (1 - probabilities) / (self.f * (1 - self.f))
        return self.log_likelihood(probabilities) - 0.5 * (variance * (zero + u * (one + u * two))).sum(-1)

    def log_likelihood(self, patterns: Tensor) -> Tensor:
        """`log p(W | x)` of `patterns (..., b, N)`, up to `-N (N - 1) / 2 log 2 pi`: `(..., b)`."""
        mean, post, pre, both = self.statistics.mean, self.statistics.post, self.statistics.pre, self.statistics.both
        v_s, v_d, size = self.v_symmetric, self.v_antisymmetric, self.size
        u = standardised(patterns, self.f)
        sums = self.sums(u)
        one, two = sums.one, sums.two
        paired = ((u @ self.symmetric) * u).sum(-1, keepdim=True) / 2
        total = self.rows.sum(-1, keepdim=True)
        fixed = mean * total + both * paired
        diagonal = (mean + (post + pre) * u + both * u.square()).square().sum(-1, keepdim=True)
        expected = [
            size**2 * mean.square()
            + size * two * square
            + 2 * size * mean * (post + pre) * one
            + 2 * mean * both * one.square()
            + product * one.square()
            + 2 * (post + pre) * both * one * two
            + both.square() * two.square()
            - diagonal
            for square, product in (
                (post.square() + pre.square(), 2 * post * pre),
                (2 * post * pre, post.square() + pre.square()),
            )
        ]
        squares = self.squares - 2 * (fixed + post * sums.rows + pre * sums.columns) + expected[0]
        products = self.products - 2 * (fixed + post * sums.columns + pre * sums.rows) + expected[1]
        others = one - u
        row = self.rows - (size - 1) * (mean + post * u) - (pre + both * u) * others
        column = self.columns - (size - 1) * (mean + pre * u) - (post + both * u) * others
        h_p, h_m, h_mean = (row + column) / (2 * v_s), (row - column) / (2 * v_d), self._mean_evidence(sums)
        h_p = h_p - h_mean
        latent = self.apart.pp * h_p.square() + 2 * self.apart.pm * h_p * h_m + self.apart.mm * h_m.square()
        explained = latent.sum(-1, keepdim=True) + size * self.common.pp * h_mean.square()
        quadratic = ((squares + products) / v_s + (squares - products) / v_d) / 2 - explained
        return -0.5 * (quadratic + self.log_determinant).squeeze(-1)

    def _mean_evidence(self, sums: Sums) -> Tensor:
        """The mean over neurons of the evidence for P; that for M is 0."""
        statistics, size = self.statistics, self.size
        left = self.rows.sum(-1, keepdim=True) - size * (size - 1) * statistics.mean
        left = left - (size - 1) * (statistics.post + statistics.pre) * sums.one
        return (left - statistics.both * (sums.one.square() - sums.two)) / (size * self.v_symmetric)

    def _weighed_p(self, sums: Sums, h_mean: Tensor) -> Tensor:
        """`sum_j P_j u_j`."""
        statistics, count = self.statistics, self.size - 1
        plus, minus = statistics.post + statistics.pre, statistics.post - statistics.pre
        pairs = sums.one.square() - sums.two
        triples = sums.one * sums.two - sums.three
        both = sums.rows + sums.columns - 2 * count * statistics.mean * sums.one - plus * (count * sums.two + pairs)
        both = both - 2 * statistics.both * triples
        apart = sums.rows - sums.columns - minus * (count * sums.two - pairs)
        first = self.apart.pp * (both / (2 * self.v_symmetric) - h_mean * sums.one)
        return first + self.apart.pm * apart / (2 * self.v_antisymmetric) + self.common.pp * h_mean * sums.one


def posterior(prior: Modes, precision_p: Tensor, precision_m: Tensor) -> tuple[Modes, Tensor]:
    """`Prior (I + Lambda Prior)^-1` for a diagonal Lambda, and `log det(I + Lambda Prior)`; a singular prior is no trouble."""
    area = prior.pp * prior.mm - prior.pm.square()
    determinant = 1 + precision_p * prior.pp + precision_m * prior.mm + precision_p * precision_m * area
    left = Modes(prior.pp + precision_m * area, prior.pm, prior.mm + precision_p * area)
    return Modes(*(part / determinant for part in left)), determinant.log()
