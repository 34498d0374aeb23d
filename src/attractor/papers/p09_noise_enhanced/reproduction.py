"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p09_noise_enhanced.claims import PAPER
from attractor.papers.p09_noise_enhanced.clusters import measure_clusters
from attractor.papers.p09_noise_enhanced.recalling import measure_learning, measure_noise, measure_storage
from attractor.papers.p09_noise_enhanced.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("learning", 0.05, partial(measure_learning, size)),
        Part("noise of neurons", 0.6, partial(measure_noise, size)),
        Part("single clusters", 0.15, partial(measure_clusters, size)),
        Part("patterns never seen", 0.2, partial(measure_storage, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
