"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p18_hierarchical_associative_memory.claims import PAPER
from attractor.papers.p18_hierarchical_associative_memory.denoising import measure_denoising
from attractor.papers.p18_hierarchical_associative_memory.digits import measure_digits
from attractor.papers.p18_hierarchical_associative_memory.gradients import measure_gradients
from attractor.papers.p18_hierarchical_associative_memory.hypergraphs import measure_descent
from attractor.papers.p18_hierarchical_associative_memory.rest import measure_rest
from attractor.papers.p18_hierarchical_associative_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("classification and completion of digits", 0.5, partial(measure_digits, size)),
        Part("denoising of MNIST", 0.25, partial(measure_denoising, size)),
        Part("sweeps to rest", 0.05, partial(measure_rest, size)),
        Part("gradients at rest", 0.1, partial(measure_gradients, size)),
        Part("descent on hypergraphs", 0.1, partial(measure_descent, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
