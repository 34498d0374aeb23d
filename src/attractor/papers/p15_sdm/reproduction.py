"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p15_sdm.capacity import measure_capacity
from attractor.papers.p15_sdm.claims import PAPER
from attractor.papers.p15_sdm.digits import measure_digits
from attractor.papers.p15_sdm.mnist import measure_mnist
from attractor.papers.p15_sdm.silence import measure_silence
from attractor.papers.p15_sdm.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("digits, task after task", 0.2, partial(measure_digits, size)),
        Part("MNIST, task after task", 0.55, partial(measure_mnist, size)),
        Part("silent and dead neurons", 0.15, partial(measure_silence, size)),
        Part("Kanerva's memory", 0.1, partial(measure_capacity, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
