"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p19_flyvec.claims import PAPER
from attractor.papers.p19_flyvec.rule import measure_rule
from attractor.papers.p19_flyvec.senses import measure_senses
from attractor.papers.p19_flyvec.similarity import measure_similarity
from attractor.papers.p19_flyvec.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("the learning rule", 0.02, partial(measure_rule, size)),
        Part("word similarity", 0.9, partial(measure_similarity, size)),
        Part("words in context", 0.08, partial(measure_senses, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
