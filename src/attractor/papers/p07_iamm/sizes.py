"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p07_iamm.dialogue import Setting
from attractor.papers.report import Scale

LAPTOP = Setting(
    words=2000,
    dim=64,
    filters=50,
    partners=5,
    keep=5,
    steps=2500,
    batch_size=16,
    warm_up=400,
    factor=0.5,
    validation=200,
    checks=4,
    tests=1000,
    said=150,
    hinted=48,
)
SMOKE = LAPTOP._replace(
    words=300, dim=16, filters=8, steps=2, batch_size=4, warm_up=2, validation=4, checks=1, tests=20, said=4, hinted=0
)
PAPERS = Setting(
    words=24_000,
    dim=300,
    filters=50,
    partners=15,
    keep=5,
    steps=17_000,
    batch_size=16,
    warm_up=8000,
    factor=1.0,
    validation=5700,
    checks=20,
    tests=6000,
    said=6000,
    hinted=0,
)


@dataclass(frozen=True)
class Size:
    """How much to measure. Training on planted associations ends where a claim's accuracy is reached.

    Attributes:
        steps: at most, of the plain encoder, and of all heads, on planted associations.
        memory_steps: at most, of the memory's head alone.
        choice_steps: of the memory's head with one row a side.
        every: so many steps the accuracy is measured.
        tests: dialogues of which each accuracy is measured.
        seeds: of tables, weights and data.
        learned: exchanges that the linear model learns from at most.
        dialogue: training on real dialogue.
        dialogue_seeds: of weights and orders there.
        bare_seeds: the same where no situation is given.
        published: training on EmpatheticDialogues; None: not at this scale.
    """

    steps: int = 800
    memory_steps: int = 1500
    choice_steps: int = 1200
    every: int = 200
    tests: int = 2000
    seeds: int = 1
    learned: int = 100_000
    dialogue: Setting = LAPTOP
    dialogue_seeds: int = 3
    bare_seeds: int = 1
    published: Setting | None = None


SIZES: dict[Scale, Size] = {
    "smoke": Size(steps=10, memory_steps=10, choice_steps=10, tests=100, learned=500, dialogue=SMOKE, dialogue_seeds=1),
    "laptop": Size(),
    "full": Size(
        seeds=5,
        dialogue=PAPERS._replace(words=8000, steps=8000, warm_up=2000, validation=3000, hinted=300),
        dialogue_seeds=5,
        bare_seeds=5,
        published=PAPERS,
    ),
}
