"""Storing small natural tiles: how well, by which schedule, and against width, load and depth."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

from attractor.data import DataUnavailableError
from attractor.memory.predictive_coding import Inference, PredictiveLearning
from attractor.papers.claim import Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p04_predictive_coding.claims import (
    DEPTH,
    HALF,
    HALF_STRICT,
    INCREMENTAL,
    KEPT,
    KEPT_HALF,
    LOAD,
    LOOSE,
    SMALL,
    STRICT,
    TRENDS,
    WIDTH,
)
from attractor.papers.p04_predictive_coding.sizes import Size
from attractor.papers.p04_predictive_coding.tiles import (
    completed,
    nearest_share,
    rate_row,
    rebuilt,
    right,
    stored_in,
    tiles,
    upper_part,
)
from attractor.papers.parts import Measured, Tell
from attractor.papers.sweep import sweep

DATA = "natural tiles of 16 x 16"
EDGE = 16
TIMED_STEPS = 30
WIDTHS, LOADS, DEPTHS = (64, 128, 256), (25, 50, 100), (1, 2, 3)


def measure_storing(size: Size, seed: int, tell: Tell) -> Measured:
    """Two networks, and the second one trained by the other schedule for as long."""
    try:
        few, more = tiles(EDGE, 25, seed), tiles(EDGE, 50, seed)
    except DataUnavailableError as error:
        return Measured(unmeasured(SMALL, DATA, error))
    began = time.perf_counter()
    learning = PredictiveLearning(steps=size.steps, tolerance=0.0)
    memory = stored_in(few.patterns, (256, 256), learning, seed)
    squared = float((rebuilt(memory, few.patterns) - few.patterns).square().mean())
    seconds = time.perf_counter() - began
    rows = [Row(KEPT, squared, None, len(few), seconds, DATA, note=few.source)]
    baselines = [nearest_share(one.patterns, one.patterns, upper_part(one, 0.5)) for one in (few, more)]
    rows.append(rate_row(KEPT_HALF, right(completed(memory, few, 0.5), few.patterns), seconds, DATA, baseline=baselines[0]))
    tell(0.4)
    began, cpu = time.perf_counter(), time.process_time()
    memory = stored_in(more.patterns, (128, 128), learning, seed)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    half = completed(memory, more, 0.5)
    for claim, limit in ((HALF, LOOSE), (HALF_STRICT, STRICT)):
        rows.append(rate_row(claim, right(half, more.patterns, limit), seconds, DATA, baseline=baselines[1]))
    tell(0.7)
    began = time.process_time()
    slow = PredictiveLearning(steps=TIMED_STEPS, schedule="reset", inference=Inference(8), tolerance=0.0)
    stored_in(more.patterns, (128, 128), slow, seed)
    steps = max(1, round(cpu / ((time.process_time() - began) / TIMED_STEPS)))
    other = stored_in(more.patterns, (128, 128), replace(slow, steps=steps), seed)
    leads = right(half, more.patterns, STRICT).float() - right(completed(other, more, 0.5), more.patterns, STRICT).float()
    taken = [one.last_fit.steps for one in (memory, other) if one.last_fit is not None]
    note = "steps of the weights: " + " against ".join(map(str, taken))
    rows.append(Row(INCREMENTAL, float(leads.mean()), None, len(more), 2 * seconds, DATA, note=note))
    return Measured(rows)


def measure_trends(size: Size, seed: int, tell: Tell) -> Measured:
    """Shares that are completed from the half, at one number of steps for all."""
    points = [
        *((width, 2, 100) for width in WIDTHS),
        *((128, 2, load) for load in LOADS[:-1]),
        *((128, depth, 100) for depth in (1, 3)),
    ]
    try:
        source = tiles(EDGE, max(LOADS), seed).source
    except DataUnavailableError as error:
        return Measured(unmeasured(TRENDS, DATA, error))
    began = time.perf_counter()
    shares = sweep(completed_share, [(*point, size.trend_steps, seed) for point in points], tell)
    found = dict(zip(points, map(float, shares), strict=True))
    seconds = time.perf_counter() - began
    curves = {
        WIDTH: ("width of two layers, 100 tiles", WIDTHS, [found[width, 2, 100] for width in WIDTHS]),
        LOAD: ("tiles, two layers of 128", LOADS, [found[128, 2, load] for load in LOADS]),
        DEPTH: ("layers of 128, 100 tiles", DEPTHS, [found[128, depth, 100] for depth in DEPTHS]),
    }
    rows, charts = [], []
    for claim, (label, places, rates) in curves.items():
        sign = -1 if claim is LOAD else 1
        least = min(sign * (after - before) for before, after in pairwise(rates))
        note = ", ".join(f"{place}: {rate:.0%}" for place, rate in zip(places, rates, strict=True))
        rows.append(Row(claim, least, None, len(places), seconds, DATA, note=f"{note}; {source}"))
        series = Series("completed from the upper half", tuple(map(float, places)), tuple(rates), style="line")
        charts.append(
            Chart(
                f"trend-{label.split()[0].strip(',')}",
                f"Natural tiles of 16 x 16: {label}",
                label,
                f"share, error < {LOOSE}",
                (series,),
            )
        )
    return Measured(rows, charts)


def completed_share(width: int, depth: int, load: int, steps: int, seed: int) -> float:
    """Of `load` tiles in so many layers, the share that is completed from the upper half."""
    images = tiles(EDGE, load, seed)
    memory = stored_in(images.patterns, (width,) * depth, PredictiveLearning(steps=steps, tolerance=0.0), seed)
    return float(right(completed(memory, images, 0.5), images.patterns).float().mean())
