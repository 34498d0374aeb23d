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
from attractor.papers.claim import Claim, Row, unmeasured
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
from attractor.papers.p06_sequential_learning.settings import FRACTIONS, JOINT, MIDDLE, TUNED
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
        """The average accuracy at the end."""
        return [fmean(one["scores"][-1]) for one in self.results[method, n]]

    def mean(self, method: str, n: int) -> float:
        return fmean(self.accuracies(method, n))

    def last(self, method: str, n: int) -> list[float]:
        """The accuracy on each task at the end, in the mean over seeds."""
        return [fmean(column) for column in zip(*(one["scores"][-1] for one in self.results[method, n]), strict=True)]

    def first(self, count: int) -> Runs:
        """Those of the first `count` seeds alone, on which all vertices are measured."""
        found = Runs((), ())
        found.results = {which: results[:count] for which, results in self.results.items()}
        return found

    def neighbour(self, method: str, n: int) -> float:
        return fmean(one["neighbour"] for one in self.results[method, n])


def measure_methods(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows and figures of the methods on permuted digits; where the digits are not on this machine, rows that say so."""
    data = f"scikit-learn digits, {size.digits.tasks} permutations"
    try:
        load(size.digits.data)
    except DataUnavailableError as error:
        return Measured(unmeasured(CLAIMS, data, f"needs scikit-learn: {error}"))
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
        *over_vertices(runs.first(size.vertex_seeds), size, seconds, data),
    ]
    paired = runs.first(size.vertex_seeds)
    by_task = [chart_of_tasks_by_vertex(paired, size, method) for method in ("none", "rehearsal")]
    return Measured(rows, [chart_of_vertices(paired, size), *by_task, chart_of_tasks(runs), chart_of_fractions(runs)])


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
    note = f"learned {learned:.3f}, forgotten {forgotten:.3f}; {TUNED}; baseline: {NEIGHBOUR}"
    return Row(claim, mean, interval, len(told), seconds, data, runs.neighbour(method, MIDDLE), note)


def difference(claim: Claim, runs: Runs, method: str, other: str, seconds: float, data: str) -> Row:
    """The average accuracy of one method above that of another on the same tasks."""
    mean, interval = mean_interval(paired_differences(runs.accuracies(method, MIDDLE), runs.accuracies(other, MIDDLE)))
    note = f"average accuracy {runs.mean(method, MIDDLE):.3f}; {NEIGHBOUR} {runs.neighbour(method, MIDDLE):.3f}; {TUNED}"
    return Row(claim, mean, interval, len(runs.results[method, MIDDLE]), seconds, data, note=note)


def paired_differences(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Seed by seed, on the same tasks."""
    return [one - other for one, other in zip(values, others, strict=True)]


def reduction(runs: Runs, seconds: float, data: str) -> Row:
    """How much more each method knows at the end than none; the least of them counts.

    Forgetting alone would not do: a model that learns nothing after the first task forgets nothing.
    """
    least = min(AGAINST_FORGETTING, key=lambda method: runs.mean(method, MIDDLE))
    gains = paired_differences(runs.accuracies(least, MIDDLE), runs.accuracies("none", MIDDLE))
    forgotten = {method: fmean(one.forgetting for one in runs.evaluations(method, MIDDLE)) for method in SHOWN}
    told = ", ".join(f"{method} {value:.3f}" for method, value in forgotten.items())
    note = f"the least is {least}; forgotten: {told}; {TUNED}"
    return Row(REDUCED, *mean_interval(gains), len(gains), seconds, data, note=note)


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
        return unmeasured((STRONG, DIP), data, larger)
    leads = {}
    for n in size.vertices:
        best = max((method for method in AGAINST_FORGETTING if method != "rehearsal"), key=lambda method: runs.mean(method, n))
        leads[n] = paired_differences(runs.accuracies("rehearsal", n), runs.accuracies(best, n))
    dips = {}
    for method in GRADIENT_METHODS:
        lower = min((5, 20), key=lambda n: runs.mean(method, n))
        dips[method] = paired_differences(runs.accuracies(method, lower), runs.accuracies(method, 10))
    by_vertex = {f"n = {n}": lead for n, lead in leads.items()}
    return [least_of(claim, found, seconds, data) for claim, found in ((STRONG, by_vertex), (DIP, dips))]


def least_of(claim: Claim, found: dict[str, list[float]], seconds: float, data: str) -> Row:
    """The least of several mean differences counts."""
    least = min(found.values(), key=fmean)
    note = ", ".join(f"{name}: {fmean(values):.3f}" for name, values in found.items())
    return Row(claim, *mean_interval(least), len(least), seconds, data, note=f"{note}; {TUNED}")


def chart_of_vertices(runs: Runs, size: Size) -> Chart:
    series = [
        Series(method, tuple(map(float, size.vertices)), tuple(runs.mean(method, n) for n in size.vertices), style="line")
        for method in SHOWN
    ]
    labels = ("vertex n", "average accuracy after the last task")
    return Chart("vertices", f"{size.digits.tasks} permuted digits, one after the other", *labels, tuple(series), "log")


def chart_of_tasks_by_vertex(runs: Runs, size: Size, method: str) -> Chart:
    """What is left of each task at the end, against the vertex."""
    by_task = zip(*(runs.last(method, n) for n in size.vertices), strict=True)
    vertices = tuple(map(float, size.vertices))
    series = tuple(Series(f"task {number}", vertices, values, style="line") for number, values in enumerate(by_task, 1))
    return Chart(f"vertices-{method}", f"Each task after the last, {method}", "vertex n", "accuracy", series, "log")


def chart_of_tasks(runs: Runs) -> Chart:
    """What is left of each task at the end."""
    series = []
    for method in SHOWN:
        last = runs.last(method, MIDDLE)
        series.append(Series(method, tuple(range(1, len(last) + 1)), tuple(last), style="line"))
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
