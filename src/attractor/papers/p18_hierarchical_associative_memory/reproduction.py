"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p18_hierarchical_associative_memory.claims import PAPER
from attractor.papers.p18_hierarchical_associative_memory.denoising import measure_denoising
from attractor.papers.p18_hierarchical_associative_memory.digits import measure_digits
from attractor.papers.p18_hierarchical_associative_memory.gradients import measure_gradients
from attractor.papers.p18_hierarchical_associative_memory.hypergraphs import measure_descent
from attractor.papers.p18_hierarchical_associative_memory.rest import measure_rest
from attractor.papers.p18_hierarchical_associative_memory.sizes import SIZES
from attractor.papers.parts import Part, run_parts
from attractor.papers.plain import one_of
from attractor.papers.report import SCALES, Progress, Report, Scale


def run(scale: Scale, seed: int, progress: Progress | None = None) -> Report:
    """Measure every claim of the paper.

    Args:
        scale: `"smoke"` takes seconds, `"laptop"` minutes, `"full"` longer.
        seed: of all splits, weights, images, states and noise.
        progress: told of what is going on.

    Raises:
        ValueError: `scale` is unknown, or `seed` negative.
    """
    size = SIZES[one_of("scale", scale, SCALES)]
    parts = [
        Part("classification and completion of digits", 0.5, partial(measure_digits, size), threads=1),
        Part("denoising of MNIST", 0.25, partial(measure_denoising, size), threads=1),
        Part("sweeps to rest", 0.05, partial(measure_rest, size), threads=1),
        Part("gradients at rest", 0.1, partial(measure_gradients, size), threads=1),
        Part("descent on hypergraphs", 0.1, partial(measure_descent, size), threads=1),
    ]
    return run_parts(PAPER, scale, seed, parts, progress)
