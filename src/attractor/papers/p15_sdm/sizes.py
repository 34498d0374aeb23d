"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p15_sdm.training import Recipe, Split
from attractor.papers.p15_sdm.tuning import Grid
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        digits, mnist: the tasks; each network has as many neurons as there are unlabelled items.
        digits_recipe, mnist_recipe: how networks are trained; rate and strength are tuned where methods are compared.
        digits_grid, mnist_grid: what is tried for that.
        digits_seeds, mnist_seeds: independent choices of items and networks.
        adam_epochs, random_epochs: over each task, for stale momentum and for random addresses.
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
    adam_epochs: int
    random_epochs: int
    width: int
    locations: int
    loads: tuple[int, ...]
    memories: int


RATE = 0.5
RATES = (0.004, 0.02, 0.1, 0.5, 2.5)
STRENGTHS = (0.1, 1.0, 10.0, 100.0)
LOADS = (100, 200, 400, 800, 1600)
DIGITS, MNIST = Split("digits", 400, 997, 400), Split("mnist-5k", 1000, 3000, 1000)

SIZES: dict[Scale, Size] = {
    "smoke": Size(
        digits=Split("digits", 200, 600, 300),
        digits_recipe=Recipe(4, 32, RATE),
        digits_grid=Grid((0.02, 0.5), (1.0,), 1),
        digits_seeds=2,
        mnist=Split("mnist-5k", 200, 300, 200),
        mnist_recipe=Recipe(1, 32, RATE),
        mnist_grid=Grid((0.02, 0.5), (1.0,), 1),
        mnist_seeds=1,
        adam_epochs=1,
        random_epochs=1,
        width=256,
        locations=10_000,
        loads=LOADS,
        memories=1,
    ),
    "laptop": Size(
        digits=DIGITS,
        digits_recipe=Recipe(10, 32, RATE),
        digits_grid=Grid(RATES, STRENGTHS, 2),
        digits_seeds=5,
        mnist=MNIST,
        mnist_recipe=Recipe(15, 64, RATE),
        mnist_grid=Grid(RATES, STRENGTHS, 1),
        mnist_seeds=3,
        adam_epochs=12,
        random_epochs=10,
        width=256,
        locations=10_000,
        loads=LOADS,
        memories=5,
    ),
    "full": Size(
        digits=DIGITS,
        digits_recipe=Recipe(10, 32, RATE),
        digits_grid=Grid(RATES, STRENGTHS, 5),
        digits_seeds=20,
        mnist=MNIST,
        mnist_recipe=Recipe(15, 64, RATE),
        mnist_grid=Grid(RATES, STRENGTHS, 3),
        mnist_seeds=10,
        adam_epochs=12,
        random_epochs=10,
        width=256,
        locations=10_000,
        loads=(50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600),
        memories=20,
    ),
}
