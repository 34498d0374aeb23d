"""Precision, recall and entropy against the number of levels, and against how much is registered."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from attractor.data import DataUnavailableError
from attractor.papers.claim import Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p08_entropic_memory.claims import DIGITS, FEW_FILLS, FILLS, GARMENTS, SIGMA, M
from attractor.papers.p08_entropic_memory.protocol import prepare
from attractor.papers.p08_entropic_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

CLAIMS = {"mnist-5k": DIGITS, "fashion-mnist": GARMENTS}
Fold = list[list[float]]
"""Precision, recall, share accepted and entropy of each memory of one fold."""


def point(data: str, m: int, share: float, most: int, width: int, cues: int, epochs: int, seed: int) -> list[float]:
    """Precision, recall, share accepted and entropy of one memory."""
    protocol = prepare(data, most, width, cues, epochs, seed)
    memory, quantiser = protocol.memory(m, sigma=SIGMA, share=share)
    found = protocol.outcome(memory, quantiser, protocol.cue_codes, seed)
    return [found.precision, found.recall, found.answered, float(memory.entropy())]


def measure_sizes(size: Size, seed: int, tell: Tell, data: str = "mnist-5k") -> Measured:
    """The rows on memory size and filling, and two charts; rows that say so where the images are not here."""
    start, claims = time.perf_counter(), CLAIMS[data]
    seeds = range(seed * size.folds, (seed + 1) * size.folds)
    memories = [(m, 1.0) for m in size.levels] + [(M, share) for share in FILLS]
    points = [(data, m, share, size.most, size.width, size.cues, size.epochs, fold) for fold in seeds for m, share in memories]
    try:
        prepare(data, size.most, size.width, size.cues, size.epochs, seeds[0])
    except DataUnavailableError as error:
        return Measured(unmeasured(claims, data, error))
    found = sweep(point, points, tell)
    count = len(memories)
    folds: list[Fold] = [found[first : first + count] for first in range(0, len(found), count)]
    sizes, fills = [fold[: len(size.levels)] for fold in folds], [fold[len(size.levels) :] for fold in folds]
    seconds, first = time.perf_counter() - start, size.levels.index(8)
    gains = [entropy_gains(size.levels, fold) for fold in sizes]
    recalls = [[each[1] for each in fold] for fold in sizes]
    filled = [[fold[FILLS.index(share)][1] for share in FEW_FILLS] for fold in fills]
    values: tuple[list[float], ...] = (
        [min(each) for each in gains],
        [max(each) for each in gains],
        [least_gain([each[0] for each in fold[: first + 1]]) for fold in sizes],
        [farthest(fold[first:]) for fold in sizes],
        [float(size.levels[each.index(max(each))]) for each in recalls],
        [max(each) - each[-1] for each in recalls],
        [least_gain(each) for each in filled],
    )
    rows = []
    for claim, each in zip(claims, values, strict=True):
        mean, interval = mean_interval(each)
        rows.append(Row(claim, mean, interval, len(each), seconds, f"{data}, n = {size.width}"))
    return Measured(rows, [by_size(data, size.levels, sizes), by_fill(data, fills)])


def entropy_gains(levels: Sequence[int], fold: Fold) -> list[float]:
    """How much the entropy grows from each number of levels to the next, from 32 on."""
    first = levels.index(32)
    return [after[3] - before[3] for before, after in pairwise(fold[first:])]


def least_gain(values: Sequence[float]) -> float:
    return min(after - before for before, after in pairwise(values))


def farthest(fold: Fold) -> float:
    """How far precision comes from the first one, where at least a quarter is accepted."""
    return max(abs(each[0] - fold[0][0]) for each in fold if each[2] >= 0.25)


def lines(x: Sequence[float], folds: Sequence[Fold]) -> tuple[Series, ...]:
    means = [[fmean(fold[place][column] for fold in folds) for column in range(4)] for place in range(len(x))]
    rates = ("precision", "recall", "accepted")
    series = [Series(name, tuple(x), tuple(each[column] for each in means), style="line") for column, name in enumerate(rates)]
    return (*series, Series("entropy / 10 bits", tuple(x), tuple(each[3] / 10 for each in means), style="line"))


def by_size(data: str, levels: Sequence[int], folds: Sequence[Fold]) -> Chart:
    series = lines([math.log2(m) for m in levels], folds)
    return Chart(f"memory-size-{data}", f"Size of the memory, {data}", "log2 of the number of levels m", "rate", series)


def by_fill(data: str, folds: Sequence[Fold]) -> Chart:
    title = f"Filling of the memory, {data}, m = {M}"
    return Chart(f"filling-{data}", title, "share registered", "rate", lines(FILLS, folds), x_scale="log")
