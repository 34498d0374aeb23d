"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attractor.papers.p15_sdm.claims import ONE_RATE
from attractor.papers.p15_sdm.training import Recipe, Split
from attractor.papers.p15_sdm.tuning import Grid, Ladder
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        digits, mnist: the tasks; each network has as many neurons as there are unlabelled items.
        digits_recipe, mnist_recipe: how networks are trained; rate and strength are tuned where methods are compared.
        digits_grid, mnist_grid: what is tried for that.
        digits_seeds, mnist_seeds: independent choices of items and networks.
        silence: the tasks for stale momentum and for random addresses.
        silence_recipe: how networks are trained with random addresses; Adam has a rate of its own.
        adam_epochs: over each task, for stale momentum.
        silence_seeds: as above.
        width, locations: of Kanerva's memory.
        loads: numbers of patterns in it.
        memories: independent ones.
    """

    digits: Split
    digits_recipe: Recipe
    digits_grid: Grid
    digits_seeds: int
    mnist: Split
    mnist_recipe: Recipe
    mnist_grid: Grid
    mnist_seeds: int
    silence: Split
    silence_recipe: Recipe
    adam_epochs: int
    silence_seeds: int
    width: int
    locations: int
    loads: tuple[int, ...]
    memories: int


RATES = Ladder(0.1, 5.0, first=2, last=6)
STRENGTHS = Ladder(1.0, 10.0, first=1, last=4)
FEW = Grid(RATES._replace(first=1, last=1), STRENGTHS._replace(first=0), 1)
LOADS = (100, 200, 400, 800, 1600)
DIGITS, MNIST_5K, MNIST = Split("digits", 400, 997, 400), Split("mnist-5k", 1000, 3000, 1000), Split("mnist", 1000, 59_000, 10_000)
TINY = Split("mnist-5k", 200, 300, 200)

LAPTOP = Size(
    digits=DIGITS,
    digits_recipe=Recipe(10, 32, ONE_RATE),
    digits_grid=Grid(RATES, STRENGTHS, 1),
    digits_seeds=5,
    mnist=MNIST_5K,
    mnist_recipe=Recipe(15, 64, ONE_RATE),
    mnist_grid=Grid(RATES._replace(first=1), STRENGTHS, 1),
    mnist_seeds=3,
    silence=MNIST_5K,
    silence_recipe=Recipe(10, 64, ONE_RATE),
    adam_epochs=12,
    silence_seeds=3,
    width=256,
    locations=10_000,
    loads=LOADS,
    memories=2,
)

SIZES: dict[Scale, Size] = {
    "smoke": Size(
        digits=Split("digits", 200, 600, 300),
        digits_recipe=Recipe(4, 32, ONE_RATE),
        digits_grid=FEW,
        digits_seeds=1,
        mnist=TINY,
        mnist_recipe=Recipe(1, 32, ONE_RATE),
        mnist_grid=FEW,
        mnist_seeds=1,
        silence=TINY,
        silence_recipe=Recipe(1, 32, ONE_RATE),
        adam_epochs=1,
        silence_seeds=1,
        width=256,
        locations=10_000,
        loads=LOADS,
        memories=1,
    ),
    "laptop": LAPTOP,
    "full": replace(
        LAPTOP,
        digits_grid=Grid(RATES, STRENGTHS, 5),
        digits_seeds=20,
        mnist=MNIST,
        mnist_recipe=Recipe(2, 64, ONE_RATE),
        mnist_grid=Grid(RATES, STRENGTHS, 2),
        mnist_seeds=5,
        silence_seeds=10,
        loads=(50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600),
        memories=20,
    ),
}
