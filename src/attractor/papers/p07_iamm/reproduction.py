"""The run of all measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from attractor.language.iamm.interaction import Selection
from attractor.papers.claim import Claim, Row
from attractor.papers.p07_iamm.claims import CHOICE, FULL, HARD, MEMORY, PAIR, PAPER, PARTNER, PLAIN, RANDOM_PAIR, RANDOM_PARTNER
from attractor.papers.p07_iamm.planted import learn
from attractor.papers.p07_iamm.real import measure_dialogue, measure_published
from attractor.papers.p07_iamm.sizes import SIZES, Size
from attractor.papers.parts import Measured, Part, Tell, reproduction
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep

NEVER = 2.0
"""An accuracy at which no training stops."""


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("planted association", 0.3, partial(measure_planted, size)),
        Part("real dialogue", 0.7, partial(measure_dialogue, size)),
        Part("the paper's table", 0.01 if size.published is None else 5.0, partial(measure_published, size)),
    ]


def measure_planted(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows of the planted association."""
    runs = (
        ("plain", size.steps, 5, 5, "hard", PLAIN.least),
        ("full", size.steps, 5, 5, "hard", FULL.least),
        ("memory", size.memory_steps, 5, 5, "hard", MEMORY.least),
        ("memory", size.choice_steps, 3, 1, "hard", None),
        ("memory", size.choice_steps, 3, 1, "soft", None),
    )
    points = [
        (kind, steps, size.every, size.tests, seed + one, partners, keep, selection, enough or NEVER)
        for kind, steps, partners, keep, selection, enough in runs
        for one in range(size.seeds)
    ]
    found = sweep(learned, points, tell)
    plain, full, memory, hard, soft = (found[start : start + size.seeds] for start in range(0, len(found), size.seeds))

    def row(claim: Claim, values: Sequence[float], runs: Sequence[dict[str, Any]], note: str = "") -> Row:
        """Of one run the interval is that of its tests."""
        mean, interval = mean_interval(values)
        if size.seeds == 1 and claim is not CHOICE:
            interval = wilson(round(mean * size.tests), size.tests)
        seconds = sum(run["seconds"] for run in runs)
        return Row(claim, mean, interval, size.seeds, seconds, f"generated, {size.tests:,} tests", note=note)

    def ends(runs: Sequence[dict[str, Any]]) -> list[float]:
        return [run["accuracy"][-1][1] for run in runs]

    def after(runs: Sequence[dict[str, Any]]) -> str:
        return "after " + ", ".join(f"{run['accuracy'][-1][0]:,}" for run in runs) + " steps"

    return Measured(
        [
            row(PLAIN, ends(plain), plain, after(plain)),
            row(FULL, ends(full), full, after(full)),
            row(MEMORY, ends(memory), memory, after(memory)),
            row(
                CHOICE,
                [one - other for one, other in zip(ends(soft), ends(hard), strict=True)],
                [*hard, *soft],
                f"{after(soft)}; soft {mean_interval(ends(soft))[0]:.3f}",
            ),
            row(HARD, ends(hard), hard, after(hard)),
            *(
                row(claim, [run[whose][which] for run in hard], hard)
                for claim, whose, which in (
                    (PARTNER, "chosen", 0),
                    (RANDOM_PARTNER, "random", 0),
                    (PAIR, "chosen", 1),
                    (RANDOM_PAIR, "random", 1),
                )
            ),
        ]
    )


def learned(
    kind: str, steps: int, every: int, tests: int, seed: int, partners: int, keep: int, selection: Selection, enough: float
) -> dict[str, Any]:
    """`learn` with its defaults for all else."""
    return learn(kind, steps, every, tests, seed, partners=partners, keep=keep, selection=selection, enough=enough)


run = reproduction(PAPER, SIZES, parts)
