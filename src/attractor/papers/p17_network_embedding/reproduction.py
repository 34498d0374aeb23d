"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p17_network_embedding.claims import PAPER
from attractor.papers.p17_network_embedding.classification import measure_classification
from attractor.papers.p17_network_embedding.sizes import SIZES, Size
from attractor.papers.p17_network_embedding.tasks import measure_descent, measure_tasks
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("descent of the energy", 0.05, partial(measure_descent, size)),
        Part("classification of nodes", 0.7, partial(measure_classification, size)),
        Part("recall, links, late nodes, coarsening", 0.25, partial(measure_tasks, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
