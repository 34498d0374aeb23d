"""The classic network learning by errors: how much of a first, large task single patterns leave, with and without rehearsal."""

from __future__ import annotations

import time
import warnings
from statistics import fmean

import torch

from attractor.errors import NotConvergedWarning
from attractor.estimators.sequential import random_patterns
from attractor.memory.delta_rules import learn_by_errors, stable_share
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p06_sequential_learning.claims import CLASSIC, PATTERNS, UNITS
from attractor.papers.p06_sequential_learning.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

DATA = f"random patterns of -1 and 1, N = {UNITS}"
TEMPERATURES = (1000.0, 50.0)
EPOCHS = 300


def measure_classic(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the thermal delta rule with and without rehearsal, and how much of the first task is left along the way."""
    start = time.perf_counter()
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    curves = ((False, TEMPERATURES[0]), (True, TEMPERATURES[0]), (False, TEMPERATURES[1]))
    points = [(rehearsal, temperature, one) for rehearsal, temperature in curves for one in seeds]
    found = sweep(first_task_left, points, tell)
    left = {curve: found[number * len(seeds) : (number + 1) * len(seeds)] for number, curve in enumerate(curves)}
    seconds = time.perf_counter() - start
    rows = []
    for rehearsal, claim in CLASSIC.items():
        mean, interval = mean_interval([one[-1] for one in left[rehearsal, TEMPERATURES[0]]])
        means = ", ".join(f"{fmean(column):.2f}" for column in zip(*left[rehearsal, TEMPERATURES[0]], strict=True))
        rows.append(Row(claim, mean, interval, len(seeds), seconds, DATA, note=f"after each task {means}"))
    tasks = tuple(range(1, len(PATTERNS) + 1))
    series = tuple(
        Series(
            f"{'rehearsal' if rehearsal else 'no rehearsal'}, T = {temperature:g}",
            tasks,
            tuple(map(fmean, zip(*shares, strict=True))),
            style="line",
        )
        for (rehearsal, temperature), shares in left.items()
    )
    title = f"Classic network, {' + '.join(map(str, PATTERNS))} random patterns"
    return Measured(rows, [Chart("classic", title, "tasks learned", "first task: share of its patterns that is stable", series)])


def first_task_left(rehearsal: bool, temperature: float, seed: int) -> list[float]:
    """The share of the patterns of the first task that are stable after each task, from random couplings on."""
    tasks = [task.items for task in random_patterns(PATTERNS, UNITS, seed=seed)]
    couplings = torch.randn(UNITS, UNITS, generator=torch.Generator().manual_seed(seed))
    shares = []
    for number, patterns in enumerate(tasks):
        shown = torch.cat(tasks[: number + 1]) if rehearsal else patterns
        # a cold rule may stop before all patterns are at rest, which is a part of what is measured
        with warnings.catch_warnings(action="ignore", category=NotConvergedWarning):
            couplings = learn_by_errors(couplings, shown, temperature=temperature, epochs=EPOCHS).couplings
        shares.append(stable_share(couplings, tasks[0]))
    return shares
