"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p03_sparse_recovery.claims import PAPER
from attractor.papers.p03_sparse_recovery.learned import measure_digits, measure_learning, measure_sparse
from attractor.papers.p03_sparse_recovery.recovery import measure_adversary, measure_baselines, measure_patterns, measure_transition
from attractor.papers.p03_sparse_recovery.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("recovery against errors", 0.35, partial(measure_transition, size)),
        Part("errors of an adversary", 0.2, partial(measure_adversary, size)),
        Part("baselines", 0.06, partial(measure_baselines, size)),
        Part("recovery against patterns", 0.04, partial(measure_patterns, size)),
        Part("learning", 0.05, partial(measure_learning, size)),
        Part("sparse constraints", 0.28, partial(measure_sparse, size)),
        Part("digits", 0.02, partial(measure_digits, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
