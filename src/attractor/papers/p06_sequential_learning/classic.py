"""The classic network learning by errors: how much of a first, large task single patterns leave.

With no method, with rehearsal of all earlier patterns, and with pseudorehearsal of the states that random probes settle in:
found once, after the first task, or anew before each task.
"""

from __future__ import annotations

import time
import warnings
from statistics import fmean

import torch

from attractor.errors import NotConvergedWarning
from attractor.estimators.sequential import random_patterns, random_signs
from attractor.memory.delta_rules import learn_by_errors, stable_share, stable_states
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
PROBES = 100


def measure_classic(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the thermal delta rule with each method, and how much of the first task is left along the way."""
    start = time.perf_counter()
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    curves = [(method, TEMPERATURES[0]) for method in CLASSIC] + [("no rehearsal", TEMPERATURES[1])]
    points = [(method, temperature, one) for method, temperature in curves for one in seeds]
    found = sweep(first_task_left, points, tell)
    left = {curve: found[number * len(seeds) : (number + 1) * len(seeds)] for number, curve in enumerate(curves)}
    seconds = time.perf_counter() - start
    rows = []
    for method, claim in CLASSIC.items():
        mean, interval = mean_interval([one[-1] for one in left[method, TEMPERATURES[0]]])
        means = ", ".join(f"{fmean(column):.2f}" for column in zip(*left[method, TEMPERATURES[0]], strict=True))
        rows.append(Row(claim, mean, interval, len(seeds), seconds, DATA, note=f"after each task {means}"))
    tasks = tuple(range(1, len(PATTERNS) + 1))
    series = tuple(
        Series(
            f"{method}, T = {temperature:g}",
            tasks,
            tuple(map(fmean, zip(*shares, strict=True))),
            style="line",
        )
        for (method, temperature), shares in left.items()
    )
    title = f"Classic network, {' + '.join(map(str, PATTERNS))} random patterns"
    return Measured(rows, [Chart("classic", title, "tasks learned", "first task: share of its patterns that is stable", series)])


def first_task_left(method: str, temperature: float, seed: int) -> list[float]:
    """The share of the patterns of the first task that are stable after each task, from random couplings on."""
    tasks = [task.items for task in random_patterns(PATTERNS, UNITS, seed=seed)]
    couplings = torch.randn(UNITS, UNITS, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    shares: list[float] = []
    held = torch.empty(0, UNITS)
    for number, patterns in enumerate(tasks):
        shown = torch.cat(tasks[: number + 1]) if method == "rehearsal" else patterns
        if method.startswith("pseudorehearsal") and (number == 1 or (number > 1 and method.endswith("each task"))):
            held = stable_states(couplings, random_signs((PROBES, UNITS), generator), generator=generator)
        shown = torch.cat([shown, held])
        # a cold rule may stop before all patterns are at rest, which is a part of what is measured
        with warnings.catch_warnings(action="ignore", category=NotConvergedWarning):
            couplings = learn_by_errors(couplings, shown, temperature=temperature, epochs=EPOCHS).couplings
        shares.append(stable_share(couplings, tasks[0]))
    return shares
