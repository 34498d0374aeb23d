"""The run of all measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import Any

from attractor.language.iamm import IAMMConfig
from attractor.papers.claim import Claim, Row
from attractor.papers.p07_iamm.claims import (
    CHOICE,
    FIVE_PAIR,
    FIVE_RANDOM_PAIR,
    FULL,
    HARD,
    LARGE,
    LARGE_CHOICE,
    LARGE_HARD,
    MEMORY,
    PAIR,
    PAPER,
    PARTNER,
    PLAIN,
    RANDOM_PAIR,
    RANDOM_PARTNER,
)
from attractor.papers.p07_iamm.planted import learn
from attractor.papers.p07_iamm.real import Run, listed, measure_dialogue, measure_published, seconds_of
from attractor.papers.p07_iamm.sizes import SIZES, Size
from attractor.papers.parts import Measured, Part, Tell, reproduction
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("planted association", 0.3, partial(measure_planted, size)),
        Part("real dialogue", 0.7, partial(measure_dialogue, size)),
        Part("the paper's table", 0.01 if size.published is None else 5.0, partial(measure_published, size)),
    ]


def measure_planted(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of the planted association."""
    trainings: dict[str, tuple[Any, ...]] = {
        "plain": ("plain", size.steps, 5, 5, "hard", 1, PLAIN.least),
        "full": ("full", size.steps, 5, 5, "hard", 1, FULL.least),
        "memory": ("memory", size.memory_steps, 5, 5, "hard", 1, MEMORY.least),
        "hard": ("memory", size.choice_steps, 3, 1, "hard", 1, None),
        "soft": ("memory", size.choice_steps, 3, 1, "soft", 1, None),
        "large hard": ("memory", size.choice_steps, 3, 1, "hard", LARGE, None),
        "large soft": ("memory", size.choice_steps, 3, 1, "soft", LARGE, None),
    }
    points = [
        (kind, steps, size.every, size.tests, seed + one, partners, keep, selection, scale * IAMMConfig.deviation, enough)
        for kind, steps, partners, keep, selection, scale, enough in trainings.values()
        for one in range(size.seeds)
    ]
    found = sweep(learn, points, tell)
    runs = {name: found[size.seeds * place : size.seeds * (place + 1)] for place, name in enumerate(trainings)}

    def row(claim: Claim, values: Sequence[float], of: Sequence[Run]) -> Row:
        """Of one training the interval is that of its tests."""
        mean, interval = mean_interval(values)
        steps = ", ".join(f"{run['curve'][-1][0]:,}" for run in of)
        note = f"after {steps} steps"
        if size.seeds == 1:
            interval, note = wilson(round(mean * size.tests), size.tests), f"{note} of one training; the interval is of the tests"
        return Row(claim, mean, interval, size.seeds, seconds_of(of), f"generated, {size.tests:,} tests", note=note)

    def ends(name: str) -> list[float]:
        return [run["accuracy"] for run in runs[name]]

    def compared(claim: Claim, soft: str, hard: str) -> Row:
        gains = [one - other for one, other in zip(ends(soft), ends(hard), strict=True)]
        both = [*runs[soft], *runs[hard]]
        told = f"soft {listed(ends(soft))}; the paper's {listed(ends(hard))}, which leaves {1 - fmean(ends(hard)):.3g} to gain"
        told += "; one training of each" if size.seeds == 1 else ""
        return Row(claim, *mean_interval(gains), len(gains), seconds_of(both), f"generated, {size.tests:,} tests", note=told)

    def shares(name: str, whose: str, which: int) -> list[float]:
        return [run[whose][which] for run in runs[name]]

    return Measured(
        [
            *(row(claim, ends(name), runs[name]) for claim, name in ((PLAIN, "plain"), (FULL, "full"), (MEMORY, "memory"))),
            compared(CHOICE, "soft", "hard"),
            row(HARD, ends("hard"), runs["hard"]),
            row(PARTNER, shares("hard", "chosen", 0), runs["hard"]),
            row(RANDOM_PARTNER, shares("hard", "random", 0), runs["hard"]),
            row(PAIR, shares("hard", "chosen", 1), runs["hard"]),
            row(RANDOM_PAIR, shares("hard", "random", 1), runs["hard"]),
            row(FIVE_PAIR, shares("memory", "chosen", 1), runs["memory"]),
            row(FIVE_RANDOM_PAIR, shares("memory", "random", 1), runs["memory"]),
            compared(LARGE_CHOICE, "large soft", "large hard"),
            row(LARGE_HARD, ends("large hard"), runs["large hard"]),
        ]
    )


run = reproduction(PAPER, SIZES, parts)
