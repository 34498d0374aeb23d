"""Permuted digits: all methods against forgetting at one vertex, and against the vertex."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

import torch

from attractor.data import DataUnavailableError, load
from attractor.estimators.sequential import Evaluation
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p06_sequential_learning.claims import (
    ABOVE_NONE,
    DIP,
    GEM_ABOVE,
    JOINT_ABOVE,
    NONE,
    REDUCED,
    REHEARSAL,
    REPORTED,
    RISING,
    STRONG,
)
from attractor.papers.p06_sequential_learning.settings import FRACTIONS, JOINT, MIDDLE
from attractor.papers.p06_sequential_learning.sizes import Size
from attractor.papers.p06_sequential_learning.training import learn
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

AGAINST_FORGETTING = ("rehearsal", "pseudorehearsal", "GEM", "A-GEM", "L2", "EWC", "MAS", "SI")
SHOWN = ("none", *AGAINST_FORGETTING)
BY_FRACTION = tuple(f"rehearsal {fraction:g}" for fraction in FRACTIONS)
NEIGHBOUR = "nearest neighbour among the items at hand after the last task"
GRADIENT_METHODS = ("GEM", "A-GEM")
CLAIMS = (NONE, REHEARSAL, *ABOVE_NONE.values(), *REPORTED.values(), GEM_ABOVE, JOINT_ABOVE, REDUCED, RISING, STRONG, DIP)


class Runs:
    """The results of each method and vertex, one for each seed."""

    def __init__(self, points: Sequence[tuple[Any, ...]], results: Sequence[dict[str, Any]]):
        self.results: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for (method, n, *_), result in zip(points, results, strict=True):
            self.results.setdefault((method, n), []).append(result)

    def evaluations(self, method: str, n: int) -> list[Evaluation]:
        found = self.results[method, n]
        return [Evaluation(torch.tensor(one["scores"], dtype=torch.float64), torch.tensor(one["untrained"])) for one in found]

    def accuracies(self, method: str, n: int) -> list[float]:
        return [one.average_accuracy for one in self.evaluations(method, n)]

    def mean(self, method: str, n: int) -> float:
        return fmean(self.accuracies(method, n))

    def neighbour(self, method: str, n: int) -> float:
        return fmean(one["neighbour"] for one in self.results[method, n])


def measure_methods(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and figures of the methods on permuted digits; where the digits are not on this machine, rows that say so."""
    data = f"scikit-learn digits, {size.digits.tasks} permutations"
    try:
        load(size.digits.data)
    except DataUnavailableError as error:
        return Measured([Row(claim, None, None, 0, 0.0, data, note=f"needs scikit-learn: {error}") for claim in CLAIMS])
    start = time.perf_counter()
    points = points_of(size, seed)
    runs = Runs(points, sweep(learn, points, tell))
    seconds = time.perf_counter() - start
    rows = [
        accuracy(NONE, runs, "none", seconds, data),
        accuracy(REHEARSAL, runs, "rehearsal", seconds, data),
        *(difference(claim, runs, method, "none", seconds, data) for method, claim in (ABOVE_NONE | REPORTED).items()),
        difference(GEM_ABOVE, runs, "GEM", "A-GEM", seconds, data),
        difference(JOINT_ABOVE, runs, JOINT, "rehearsal", seconds, data),
        reduction(runs, seconds, data),
        rise(runs, seconds, data),
        *over_vertices(runs, size, seconds, data),
    ]
    return Measured(rows, [chart_of_vertices(runs, size), chart_of_tasks(runs), chart_of_fractions(runs)])


def points_of(size: Size, seed: int) -> list[tuple[Any, ...]]:
    """The arguments of all trainings: every method at the middle vertex, and those that are shown at the others."""
    seeds = range(seed * size.seeds, (seed + 1) * size.seeds)
    points = [(method, MIDDLE, one, *size.digits) for method in (*SHOWN, *BY_FRACTION, JOINT) for one in seeds]
    others = [n for n in size.vertices if n != MIDDLE]
    return points + [(method, n, one, *size.digits) for n in others for method in SHOWN for one in seeds[: size.vertex_seeds]]


def accuracy(claim: Claim, runs: Runs, method: str, seconds: float, data: str) -> Row:
    mean, interval = mean_interval(runs.accuracies(method, MIDDLE))
    told = runs.evaluations(method, MIDDLE)
    learned, forgotten = fmean(one.learned_accuracy for one in told), fmean(one.forgetting for one in told)
    note = f"learned {learned:.3f}, forgotten {forgotten:.3f}; baseline: {NEIGHBOUR}"
    return Row(claim, mean, interval, len(told), seconds, data, runs.neighbour(method, MIDDLE), note)


def difference(claim: Claim, runs: Runs, method: str, other: str, seconds: float, data: str) -> Row:
    """The average accuracy of one method above that of another on the same tasks."""
    pairs = zip(runs.accuracies(method, MIDDLE), runs.accuracies(other, MIDDLE), strict=True)
    mean, interval = mean_interval([one - two for one, two in pairs])
    note = f"average accuracy {runs.mean(method, MIDDLE):.3f}; {NEIGHBOUR} {runs.neighbour(method, MIDDLE):.3f}"
    return Row(claim, mean, interval, len(runs.results[method, MIDDLE]), seconds, data, note=note)


def reduction(runs: Runs, seconds: float, data: str) -> Row:
    """How much less each method forgets than none; the least of them counts."""
    forgotten = {method: fmean(one.forgetting for one in runs.evaluations(method, MIDDLE)) for method in SHOWN}
    least = min(AGAINST_FORGETTING, key=lambda method: -forgotten[method])
    note = ", ".join(f"{method} {value:.3f}" for method, value in forgotten.items())
    count = len(runs.results["none", MIDDLE])
    return Row(REDUCED, forgotten["none"] - forgotten[least], None, count, seconds, data, note=f"forgotten: {note}")


def rise(runs: Runs, seconds: float, data: str) -> Row:
    """The gain from each fraction to the next, in the mean over seeds; the least of them counts."""
    means = [runs.mean(method, MIDDLE) for method in BY_FRACTION]
    gains = [after - before for before, after in pairwise(means)]
    note = ", ".join(f"{fraction:.0%} {mean:.3f}" for fraction, mean in zip(FRACTIONS, means, strict=True))
    return Row(RISING, min(gains), None, len(runs.results["none", MIDDLE]), seconds, data, note=note)


def over_vertices(runs: Runs, size: Size, seconds: float, data: str) -> list[Row]:
    """What the summary of the paper says of the methods at different vertices."""
    larger = "measured at a larger scale"
    if not {5, 10, 20} <= set(size.vertices):
        return [Row(claim, None, None, 0, 0.0, data, note=larger) for claim in (STRONG, DIP)]
    leads = {}
    for n in size.vertices:
        best = max(runs.mean(method, n) for method in AGAINST_FORGETTING if method != "rehearsal")
        leads[n] = runs.mean("rehearsal", n) - best
    note = ", ".join(f"n = {n}: {lead:.3f}" for n, lead in leads.items())
    dips = {method: (runs.mean(method, 5) + runs.mean(method, 20)) / 2 - runs.mean(method, 10) for method in GRADIENT_METHODS}
    told = ", ".join(f"{method} {dip:.3f}" for method, dip in dips.items())
    return [
        Row(STRONG, min(leads.values()), None, size.vertex_seeds, seconds, data, note=note),
        Row(DIP, fmean(dips.values()), None, size.vertex_seeds, seconds, data, note=told),
    ]


def chart_of_vertices(runs: Runs, size: Size) -> Chart:
    series = [
        Series(method, tuple(map(float, size.vertices)), tuple(runs.mean(method, n) for n in size.vertices), style="line")
        for method in SHOWN
    ]
    labels = ("vertex n", "average accuracy after the last task")
    return Chart("vertices", f"{size.digits.tasks} permuted digits, one after the other", *labels, tuple(series), "log")


def chart_of_tasks(runs: Runs) -> Chart:
    """What is left of each task at the end."""
    series = []
    for method in SHOWN:
        last = torch.stack([one.scores[-1] for one in runs.evaluations(method, MIDDLE)]).mean(0)
        series.append(Series(method, tuple(range(1, len(last) + 1)), tuple(last.tolist()), style="line"))
    return Chart("tasks", f"After the last task, n = {MIDDLE}", "task", "accuracy", tuple(series))


def chart_of_fractions(runs: Runs) -> Chart:
    columns = [runs.accuracies(method, MIDDLE) for method in BY_FRACTION]
    means, low, high = tuple(map(fmean, columns)), tuple(map(min, columns)), tuple(map(max, columns))
    kept = tuple(runs.neighbour(method, MIDDLE) for method in BY_FRACTION)
    series = (
        Series("rehearsal", FRACTIONS, means, low, high, "line"),
        Series(NEIGHBOUR, FRACTIONS, kept, style="guide"),
    )
    labels = ("part of each task that is kept", "average accuracy (bars: range of seeds)")
    return Chart("fractions", f"Rehearsal, n = {MIDDLE}", *labels, series, "log")
