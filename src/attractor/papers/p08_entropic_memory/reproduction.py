"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p08_entropic_memory.claims import PAPER
from attractor.papers.p08_entropic_memory.garments import measure_chains, measure_level
from attractor.papers.p08_entropic_memory.memory_size import measure_sizes
from attractor.papers.p08_entropic_memory.pairs import measure_pairs
from attractor.papers.p08_entropic_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("memory size and filling", 0.4, partial(measure_sizes, size)),
        Part("garments", 0.3, partial(measure_level, size)),
        Part("chains of associations", 0.1, partial(measure_chains, size)),
        Part("pairs", 0.2, partial(measure_pairs, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
