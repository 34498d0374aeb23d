"""How similar tokens must be to merge, as users say it: a number, `"auto:0.5"` for a wanted share, or None for never."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

from attractor.memory.consolidated.slots import Measure

RANGES: dict[Measure, tuple[float, float]] = {"cosine": (-1.0, 1.0), "dot": (-math.inf, math.inf), "l2": (-math.inf, 0.0)}
"""Between which similarities a threshold tells tokens apart; minus a squared distance is never above 0."""


class Threshold(NamedTuple):
    """R as a number, None while there is none; and the share of tokens that are to merge, where R follows from it."""

    value: float | None
    rate: float | None

    @property
    def compares(self) -> bool:
        """Whether tokens are told apart at all."""
        return self.value is not None or self.rate is not None


def check_threshold(threshold: float | str | None, measure: Measure = "cosine") -> Threshold:
    """What `threshold` says.

    Raises:
        TypeError: neither a number, a string nor None.
        ValueError: not in (-1, 1) for cosines, not finite for dot products, not below 0 for `"l2"`, or a string that is not
            `"auto:rate"` with a rate in (0, 1).

    Example:
        >>> check_threshold("auto:0.5")
        Threshold(value=None, rate=0.5)
    """
    if threshold is None:
        return Threshold(None, None)
    if isinstance(threshold, str):
        head, _, tail = threshold.partition(":")
        try:
            rate = float(tail)
        except ValueError:
            rate = math.nan
        if head != "auto" or not 0 < rate < 1:
            raise ValueError(f"threshold must be a number, None, or 'auto:rate' with a rate in (0, 1), got {threshold!r}")
        return Threshold(None, rate)
    if isinstance(threshold, bool) or not isinstance(threshold, Real):
        raise TypeError(f"threshold must be a number, 'auto:rate' or None, got {type(threshold).__name__}")
    low, high = RANGES[measure]
    if not low < threshold < high:
        raise ValueError(
            f"threshold must be in ({low:g}, {high:g}) for {measure} similarity, or None to never merge, got {threshold!r}"
        )
    return Threshold(float(threshold), None)
