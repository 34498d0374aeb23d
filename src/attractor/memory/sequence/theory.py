"""How long a sequence of random patterns can be: the Gaussian theory of Chaudhry et al. 2023 (section 3 and appendices).

A transition is right when the crosstalk of the other patterns, taken as Gaussian, flips no unit. `P_T` patterns let one transition
be right, `P_S` all transitions of the sequence, both with a probability that tends to 1 for large N:

- `f(x) = x^d`: `P_T = N^d / (2 (2d-1)!! ln N)` and `P_S = P_T / (d + 1)`;
- `f(x) = exp((N-1)(x-1))`: `P_T = b^{N-1} / (2 ln N)` and `P_S = b^{N-1} / (2 N ln b)` with `b = e^2 / cosh 2 = 1.964`.

The crosstalk of the exponential is far from Gaussian at sizes that can be simulated: measured `P_S` lie well below.
"""

from __future__ import annotations

import math
import sys

from attractor.memory.capacity import CapacityEstimate
from attractor.memory.sequence.interaction import (
    ExponentialInteraction,
    Interaction,
    PolynomialInteraction,
    interaction_from,
)
from attractor.memory.sequence.timing import Timing
from attractor.validation import check_count

GROWTH = math.exp(2) / math.cosh(2)
LARGEST = math.log(sys.float_info.max)
SOURCE = "Chaudhry, Zavatone-Veth, Krotov and Pehlevan 2023"


def transition_capacity(dim: int, interaction: Interaction | int | str, timing: Timing | None = None) -> CapacityEstimate:
    """How many random patterns let a single transition be right.

    Args:
        dim: number of units, at least 2.
        interaction: of the memory.
        timing: of patterns that are held; the theory takes a delay of 1.

    Raises:
        TypeError, ValueError: `dim` below 2, or a polynomial together with an exponential, for which there is no theory.

    Example:
        >>> round(transition_capacity(100, 2).patterns)
        362
    """
    return estimate(dim, interaction_from(interaction), timing, whole=False)


def sequence_capacity(dim: int, interaction: Interaction | int | str, timing: Timing | None = None) -> CapacityEstimate:
    """How many random patterns let all transitions be right at once; arguments as for `transition_capacity`.

    Example:
        >>> round(sequence_capacity(100, 2).patterns)
        121
    """
    return estimate(dim, interaction_from(interaction), timing, whole=True)


def estimate(dim: int, interaction: Interaction, timing: Timing | None, *, whole: bool) -> CapacityEstimate:
    if check_count("dim", dim) < 2:
        raise ValueError(f"dim must be at least 2, got {dim}")
    held = interaction if timing is None else timing.holding(interaction)
    if isinstance(interaction, PolynomialInteraction) and isinstance(held, PolynomialInteraction):
        degree = min(interaction.degree, held.degree)
        # the logarithm: 784^100 is no float
        logarithm = degree * math.log(dim) - math.log(2 * math.log(dim))
        if timing is None:
            logarithm -= log_odd_product(degree)
        else:
            logarithm += log_lead(timing) - log_crosstalk(held.degree, interaction.degree, timing.strength)
        law = f"N^{degree} / (2 (2d - 1)!! ln N)" if timing is None else f"(lambda - 1)^2 N^{degree} / (2 gamma ln N)"
        if whole:
            logarithm, law = logarithm - math.log(degree + 1), f"{law} / {degree + 1}"
    elif isinstance(interaction, ExponentialInteraction) and isinstance(held, ExponentialInteraction):
        logarithm = (dim - 1) * math.log(GROWTH) - math.log(2 * dim * math.log(GROWTH) if whole else 2 * math.log(dim))
        law = f"{GROWTH:.3f}^(N - 1) / " + (f"(2 N ln {GROWTH:.3f})" if whole else "(2 ln N)")
        if timing is not None:
            logarithm += log_lead(timing) - math.log(timing.strength**2 + 1)
            law += " (lambda - 1)^2 / (lambda^2 + 1)"
    else:
        raise ValueError(f"interaction must be of one kind for holding and going on, got {held!r} and {interaction!r}: no theory")
    what = "all transitions right" if whole else "one transition right"
    return CapacityEstimate(math.exp(min(logarithm, 700.0)), f"{law}, {what}", SOURCE)


def log_lead(timing: Timing) -> float:
    """`2 ln(lambda - 1)`: at 1 or below, the pull towards the next pattern never wins, and no transition is right."""
    return 2 * math.log(timing.strength - 1) if timing.strength > 1 else -math.inf


def log_crosstalk(held: int, onward: int, strength: float) -> float:
    """`ln gamma`: of the variance of the crosstalk of two sums of powers, in units of `P N^-d` with the lower degree `d`."""
    if held != onward:
        return log_odd_product(held) if held < onward else 2 * math.log(strength) + log_odd_product(onward)
    both = 2 * strength * math.exp(2 * log_odd_product(held // 2) - log_odd_product(held)) if held % 2 == 0 else 0.0
    return math.log(strength**2 + 1 + both) + log_odd_product(held)


def log_odd_product(degree: int) -> float:
    """`ln (2d - 1)!!`, of the moment of order `2d` of a standard Gaussian; from `d = 151` on the moment itself is no float.

    Example:
        >>> [round(math.exp(log_odd_product(degree)), 6) for degree in (1, 2, 3)]
        [1.0, 3.0, 15.0]
    """
    return math.lgamma(2 * degree + 1) - math.lgamma(degree + 1) - degree * math.log(2)


def number(logarithm: float) -> float:
    """`exp(logarithm)`, infinite where no float holds it."""
    return math.exp(logarithm) if logarithm < LARGEST else math.inf


def best_degree(dim: int) -> int:
    """The degree at which `sequence_capacity` is largest: for a finite number of units, a larger one lowers it again.

    Example:
        >>> best_degree(10), best_degree(20)
        (4, 9)
    """
    return max(range(1, check_count("dim", dim, 2) + 1), key=lambda degree: sequence_capacity(dim, degree).patterns)


def biased_limit(bias: float, degree: int) -> float:
    """Below how many patterns the signal exceeds the mean crosstalk, for entries that are 1 with probability `(1 + bias) / 2`.

    Infinite where that number is beyond the floats.

    Args:
        bias: strictly between 0 and 1.
        degree: of the polynomial.

    Raises:
        ValueError: `bias` lies outside.

    Example:
        >>> round(biased_limit(0.5, 2))
        33
    """
    if not 0 < bias < 1:
        raise ValueError(f"bias must lie between 0 and 1, got {bias!r}")
    return number(-(2 * check_count("degree", degree) + 1) * math.log(bias)) + 1


def exponential_crosstalk(dim: int, count: int) -> tuple[float, float]:
    """Variance and excess kurtosis of the crosstalk that `count` random patterns make with the exponential; 0 if Gaussian.

    The kurtosis is infinite where it is beyond the floats.

    Example:
        >>> variance, kurtosis = exponential_crosstalk(10, 36)
        >>> round(variance, 3), round(kurtosis, 2)
        (0.08, 10.5)
    """
    others = check_count("count", count, 2) - 1
    peaked = number((check_count("dim", dim, 2) - 1) * math.log(math.cosh(4) / math.cosh(2) ** 2))
    return others * GROWTH ** (1 - dim), (peaked - 3) / others
