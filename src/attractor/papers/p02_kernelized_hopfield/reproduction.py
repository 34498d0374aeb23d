"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p02_kernelized_hopfield.capacity import measure_capacity
from attractor.papers.p02_kernelized_hopfield.claims import PAPER
from attractor.papers.p02_kernelized_hopfield.codes import measure_codes
from attractor.papers.p02_kernelized_hopfield.digits import measure_half_masked, measure_recognition
from attractor.papers.p02_kernelized_hopfield.sizes import SIZES, Size
from attractor.papers.p02_kernelized_hopfield.states import measure_states
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("learned codes", 0.35, partial(measure_codes, size)),
        Part("metastable states", 0.05, partial(measure_states, size)),
        Part("half-masked digits", 0.1, partial(measure_half_masked, size)),
        Part("lost pixels", 0.2, partial(measure_recognition, size)),
        Part("capacity", 0.3, partial(measure_capacity, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
