"""Several methods on the same tasks and seeds: what the rows and figures of digits and of MNIST are made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from attractor.data import DataUnavailableError, load
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p15_sdm.training import PENALTIES, Recipe, Split, learn, learn_as_fly, yardsticks
from attractor.papers.p15_sdm.tuning import Grid, Method, tuned, tuned_fly
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

FLY = "FlyModel"
FLY_ACTIVE = 32
CLASS_MEAN = "nearest class mean"
NEIGHBOUR = "nearest neighbour"


class Comparison:
    """The results of methods on the same tasks, seed by seed, each with the rate and strength that are best on other seeds.

    Args:
        methods: by the name that tables and figures give them; the FlyModel and the yardsticks come on top.
        split, recipe: the tasks, and how networks learn them, but for the rate and the strength of a penalty.
        grid: to choose these from.
        seeds: independent choices of items and networks.
        tell: of the progress.
    """

    def __init__(self, methods: Mapping[str, Method], split: Split, recipe: Recipe, grid: Grid, seeds: Sequence[int], tell: Tell):
        start = time.perf_counter()
        self.methods, self.grid = methods, grid
        self.recipes = tuned(methods, split, recipe, grid, lambda done: tell(0.6 * done))
        points = [(*one, seed, *split, *self.recipes[name]) for name, one in methods.items() for seed in seeds]
        found = sweep(learn, points, lambda done: tell(0.6 + 0.35 * done))
        self.runs = {name: found[place * len(seeds) : (place + 1) * len(seeds)] for place, name in enumerate(methods)}
        self.fly_rate = tuned_fly(FLY_ACTIVE, split, grid)
        self.runs[FLY] = sweep(learn_as_fly, [(FLY_ACTIVE, self.fly_rate, seed, *split) for seed in seeds])
        self.yardsticks: list[dict[str, float]] = sweep(yardsticks, [(seed, *split) for seed in seeds])
        self.seconds = time.perf_counter() - start
        self.data = f"{split.data}, {split.items} items to learn, {split.tests} to test, {split.pool} without labels"

    def accuracy(self, claim: Claim, name: str, note: str = "") -> Row:
        """The accuracy on all classes after the last task."""
        mean, interval = mean_interval(last(self.runs[name]))
        words = [note, self.choice(name)]
        if name != FLY:
            words.append(f"dead {fmean(one['dead'] for one in self.runs[name]):.2f}")
        return self._row(claim, mean, interval, "; ".join(filter(None, words)))

    def choice(self, name: str) -> str:
        """What tuning chose for a method, in words."""
        if name == FLY:
            return f"rate {self.fly_rate:g}"
        strength = f", strength {self.recipes[name].strength:g}" if self.methods[name].strategy in PENALTIES else ""
        return f"rate {self.recipes[name].rate:g}{strength}"

    def lead(self, claim: Claim, name: str, other: str) -> Row:
        """How far a method is above another or above a yardstick, seed by seed."""
        others = last(self.runs[other]) if other in self.runs else self.yardstick(other)
        mean, interval = mean_interval([one - theirs for one, theirs in zip(last(self.runs[name]), others, strict=True)])
        chosen = f", {self.choice(other)}" if other in self.runs else ""
        return self._row(claim, mean, interval, f"{self.mean(name)}, {self.choice(name)}; {other} {fmean(others):.3f}{chosen}")

    def mean(self, name: str) -> str:
        """The accuracy after the last task, in words."""
        return f"{name} {fmean(last(self.runs[name])):.3f}"

    def yardstick(self, name: str) -> list[float]:
        return [one[name] for one in self.yardsticks]

    @property
    def all_at_once(self) -> str:
        """What those reach that see all classes at once, in words."""
        return "all classes at once: " + ", ".join(f"{name} {fmean(self.yardstick(name)):.3f}" for name in self.yardsticks[0])

    def chart(self, name: str, title: str) -> Chart:
        """The accuracy on all classes after each task."""
        series = []
        for label, results in self.runs.items():
            means = tuple(map(fmean, zip(*(one["accuracies"] for one in results), strict=True)))
            series.append(Series(label, tuple(range(1, len(means) + 1)), means, style="line"))
        return Chart(name, title, "tasks learned", "accuracy on all classes", tuple(series))

    def _row(self, claim: Claim, mean: float, interval: tuple[float, float] | None, note: str) -> Row:
        neighbour = fmean(self.yardstick(NEIGHBOUR))
        return Row(claim, mean, interval, len(self.yardsticks), self.seconds, self.data, neighbour, note)


def last(results: Sequence[dict[str, Any]]) -> list[float]:
    """Accuracies after the last task."""
    return [one["accuracies"][-1] for one in results]


def unavailable(claims: Sequence[Claim], split: Split) -> Measured | None:
    """Rows that say why nothing could be measured, or None where the images are here."""
    try:
        load(split.data, limit=1)
    except DataUnavailableError as error:
        return Measured([Row(claim, None, None, 0, 0.0, split.data, note=str(error)) for claim in claims])
    return None
