"""Several methods on the same tasks and seeds: what the rows and figures of digits and of MNIST are made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from attractor.data import DataUnavailableError, load
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p15_sdm.training import Recipe, Split, learn, learn_as_fly, yardsticks
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

FLY = "FlyModel"
FLY_RATES = (0.005, 0.05)
FLY_ACTIVE = 32
FLY_CELLS = 1000
CLASS_MEAN = "nearest class mean"
NEIGHBOUR = "nearest neighbour"


class Method(NamedTuple):
    """`network` of `NETWORKS` and `strategy` of `STRATEGIES`; `slow` for a tenth of the learning rate."""

    network: str
    strategy: str = ""
    slow: bool = False


class Comparison:
    """The results of methods on the same tasks, seed by seed.

    Args:
        methods: by the name that tables and figures give them; the FlyModel and the yardsticks come on top.
        split, recipe: the tasks, and how an SDMLP learns them.
        seeds: independent choices of items and networks.
        tell: of the progress.
    """

    def __init__(self, methods: Mapping[str, Method], split: Split, recipe: Recipe, seeds: Sequence[int], tell: Tell):
        start = time.perf_counter()
        slow = recipe._replace(rate=recipe.rate / 10)
        points = [
            (one.network, one.strategy, seed, *split, *(slow if one.slow else recipe)) for one in methods.values() for seed in seeds
        ]
        found = sweep(learn, points, lambda done: tell(0.9 * done))
        self.runs = {name: found[place * len(seeds) : (place + 1) * len(seeds)] for place, name in enumerate(methods)}
        flies = [sweep(learn_as_fly, [(FLY_CELLS, FLY_ACTIVE, rate, seed, *split) for seed in seeds]) for rate in FLY_RATES]
        self.runs[FLY] = max(flies, key=lambda results: fmean(last(results)))
        self.fly_rate = FLY_RATES[flies.index(self.runs[FLY])]
        self.yardsticks: list[dict[str, float]] = sweep(yardsticks, [(seed, *split) for seed in seeds])
        self.seconds = time.perf_counter() - start
        self.data = f"{split.data}, {split.items} items to learn, {split.tests} to test, {split.pool} without labels"

    def accuracy(self, claim: Claim, name: str, note: str = "") -> Row:
        """The accuracy on all classes after the last task."""
        mean, interval = mean_interval(last(self.runs[name]))
        words = [note] if note else []
        if name == FLY:
            words.append(f"the better of the rates {FLY_RATES}: {self.fly_rate:g}")
        words.append(f"dead {fmean(one['dead'] for one in self.runs[name]):.2f}" if name != FLY else "")
        return self._row(claim, mean, interval, "; ".join(filter(None, words)))

    def lead(self, claim: Claim, name: str, others: Sequence[float], of: str) -> Row:
        """How far a method is above `others`, seed by seed."""
        mean, interval = mean_interval([one - other for one, other in zip(last(self.runs[name]), others, strict=True)])
        return self._row(claim, mean, interval, f"{name} {fmean(last(self.runs[name])):.3f}, {of} {fmean(others):.3f}")

    def last(self, name: str) -> list[float]:
        return last(self.runs[name])

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
