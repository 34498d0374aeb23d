"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p11_camelot.claims import PAPER
from attractor.papers.p11_camelot.cost import measure_cost
from attractor.papers.p11_camelot.documents import measure_documents
from attractor.papers.p11_camelot.learning import measure_learning
from attractor.papers.p11_camelot.mechanism import measure_mechanism
from attractor.papers.p11_camelot.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("mechanism", 0.05, partial(measure_mechanism, size)),
        Part("perplexity of documents", 0.7, partial(measure_documents, size)),
        Part("learning in context", 0.1, partial(measure_learning, size)),
        Part("cost", 0.15, partial(measure_cost, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
