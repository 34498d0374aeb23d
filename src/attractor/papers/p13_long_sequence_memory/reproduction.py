"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p13_long_sequence_memory.capacity import measure_capacity
from attractor.papers.p13_long_sequence_memory.claims import PAPER
from attractor.papers.p13_long_sequence_memory.correlated import measure_images, measure_pseudo_inverse
from attractor.papers.p13_long_sequence_memory.replays import measure_holding, measure_sequence
from attractor.papers.p13_long_sequence_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("a sequence of 100 patterns", 0.02, partial(measure_sequence, size)),
        Part("capacity", 0.8, partial(measure_capacity, size)),
        Part("held patterns", 0.05, partial(measure_holding, size)),
        Part("pseudo-inverse rule", 0.02, partial(measure_pseudo_inverse, size)),
        Part("images in a ring", 0.11, partial(measure_images, size), threads=None),
    ]


run = reproduction(PAPER, SIZES, parts)
