"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p20_large_associative_memory.capacity import measure_capacity
from attractor.papers.p20_large_associative_memory.claims import PAPER
from attractor.papers.p20_large_associative_memory.classic import measure_error_free, measure_knee
from attractor.papers.p20_large_associative_memory.images import measure_images
from attractor.papers.p20_large_associative_memory.laws import measure_attention, measure_descent
from attractor.papers.p20_large_associative_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("capacity of powers and exponential", 0.2, partial(measure_capacity, size)),
        Part("knee of the classic network", 0.5, partial(measure_knee, size)),
        Part("error-free capacity", 0.03, partial(measure_error_free, size)),
        Part("descent of the energy", 0.1, partial(measure_descent, size)),
        Part("attention", 0.01, measure_attention),
        Part("recall of images", 0.16, partial(measure_images, size), threads=None),
    ]


run = reproduction(PAPER, SIZES, parts)
