"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p01_random_features.ablation import measure_ablation
from attractor.papers.p01_random_features.claims import PAPER
from attractor.papers.p01_random_features.completion import measure_completion
from attractor.papers.p01_random_features.laws import measure_features, measure_growth
from attractor.papers.p01_random_features.retrieval import measure_retrieval
from attractor.papers.p01_random_features.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("error against features", 0.25, partial(measure_features, size)),
        Part("error against patterns", 0.1, partial(measure_growth, size)),
        Part("retrieval beside the exact memory", 0.3, partial(measure_retrieval, size)),
        Part("completion of digits", 0.25, partial(measure_completion, size)),
        Part("comparison of feature maps", 0.1, partial(measure_ablation, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
