"""What the paper derives: how often noisy neurons fire, how often one error is corrected, and how far the graph carries that.

Letters of the paper: upsilon and nu are the largest noise of a pattern and of a constraint neuron, phi and psi their thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from attractor.validation import check_count, check_not_negative, check_share

CORRECTED = 0.01
"""A cluster that now and then fails at a single error leaves some at any share: none means this part of them, or less."""
SETTLED = 1e-9
BISECTIONS = 40
ITERATIONS = 2000


def fire_probability(vote: float, *, noise: float, threshold: float) -> float:
    """`F(g)`: how often a pattern neuron with the vote `g` moves, in either direction.

    Example:
        >>> fire_probability(1.0, noise=0.0, threshold=0.95), round(fire_probability(0.8, noise=0.3, threshold=0.95), 6)
        (1.0, 0.25)
    """
    return forward_probability(vote, noise, threshold) + forward_probability(-vote, noise, threshold)


def forward_probability(vote: float, noise: float, threshold: float) -> float:
    """How often a neuron with the vote `g` moves in the direction of positive votes."""
    if check_not_negative("noise", noise) == 0:
        return float(vote >= threshold)
    return min(1.0, max(0.0, (noise - threshold + vote) / (2 * noise)))


def silent_probability(weight: float, *, noise: float, threshold: float) -> float:
    """`pi`: how often a constraint neuron is silent, or of the wrong sign, though `w . x` is `weight > 0`.

    Example:
        >>> silent_probability(0.15, noise=0.0, threshold=0.001), round(silent_probability(0.15, noise=0.2, threshold=0.201), 4)
        (0.0, 0.6275)
    """
    if check_not_negative("noise", noise) == 0:
        return float(weight < threshold)
    return min(1.0, max(0.0, (noise + threshold - weight) / (2 * noise)))


def miss_probability(degree: int, *, silent: float, noise: float, threshold: float) -> float:
    """How often a neuron that is off by 1, with `degree` constraints, does not move towards its value in one round.

    Example:
        >>> miss_probability(5, silent=0.0, noise=0.0, threshold=0.95)
        0.0
    """
    check_count("degree", degree)
    return sum(
        binomial(lost, degree, silent) * (1 - forward_probability((degree - lost) / degree, noise, threshold))
        for lost in range(degree + 1)
    )


def disturbance_probability(degree: int, *, shared: float, silent: float, noise: float, threshold: float) -> float:
    """How often a right neuron with `degree` constraints moves in one round.

    Each of its constraints is one of the wrong neuron's with probability `shared`, and then speaks unless it is silent, for either
    direction alike.

    Example:
        >>> disturbance_probability(10, shared=0.0, silent=0.0, noise=0.3, threshold=0.95)
        0.0
    """
    return sum(
        binomial(heard, check_count("degree", degree), shared * (1 - silent))
        * sum(
            binomial(up, heard, 0.5) * fire_probability((2 * up - heard) / degree, noise=noise, threshold=threshold)
            for up in range(heard + 1)
        )
        for heard in range(degree + 1)
    )


def correction_bound(
    degrees: Sequence[int], wrong: int, *, constraints: int, silent: float, noise: float, threshold: float
) -> float:
    """Least probability that one round corrects a single error in a cluster: no right neuron moves, the wrong one does.

    Args:
        degrees: the number of constraints of each neuron of the cluster.
        wrong: which neuron is off by 1.
        constraints: rows of the cluster.
        silent: how often a constraint of the wrong neuron does not speak.
        noise, threshold: of the pattern neurons.

    Example:
        >>> round(correction_bound([10] * 40, 0, constraints=20, silent=0.0, noise=0.2, threshold=0.95), 3)
        0.624
    """
    shared = degrees[wrong] / check_count("constraints", constraints)
    undisturbed = 1.0
    cache: dict[int, float] = {}
    for place, degree in enumerate(degrees):
        if place != wrong and degree > 0:
            if degree not in cache:
                cache[degree] = disturbance_probability(degree, shared=shared, silent=silent, noise=noise, threshold=threshold)
            undisturbed *= 1 - cache[degree]
    return undisturbed * (1 - miss_probability(degrees[wrong], silent=silent, noise=noise, threshold=threshold))


def density_evolution(error: float, *, corrects: Sequence[float], size: int, degree: int) -> float:
    """The share of errors that peeling leaves in an endless graph: the fixed point of
    `z <- error lambda(1 - sum_i P_i C(D-1, i-1) z^(i-1) (1-z)^(D-i))`, `lambda(x) = x^(degree-1)`.

    Args:
        error: share of pattern neurons that are wrong.
        corrects: `P_1, P_2, ...`, how often a cluster with 1, 2, ... errors corrects them.
        size: D, neurons of a cluster.
        degree: clusters of a neuron.

    Example:
        >>> density_evolution(0.05, corrects=[1.0, 0.5], size=40, degree=5) < 1e-6
        True
    """
    check_count("size", size)
    left = check_share("error", error)
    for _ in range(ITERATIONS):
        corrected = sum(
            rate * comb(size - 1, place) * left**place * (1 - left) ** (size - 1 - place) for place, rate in enumerate(corrects)
        )
        before, left = left, error * (1 - corrected) ** (degree - 1)
        if abs(left - before) <= SETTLED * error:
            break
    return left


def recall_threshold(corrects: Sequence[float], *, size: int, degree: int) -> float:
    """The largest share of wrong neurons of which density evolution leaves a hundredth at most.

    Example:
        >>> round(recall_threshold([0.965, 0.335, 0.058, 0.004], size=40, degree=5), 3)
        0.119
    """
    least, most = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        left = density_evolution(middle, corrects=corrects, size=size, degree=degree)
        least, most = (middle, most) if left <= CORRECTED * middle else (least, middle)
    return least


def binomial(successes: int, trials: int, rate: float) -> float:
    return comb(trials, successes) * rate**successes * (1 - rate) ** (trials - successes)
