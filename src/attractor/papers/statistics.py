"""Estimates with their 95% confidence intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Z = 1.959964


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a rate.

    Raises:
        ValueError: `n` is below 1, or `successes` is not between 0 and `n`.

    Example:
        >>> [round(end, 3) for end in wilson(199, 200)]
        [0.972, 0.999]
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n >= 1, got {successes} of {n}")
    rate, spread = successes / n, Z**2 / n
    centre = rate + spread / 2
    half = Z * math.sqrt(rate * (1 - rate) / n + spread / (4 * n))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # rounding must not leave the ends a hair inside of 0 and 1
    return 0.0 if successes == 0 else low, 1.0 if successes == n else high


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """The mean of independent values and Student's interval of it; None for a single value.

    Raises:
        ValueError: there is no value.

    Example:
        >>> mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])[0]
        3.0
    """
    if not values:
        raise ValueError("values must hold at least one number, got none")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, None
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, (mean - half, mean + half)


def geometric_interval(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """The geometric mean of positive values and its interval, for ratios.

    Example:
        >>> round(geometric_interval([1.0, 4.0, 16.0])[0], 6)
        4.0
    """
    mean, ends = mean_interval([math.log(value) for value in values])
    return math.exp(mean), None if ends is None else (math.exp(ends[0]), math.exp(ends[1]))


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's distribution (Hill's series; the first two in closed form).

    Example:
        >>> [round(student(freedom), 2) for freedom in (1, 2, 4, 19)]
        [12.71, 4.3, 2.78, 2.09]
    """
    if freedom == 1:
        return math.tan(0.475 * math.pi)
    if freedom == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92160,
    )
    return Z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept of the least-squares line through `(log x, log y)`: `y` is about `exp(intercept) x^slope`.

    Example:
        >>> round(log_log_slope([1, 2, 4], [3, 12, 48])[0], 6)
        2.0
    """
    slope, intercept = statistics.linear_regression([math.log(v) for v in x], [math.log(v) for v in y])
    return slope, intercept
