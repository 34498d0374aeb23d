"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p20_large_associative_memory.capacity import measure_capacity
from attractor.papers.p20_large_associative_memory.claims import PAPER
from attractor.papers.p20_large_associative_memory.classic import measure_error_free, measure_knee
from attractor.papers.p20_large_associative_memory.images import measure_images
from attractor.papers.p20_large_associative_memory.laws import measure_attention, measure_descent
from attractor.papers.p20_large_associative_memory.sizes import SIZES
from attractor.papers.parts import Part, run_parts
from attractor.papers.plain import one_of
from attractor.papers.report import SCALES, Progress, Report, Scale


def run(scale: Scale, seed: int, progress: Progress | None = None) -> Report:
    """Measure every claim of the paper.

    Args:
        scale: `"smoke"` takes seconds, `"laptop"` minutes, `"full"` longer.
        seed: of all random patterns and damages.
        progress: told of what is going on.

    Raises:
        ValueError: `scale` is unknown, or `seed` negative.
    """
    size = SIZES[one_of("scale", scale, SCALES)]
    parts = [
        Part("capacity of powers and exponential", 0.2, partial(measure_capacity, size), threads=1),
        Part("knee of the classic network", 0.5, partial(measure_knee, size), threads=1),
        Part("error-free capacity", 0.03, partial(measure_error_free, size), threads=1),
        Part("descent of the energy", 0.1, partial(measure_descent, size), threads=1),
        Part("attention", 0.01, measure_attention),
        Part("recall of images", 0.16, partial(measure_images, size)),
    ]
    return run_parts(PAPER, scale, seed, parts, progress)
