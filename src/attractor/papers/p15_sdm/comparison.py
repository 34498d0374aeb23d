"""Several methods on the same tasks and seeds: what the rows and figures of digits and of MNIST are made of."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from attractor.data import DataUnavailableError
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p15_sdm.training import Recipe, Split, images, learn, yardsticks
from attractor.papers.p15_sdm.tuning import Grid, Method, tuned
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

CLASS_MEAN = "nearest class mean"
NEIGHBOUR = "nearest neighbour"


class Comparison:
    """The results of methods on the same tasks, seed by seed, each with the rate and strength that are best on held-out items.

    Args:
        methods: by the name that tables and figures give them.
        split, recipe: the tasks, and how networks learn them, but for the rate and the strength of a penalty.
        grid: to choose these from.
        seeds: independent choices of items and networks.
        tell: of the progress.
    """

    def __init__(self, methods: Mapping[str, Method], split: Split, recipe: Recipe, grid: Grid, seeds: Sequence[int], tell: Tell):
        start = time.perf_counter()
        self.tuned = tuned(methods, split, recipe, grid, lambda done: tell(0.65 * done))
        points = [(*one[:2], seed, *split, *self.tuned[name].recipe) for name, one in methods.items() for seed in seeds]
        found = sweep(learn, points, lambda done: tell(0.65 + 0.3 * done))
        self.runs = {name: found[place * len(seeds) : (place + 1) * len(seeds)] for place, name in enumerate(methods)}
        self.yardsticks: list[dict[str, float]] = sweep(yardsticks, [(seed, *split) for seed in seeds])
        self.seconds = time.perf_counter() - start
        self.data = f"{split.data}, {split.items} items to learn, {split.tests} to test, {split.pool} without labels"

    def accuracy(self, claim: Claim, name: str, note: str = "") -> Row:
        """The accuracy on all classes after the last task."""
        mean, interval = mean_interval(last(self.runs[name]))
        dead = fmean(one["dead"] for one in self.runs[name])
        return self._row(claim, mean, interval, "; ".join(filter(None, (note, self.choice(name), f"dead {dead:.2f}"))))

    def lead(self, claim: Claim, name: str, other: str, note: str = "") -> Row:
        """How far a method is above another or above a yardstick, seed by seed."""
        others = last(self.runs[other]) if other in self.runs else self.yardstick(other)
        mean, interval = mean_interval([one - theirs for one, theirs in zip(last(self.runs[name]), others, strict=True)])
        words = (note, self.told(name), self.told(other) if other in self.runs else f"{other}: {fmean(others):.3f}")
        return self._row(claim, mean, interval, "; ".join(filter(None, words)))

    def choice(self, name: str) -> str:
        """What tuning chose for a method, and among what, in words; none where nothing was to be chosen."""
        recipe, rates, strengths = self.tuned[name]
        words = []
        if rates:
            words.append(f"best rate {recipe.rate:g} of {min(rates):g} to {max(rates):g}")
        if strengths:
            words.append(f"strength {recipe.strength:g} of {min(strengths):g} to {max(strengths):g}")
        return ", ".join(words)

    def value(self, name: str) -> float:
        """The mean accuracy after the last task."""
        return fmean(last(self.runs[name]))

    def told(self, name: str) -> str:
        """The same in words, with what tuning chose."""
        return ", ".join(filter(None, (f"{name}: {self.value(name):.3f}", self.choice(name))))

    def yardstick(self, name: str) -> list[float]:
        return [one[name] for one in self.yardsticks]

    @property
    def all_at_once(self) -> str:
        """What those reach that see all classes at once, in words."""
        return "all classes at once: " + ", ".join(f"{name} {fmean(self.yardstick(name)):.3f}" for name in self.yardsticks[0])

    def by_task(self, name: str, title: str, methods: Iterable[str]) -> Chart:
        """Accuracy on all classes against the tasks learned."""
        series = []
        for label in methods:
            means = tuple(map(fmean, zip(*(one["accuracies"] for one in self.runs[label]), strict=True)))
            series.append(Series(label, tuple(range(1, len(means) + 1)), means, style="line"))
        return Chart(name, title, "tasks learned", "accuracy on all classes", tuple(series))

    def by_rate(self, name: str, title: str, methods: Iterable[str]) -> Chart:
        """Accuracy on held-out items after the last task, against the learning rate."""
        tried = {label: self.tuned[label].rates for label in methods}
        series = tuple(Series(label, tuple(rates), tuple(rates.values()), style="line") for label, rates in tried.items())
        return Chart(name, title, "learning rate", "accuracy on held-out items", series, "log")

    def _row(self, claim: Claim, mean: float, interval: tuple[float, float] | None, note: str) -> Row:
        neighbour = fmean(self.yardstick(NEIGHBOUR))
        return Row(claim, mean, interval, len(self.yardsticks), self.seconds, self.data, neighbour, note)


def last(results: Sequence[dict[str, Any]]) -> list[float]:
    """Accuracies after the last task."""
    return [one["accuracies"][-1] for one in results]


def unavailable(claims: Sequence[Claim], split: Split) -> Measured | None:
    """Rows that say why nothing could be measured, or None where the images are here."""
    try:
        images(split.data)
    except DataUnavailableError as error:
        return Measured(unmeasured(claims, split.data, error))
    return None
