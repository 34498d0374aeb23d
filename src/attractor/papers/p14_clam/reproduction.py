"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p14_clam.blobs import measure_blobs
from attractor.papers.p14_clam.claims import PAPER
from attractor.papers.p14_clam.deep import measure_deep
from attractor.papers.p14_clam.sizes import SIZES, Size
from attractor.papers.p14_clam.tables import measure_tables
from attractor.papers.p14_clam.timing import measure_time
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("clustering of tables", 0.7, partial(measure_tables, size)),
        Part("time beside k-means", 0.15, partial(measure_time, size)),
        Part("blobs", 0.05, partial(measure_blobs, size)),
        Part("deep clustering of digits", 0.1, partial(measure_deep, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
