"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p10_correlated_synapses.additive import measure_additive
from attractor.papers.p10_correlated_synapses.aging import measure_aging
from attractor.papers.p10_correlated_synapses.claims import PAPER
from attractor.papers.p10_correlated_synapses.exactness import measure_exactness
from attractor.papers.p10_correlated_synapses.sizes import SIZES, Size
from attractor.papers.p10_correlated_synapses.unknown_age import measure_unknown_age
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("formulas", 0.2, partial(measure_exactness, size)),
        Part("additive rules", 0.4, partial(measure_additive, size)),
        Part("ages", 0.25, partial(measure_aging, size)),
        Part("unknown ages", 0.15, partial(measure_unknown_age, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
