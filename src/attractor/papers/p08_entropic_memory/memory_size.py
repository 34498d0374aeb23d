"""Precision, recall and entropy against the number of levels, and against how much is registered."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p08_entropic_memory.claims import (
    BEST,
    ENTROPY_LEAST,
    ENTROPY_MOST,
    FILLING,
    FILLS,
    LOSS,
    PRECISION_RISES,
    PRECISION_STAYS,
    SIGMA,
    M,
)
from attractor.papers.p08_entropic_memory.protocol import prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

DATA = "mnist-5k"
ALL = 5000
Fold = list[list[float]]
"""Precision, recall, share accepted and entropy of each memory of one fold."""


def point(m: int, share: float, width: int, cues: int, epochs: int, seed: int) -> list[float]:
    """Precision, recall, share accepted and entropy of one memory."""
    protocol = prepare(DATA, ALL, width, cues, epochs, seed)
    memory, quantiser = protocol.memory(m, sigma=SIGMA, share=share)
    found = protocol.outcome(memory, quantiser, protocol.cue_codes, seed)
    return [found.precision, found.recall, found.answered, float(memory.entropy())]


def measure_sizes(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on memory size and filling, and two charts."""
    start = time.perf_counter()
    seeds = range(seed * size.folds, (seed + 1) * size.folds)
    memories = [(m, 1.0) for m in size.levels] + [(M, share) for share in FILLS]
    points = [(m, share, size.width, size.cues, size.epochs, fold) for fold in seeds for m, share in memories]
    found = sweep(point, points, tell)
    count = len(memories)
    folds: list[Fold] = [found[first : first + count] for first in range(0, len(found), count)]
    sizes, fills = [fold[: len(size.levels)] for fold in folds], [fold[len(size.levels) :] for fold in folds]
    seconds = time.perf_counter() - start

    def row(claim: Claim, values: Sequence[float], note: str = "") -> Row:
        mean, interval = mean_interval(values)
        return Row(claim, mean, interval, len(values), seconds, f"{DATA}, n = {size.width}", note=note)

    gains = [entropy_gains(size.levels, fold) for fold in sizes]
    start_at = size.levels.index(8)
    recalls = [[each[1] for each in fold] for fold in sizes]
    rows = [
        row(ENTROPY_LEAST, [min(each) for each in gains]),
        row(ENTROPY_MOST, [max(each) for each in gains]),
        row(PRECISION_RISES, [least_gain([each[0] for each in fold[: start_at + 1]]) for fold in sizes]),
        row(PRECISION_STAYS, [farthest(fold[start_at:]) for fold in sizes]),
        row(BEST, [float(size.levels[each.index(max(each))]) for each in recalls]),
        row(LOSS, [max(each) - each[-1] for each in recalls]),
        row(FILLING, [least_gain([each[1] for each in fold]) for fold in fills]),
    ]
    return Measured(rows, [by_size(size.levels, sizes), by_fill(fills)])


def entropy_gains(levels: Sequence[int], fold: Fold) -> list[float]:
    """How much the entropy grows from each number of levels to the next, from 32 on."""
    first = levels.index(32)
    return [after[3] - before[3] for before, after in pairwise(fold[first:])]


def least_gain(values: Sequence[float]) -> float:
    return min(after - before for before, after in pairwise(values))


def farthest(fold: Fold) -> float:
    """How far precision comes from the first one, where at least a quarter is accepted."""
    return max(abs(each[0] - fold[0][0]) for each in fold if each[2] >= 0.25)


def by_size(levels: Sequence[int], folds: Sequence[Fold]) -> Chart:
    means = [[fmean(fold[place][column] for fold in folds) for column in range(4)] for place in range(len(levels))]
    x = tuple(math.log2(m) for m in levels)
    series = [
        Series(name, x, tuple(each[column] for each in means), style="line")
        for column, name in enumerate(("precision", "recall", "accepted"))
    ]
    entropy = Series("entropy / 10 bits", x, tuple(each[3] / 10 for each in means), style="line")
    title = "Size of the memory"
    return Chart("memory-size", title, "log2 of the number of levels m", "rate", (*series, entropy))


def by_fill(folds: Sequence[Fold]) -> Chart:
    means = [[fmean(fold[place][column] for fold in folds) for column in range(4)] for place in range(len(FILLS))]
    series = [
        Series(name, FILLS, tuple(each[column] for each in means), style="line")
        for column, name in enumerate(("precision", "recall", "accepted"))
    ]
    return Chart("filling", "Filling of the memory, m = 16", "share registered", "rate", tuple(series), x_scale="log")
