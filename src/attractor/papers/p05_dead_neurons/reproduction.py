"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p05_dead_neurons.claims import PAPER
from attractor.papers.p05_dead_neurons.local import measure_flat_set, measure_stability
from attractor.papers.p05_dead_neurons.lyapunov import measure_conjugate, measure_feedback, measure_rate
from attractor.papers.p05_dead_neurons.sizes import SIZES
from attractor.papers.p05_dead_neurons.spurious import measure_spurious
from attractor.papers.parts import Part, run_parts
from attractor.papers.plain import one_of
from attractor.papers.report import SCALES, Progress, Report, Scale


def run(scale: Scale, seed: int, progress: Progress | None = None) -> Report:
    """Measure every claim of the paper.

    Args:
        scale: `"smoke"` takes seconds, `"laptop"` a minute, `"full"` longer.
        seed: of all random networks and states.
        progress: told of what is going on.

    Raises:
        ValueError: `scale` is unknown, or `seed` negative.
    """
    size = SIZES[one_of("scale", scale, SCALES)]
    parts = [
        Part("spurious stationary points", 0.3, partial(measure_spurious, size), threads=1),
        Part("flat set of a steady state", 0.1, partial(measure_flat_set, size), threads=1),
        Part("stability", 0.3, partial(measure_stability, size), threads=1),
        Part("rate of E_gamma", 0.1, partial(measure_rate, size), threads=1),
        Part("altered system", 0.1, partial(measure_conjugate, size), threads=1),
        Part("asymmetric feedback", 0.1, partial(measure_feedback, size), threads=1),
    ]
    return run_parts(PAPER, scale, seed, parts, progress)
