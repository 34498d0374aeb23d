"""The learning rate of each method, and the strength of its penalty: what is best on a held-out part of the items to learn.

All methods start from the same grid, which is widened for each of them until its best lies inside. Test items have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

from attractor.papers.p15_sdm.penalties import PENALTIES
from attractor.papers.p15_sdm.training import Recipe, Split, learn
from attractor.papers.parts import Tell
from attractor.papers.sweep import sweep

FIRST_SEED = 10_000
"""Of the networks and items to tune with; those of the rows begin at 0."""

Found = dict[int, float]
"""Accuracies by the place on a ladder."""


class Method(NamedTuple):
    """`network` of `NETWORKS` or the FlyModel, a strategy's name, and the learning `rate`, None for the best one."""

    network: str
    strategy: str = ""
    rate: float | None = None


class Ladder(NamedTuple):
    """The numbers `middle * factor ** place`.

    Tried first are the places from `-first` to `first`, then their neighbours as far as `last`, while the best lies at an end.
    """

    middle: float
    factor: float
    first: int
    last: int

    def at(self, place: int) -> float:
        return round(self.middle * self.factor**place, 12)

    def next(self, found: Found) -> list[int]:
        """The places to try after those `found`; none when the best lies inside."""
        start = [place for place in range(-self.first, self.first + 1) if place not in found]
        return start or [place for place in (best(found) - 1, best(found) + 1) if place not in found and abs(place) <= self.last]


class Grid(NamedTuple):
    """What is tried: `rates` by all methods, then `strengths` by those with a penalty; on so many `seeds`."""

    rates: Ladder
    strengths: Ladder
    seeds: int


class Tuned(NamedTuple):
    """The `recipe` of a method, and the accuracies by what was tried: `rates`, none where it was given, and `strengths`."""

    recipe: Recipe
    rates: dict[float, float]
    strengths: dict[float, float]


def tuned(methods: Mapping[str, Method], split: Split, recipe: Recipe, grid: Grid, tell: Tell) -> dict[str, Tuned]:
    """`recipe` with the rate and the strength that are best for each of the methods, by their names."""
    # those with penalties take longest, and so begin
    order = sorted(methods, key=lambda name: methods[name].strategy not in PENALTIES)
    points = {
        name: (*methods[name][:2], grid.seeds, *grid.rates, *grid.strengths, *split._replace(tuning=True), *recipe)
        for name in order
        if methods[name].rate is None
    }
    found = {
        name: Tuned(recipe._replace(rate=one["rate"], strength=one["strength"]), dict(one["rates"]), dict(one["strengths"]))
        for name, one in zip(points, sweep(tune, list(points.values()), tell), strict=True)
    }
    given = {name: Tuned(recipe._replace(rate=one.rate), {}, {}) for name, one in methods.items() if one.rate is not None}
    return found | given


def tune(network: str, strategy: str, seeds: int, *plain: Any) -> dict[str, Any]:
    """Try rates, and then strengths at the best of them.

    The arguments are plain values, for a sweep: of a ladder of rates, of one of strengths, of a `Split` and of a `Recipe`.

    Returns:
        `rate` and `strength` that are best, `rates` and `strengths` that were tried, with their accuracies.
    """
    width = len(Ladder._fields)
    rates, strengths, rest = Ladder(*plain[:width]), Ladder(*plain[width : 2 * width]), plain[2 * width :]
    split, recipe = Split(*rest[: len(Split._fields)]), Recipe(*rest[len(Split._fields) :])

    def accuracy(rate: float, strength: float) -> float:
        tried = recipe._replace(rate=rate, strength=strength)
        return fmean(end(network, strategy, FIRST_SEED + one, *split, *tried) for one in range(seeds))

    by_rate = climb(rates, lambda rate: accuracy(rate, strengths.middle), {})
    rate, highest = rates.at(best(by_rate)), by_rate[best(by_rate)]
    by_strength: Found = {0: highest}
    if strategy in PENALTIES:
        by_strength = climb(strengths, lambda strength: accuracy(rate, strength), by_strength)
    return {
        "rate": rate,
        "strength": strengths.at(best(by_strength)),
        "rates": numbers(rates, by_rate),
        "strengths": numbers(strengths, by_strength) if strategy in PENALTIES else [],
    }


def climb(ladder: Ladder, accuracy: Callable[[float], float], found: Found) -> Found:
    """What is `found`, and the accuracies at further places, until the best lies inside."""
    while places := ladder.next(found):
        found = found | {place: accuracy(ladder.at(place)) for place in places}
    return found


def end(network: str, strategy: str, seed: int, *plain: Any) -> float:
    """The accuracy on all classes after the last task; 0 where learning diverges."""
    try:
        return float(learn(network, strategy, seed, *plain)["accuracies"][-1])
    except FloatingPointError:
        return 0.0


def best(found: Found) -> int:
    """The place of the highest accuracy; of equal ones, that nearest to the middle."""
    return max(found, key=lambda place: (found[place], -abs(place)))


def numbers(ladder: Ladder, found: Found) -> list[tuple[float, float]]:
    """What was tried, which rises, and its accuracies."""
    return [(ladder.at(place), found[place]) for place in sorted(found)]
