"""How many wrong coordinates basis pursuit corrects, for generic constraints and errors in random places.

Amelunxen, Lotz, McCoy and Tropp, "Living on the edge", Information and Inference 2014: the statistical dimension of the descent
cone of the absolute sum. Errors that an adversary places can defeat it earlier.
"""

from __future__ import annotations

from math import erf, exp, pi, sqrt

from attractor.validation import check_number

PRECISION = 1e-10
GOLDEN = (sqrt(5) - 1) / 2


def needed_constraints(errors: float) -> float:
    """The share of constraints `m / n` at which half of the recoveries succeed, for a share `k / n` of wrong coordinates.

    `min over t of eps (1 + t^2) + (1 - eps) 2 ((1 + t^2) Phi(-t) - t phi(t))`.

    Raises:
        ValueError: not from 0 to 1.

    Example:
        >>> round(needed_constraints(0.1928), 3)
        0.5
    """
    check_between("errors", errors)

    def width(t: float) -> float:
        tail, density = (1 - erf(t / sqrt(2))) / 2, exp(-t * t / 2) / sqrt(2 * pi)
        return errors * (1 + t * t) + (1 - errors) * 2 * ((1 + t * t) * tail - t * density)

    low, high = 0.0, 20.0
    while high - low > PRECISION:
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if width(left) < width(right) else (left, high)
    return width((low + high) / 2)


def correctable_errors(constraints: float) -> float:
    """The share of wrong coordinates `k / n` that a share of constraints `m / n` corrects half of the time.

    Raises:
        ValueError: not from 0 to 1.

    Example:
        >>> [round(correctable_errors(share), 4) for share in (0.3, 0.5, 0.7)]
        [0.0872, 0.1928, 0.3492]
    """
    check_between("constraints", constraints)
    low, high = 0.0, 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if needed_constraints(middle) < constraints else (low, middle)
    return (low + high) / 2


def check_between(name: str, value: float) -> None:
    check_number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
