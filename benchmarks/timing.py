"""Paired timing: the contenders of a row take turns, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

LEAST_ROUNDS = 5
MOST_ROUNDS = 31
PAUSE = 0.01
"""Worker threads of one library spin for some milliseconds after its call; the next contender must not pay for that."""


@dataclass(frozen=True)
class Contender:
    """Something to time; a slow one may take part in the first `rounds` rounds only."""

    name: str
    call: Callable[[], object]
    rounds: int = MOST_ROUNDS


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
        return cls(median(values), low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Race:
    """Seconds of each contender: in each round it took part in, and of its `first` call, before those."""

    seconds: dict[str, list[float]]
    first: dict[str, float]

    def __contains__(self, name: str) -> bool:
        return name in self.seconds

    def time(self, name: str) -> float:
        """Median seconds of one call."""
        return median(self.seconds[name])

    def ratio(self, over: str | Sequence[str], under: str) -> Spread:
        """How many times longer `over` took than `under` in the same round; of several, the fastest of that round."""
        several = [over] if isinstance(over, str) else over
        rounds = zip(*(self.seconds[name] for name in (*several, under)), strict=False)
        return Spread.of([min(times[:-1]) / times[-1] for times in rounds])


def race(contenders: Sequence[Contender], seconds: float) -> Race:
    """Time the contenders in turn, for about `seconds` and at least `LEAST_ROUNDS` rounds, after a round of warm-up.

    Every round starts with the next contender, so that nobody always runs after the same one.
    """
    first_calls = {contender.name: stopwatch(contender.call) for contender in contenders}
    taken: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    began = time.perf_counter()
    for turn in range(MOST_ROUNDS):
        if turn >= LEAST_ROUNDS and time.perf_counter() - began > seconds:
            break
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            if turn < contender.rounds:
                taken[contender.name].append(stopwatch(contender.call))
    return Race(taken, first_calls)


def stopwatch(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
