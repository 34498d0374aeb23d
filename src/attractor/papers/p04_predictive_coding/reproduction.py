"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p04_predictive_coding.claims import PAPER
from attractor.papers.p04_predictive_coding.laws import measure_descent
from attractor.papers.p04_predictive_coding.pairs import measure_digits, measure_faces
from attractor.papers.p04_predictive_coding.recalling import measure_convolution, measure_recall
from attractor.papers.p04_predictive_coding.sizes import SIZES, Size
from attractor.papers.p04_predictive_coding.storing import measure_storing, measure_trends
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("descent of inference", 0.04, measure_descent),
        Part("small tiles", 0.12, partial(measure_storing, size)),
        Part("width, load and depth", 0.2, partial(measure_trends, size)),
        Part("recall beside rivals", 0.46, partial(measure_recall, size), threads=None),
        Part("convolutions", 0.1, partial(measure_convolution, size), threads=None),
        Part("digits and labels", 0.04, partial(measure_digits, size)),
        Part("faces and labels", 0.04, partial(measure_faces, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
