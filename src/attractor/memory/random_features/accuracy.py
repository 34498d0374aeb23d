"""How far the estimated energy is from the exact one, and what each of the two costs.

The estimate of a sum of kernels is a mean over features, so that its standard error falls as `1/sqrt(Y)` and can be read off the
scatter between independent groups of features. From above it is bounded without a look at the scatter: no kernel's estimate varies
by more than `v/Y`, and the deviations of kernels of the weights `w` add up at worst, to `sum w sqrt(v / Y)`. Through the logarithm
an error of the sum `s` becomes `1 / (beta s)` of it, hence the factor `K exp(beta E) / beta` of the paper's bound, where all `K`
weights are 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from attractor.memory.random_features.landscape import Landscape

LEAST_GROUPS = 2
FEATURES_PER_GROUP = 64
# a sum of kernels below so many of its own standard errors may be noise alone
LEAST_SIGNAL = 3


@dataclass(frozen=True, eq=False)
class ErrorEstimate:
    """The accuracy of energies.

    Attributes:
        energy: `(b,)`, as estimated.
        standard_error: `(b,)` of the energy, from the scatter between groups of features. Infinite where a logarithm is taken of
            a sum of kernels that is lost in the noise: below three of its own standard errors, or clipped. For positive maps it
            is too small where `beta |x|^2` exceeds about 2: the features that matter there are too rare to be among those drawn.
        bound: `(b,)`, what the true standard error does not exceed, from the weights of the patterns and from the longest; infinite
            where the standard error is.
    """

    energy: Tensor
    standard_error: Tensor
    bound: Tensor


@dataclass(frozen=True)
class Size:
    """What a memory of random features keeps and computes, beside the exact memory of the same patterns.

    Attributes:
        numbers: kept by this memory: sums, moments, and the projections where they are stored.
        operations: multiplications and additions of the projections in one step of one state, beside one evaluation of each
            feature; drawing the projections again comes on top where they are not stored.
        exact_numbers, exact_operations: the same of a `DenseMemory`.
    """

    numbers: int
    operations: int
    exact_numbers: int
    exact_operations: int


def error_estimate(landscape: Landscape, states: Tensor, weight: Tensor, longest: float) -> ErrorEstimate:
    """The accuracy of the energy at `states (b, dim)` with kernels stored whose weights sum to `weight`, kept like the sums.

    `longest` is the largest squared length of a pattern from the center.

    Raises:
        ValueError: all features depend on each other.
    """
    geometry, features = landscape.geometry, landscape.geometry.features
    scaled = geometry.scaled(states)
    values, sizes = features.group_values(scaled, landscape.sums, FEATURES_PER_GROUP)
    if len(values) < LEAST_GROUPS:
        raise ValueError(f"features must come in at least {LEAST_GROUPS} independent groups to tell an error, got {len(values)}")
    field, log_factor = landscape.field(states), landscape.log_factor(scaled)
    scale = features.feature_map.scale / features.count
    total = values.sum(0)
    slope = scale * log_factor.exp() if landscape.form == "sum" else 1 / total.abs()
    deviation = standard_error(values, sizes)
    squares = (states.double() - geometry.center).square().sum(-1).tolist()
    largest = [features.feature_map.largest_variance(square, longest, geometry.beta) for square in squares]
    log_bound = (torch.tensor(largest, dtype=torch.float64) / features.count).log().to(total) / 2 - log(geometry.beta)
    log_bound = log_bound + (weight.log() + landscape.log_scale).to(total)
    lost = field.clipped
    if landscape.form == "log":
        log_bound = log_bound - (total.abs() * scale).log() - log_factor
        lost = lost | (total <= LEAST_SIGNAL * deviation)
    error = deviation * slope / geometry.beta
    return ErrorEstimate(field.energy, error.masked_fill(lost, torch.inf), log_bound.exp().masked_fill(lost, torch.inf))


def standard_error(values: Tensor, sizes: Tensor) -> Tensor:
    """The standard error `(b,)` of the total of `values (groups, b)`, independent sums over `sizes (groups,)` features.

    Example:
        >>> standard_error(torch.tensor([[1.0], [3.0]]), torch.tensor([10.0, 10.0]))
        tensor([2.])
    """
    # groups may differ in size: each is compared with its share of the total
    deviations = values - (sizes / sizes.sum())[:, None] * values.sum(0)
    return (len(values) / (len(values) - 1) * deviations.square().sum(0)).sqrt()
