"""The learning rate of each method, and the strength of its penalty: the best of one grid for all, on splits that no row uses.

The splits are others, the images partly the same: digits are too few to set some aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from attractor.papers.p15_sdm.training import PENALTIES, Recipe, Split, learn, learn_as_fly
from attractor.papers.parts import Tell
from attractor.papers.sweep import sweep

FIRST_SEED = 10_000
"""Of the splits to tune on; those of the rows begin at 0."""


One = TypeVar("One")


class Method(NamedTuple):
    """`network` of `NETWORKS`, and a strategy's name."""

    network: str
    strategy: str = ""


class Grid(NamedTuple):
    """What is tried: `rates` by all methods, `strengths` by those with a penalty; on so many `seeds`."""

    rates: tuple[float, ...]
    strengths: tuple[float, ...]
    seeds: int


def tuned(methods: Mapping[str, Method], split: Split, recipe: Recipe, grid: Grid, tell: Tell) -> dict[str, Recipe]:
    """`recipe` with the rate and the strength that are best for each of the methods, by their names."""
    tried = {
        name: [
            recipe._replace(rate=rate, strength=strength)
            for rate, strength in product(grid.rates, grid.strengths if one.strategy in PENALTIES else (recipe.strength,))
        ]
        for name, one in methods.items()
    }
    points = [
        (*methods[name], seed, *split, *one) for name, recipes in tried.items() for one in recipes for seed in tuning_seeds(grid)
    ]
    found = iter(means(sweep(end, points, tell), grid))
    return {name: best(recipes, [next(found) for _ in recipes]) for name, recipes in tried.items()}


def tuned_fly(active: int, split: Split, grid: Grid) -> float:
    """The best rate of the FlyModel."""
    points = [(active, rate, seed, *split) for rate in grid.rates for seed in tuning_seeds(grid)]
    return best(grid.rates, means([one["accuracies"][-1] for one in sweep(learn_as_fly, points)], grid))


def end(network: str, strategy: str, seed: int, *plain: Any) -> float:
    """The accuracy on all classes after the last task; 0 where learning diverges."""
    try:
        return float(learn(network, strategy, seed, *plain)["accuracies"][-1])
    except FloatingPointError:
        return 0.0


def tuning_seeds(grid: Grid) -> range:
    return range(FIRST_SEED, FIRST_SEED + grid.seeds)


def means(values: Sequence[float], grid: Grid) -> list[float]:
    """Over the seeds, which run fastest."""
    return [fmean(values[start : start + grid.seeds]) for start in range(0, len(values), grid.seeds)]


def best(tried: Sequence[One], accuracies: Sequence[float]) -> One:
    """The first of the best."""
    return tried[max(range(len(tried)), key=lambda place: accuracies[place])]
