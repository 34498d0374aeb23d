"""Sequences recalled step by step: that of Fig. 1, and held patterns (Fig. 4A)."""

from __future__ import annotations

import time
from statistics import fmean

import torch
from torch import Tensor

from attractor.memory.sequence import SequenceMemory, Timing
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p13_long_sequence_memory.claims import DWELL, LINEAR, ORDER, SQUARE, STUCK
from attractor.papers.p13_long_sequence_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.storage import over_capacity_on_purpose, random_signs

DATA = "random patterns of -1 and 1"
UNITS, LENGTH = 300, 100
HELD_UNITS, HELD_LENGTH, HELD_STEPS = 100, 40, 199
THERE = 0.9
"""The overlap from which on a state is at a pattern."""


def measure_sequence(size: Size, seed: int, tell: Tell) -> Measured:
    """The overlap with the right pattern along a sequence of 100, by the identity and by the square."""
    seeds = range(seed * size.draws, (seed + 1) * size.draws)
    overlaps: dict[int, list[Tensor]] = {}
    seconds = {}
    for done, degree in enumerate((1, 2)):
        start = time.perf_counter()
        overlaps[degree] = [overlaps_along(degree, each) for each in seeds]
        seconds[degree] = time.perf_counter() - start
        tell((done + 1) / 2)
    mean, interval = mean_interval([float(one.mean()) for one in overlaps[1]])
    whole = sum(bool((one == 1).all()) for one in overlaps[2])
    rows = [
        Row(LINEAR, mean, interval, len(seeds), seconds[1], DATA),
        Row(SQUARE, whole / len(seeds), wilson(whole, len(seeds)), len(seeds), seconds[2], DATA),
    ]
    steps = tuple(map(float, range(1, LENGTH)))
    series = []
    for degree, label in ((1, "f(x) = x"), (2, "f(x) = x^2")):
        columns = list(zip(*(one.tolist() for one in overlaps[degree]), strict=True))
        ends = tuple(map(min, columns)), tuple(map(max, columns))
        series.append(Series(label, steps, tuple(map(fmean, columns)), *ends, "line"))
    title = f"A sequence of {LENGTH} patterns in {UNITS} units"
    return Measured(rows, [Chart("sequence", title, "step", "overlap with the right pattern (bars: range)", tuple(series))])


def overlaps_along(degree: int, seed: int) -> Tensor:
    """Overlap of each state `(99,)` with the pattern that it should be."""
    patterns = random_signs(LENGTH, UNITS, seed)
    memory = SequenceMemory(UNITS, interaction=degree)
    memory.store(patterns)
    with over_capacity_on_purpose():
        states = memory.replay(patterns[:1], LENGTH - 1)[0]
    return (states * patterns[1:]).mean(-1)


def measure_holding(size: Size, seed: int, tell: Tell) -> Measured:
    """How long patterns are held, and whether the right one comes next."""
    seeds = range(seed * size.draws, (seed + 1) * size.draws)
    visits: dict[int, list[tuple[int, float, float]]] = {}
    shown: dict[int, Tensor] = {}
    seconds = {}
    for done, degree in enumerate((1, 2, 10)):
        start = time.perf_counter()
        places = [places_along(degree, each) for each in seeds]
        visits[degree], shown[degree] = [visits_of(one) for one in places], places[0]
        seconds[degree] = time.perf_counter() - start
        tell((done + 1) / 3)
    rows = [Row(STUCK, max(number for number, _, _ in visits[1]), None, len(seeds), seconds[1], DATA, note="the worst draw")]
    for degree, claim in ORDER.items():
        right = min(share for _, share, _ in visits[degree])
        note = f"the worst draw; {fmean(number for number, _, _ in visits[degree]):.1f} visits in {HELD_STEPS} steps"
        rows.append(Row(claim, right, None, len(seeds), seconds[degree], DATA, note=note))
    for degree, claim in DWELL.items():
        dwell, interval = mean_interval([each for _, _, each in visits[degree]])
        rows.append(Row(claim, dwell, interval, len(seeds), seconds[degree], DATA))
    steps = tuple(map(float, range(1, HELD_STEPS + 1)))
    series = [Series(f"x^{degree}", steps, tuple(map(float, places.tolist())), style="line") for degree, places in shown.items()]
    title = f"Held patterns: delay 5, lambda 2.5, {HELD_LENGTH} patterns in {HELD_UNITS} units"
    return Measured(rows, [Chart("holding", title, "step", "pattern (-1: none)", tuple(series))])


def places_along(degree: int, seed: int) -> Tensor:
    """Number of the pattern that the state is at after each step, from the first pattern on; -1 where it is at none."""
    patterns = random_signs(HELD_LENGTH, HELD_UNITS, seed)
    memory = SequenceMemory(HELD_UNITS, interaction=degree, timing=Timing(5, strength=2.5))
    memory.store(patterns)
    with over_capacity_on_purpose():
        walked = memory.follow(patterns[:1], HELD_STEPS)
    return walked.index[0].masked_fill(walked.score[0] < THERE, -1)


def visits_of(places: Tensor) -> tuple[int, float, float]:
    """How many visits there are, the share of them that go on to the next pattern, and the mean steps from one to the next.

    Example:
        >>> visits_of(torch.tensor([0, 0, 1, 1, 1, -1, 2, 2, 2, 2, 3]))
        (4, 1.0, 4.0)
    """
    there = (places >= 0).nonzero().flatten()
    begins = there[torch.cat([there[:1] >= 0, places[there].diff() != 0])]
    numbers, steps = places[begins], begins.diff()[1:]
    right = (numbers[1:] == (numbers[:-1] + 1) % HELD_LENGTH).float()
    return len(begins), float(right.mean()) if len(right) else 0.0, float(steps.float().mean()) if len(steps) else 0.0
