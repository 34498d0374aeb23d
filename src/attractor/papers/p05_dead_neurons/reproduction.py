"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p05_dead_neurons.claims import PAPER
from attractor.papers.p05_dead_neurons.local import measure_flat_set, measure_stability
from attractor.papers.p05_dead_neurons.lyapunov import measure_conjugate, measure_feedback, measure_rate
from attractor.papers.p05_dead_neurons.sizes import SIZES, Size
from attractor.papers.p05_dead_neurons.spurious import measure_spurious
from attractor.papers.p05_dead_neurons.trained import measure_trained
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("spurious stationary points", 0.3, partial(measure_spurious, size)),
        Part("flat set of a steady state", 0.1, partial(measure_flat_set, size)),
        Part("stability", 0.3, partial(measure_stability, size)),
        Part("rate of E_gamma", 0.1, partial(measure_rate, size)),
        Part("altered system", 0.1, partial(measure_conjugate, size)),
        Part("asymmetric feedback", 0.1, partial(measure_feedback, size)),
        Part("trained on digits", 0.1, partial(measure_trained, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
