"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p08_entropic_memory.claims import PAPER
from attractor.papers.p08_entropic_memory.designated import measure_registers
from attractor.papers.p08_entropic_memory.garments import DATA, measure_chains, measure_level
from attractor.papers.p08_entropic_memory.memory_size import measure_sizes
from attractor.papers.p08_entropic_memory.pairs import measure_pairs
from attractor.papers.p08_entropic_memory.refusal import measure_refusal
from attractor.papers.p08_entropic_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("memory size and filling, digits", 0.15, partial(measure_sizes, size)),
        Part("memory size and filling, garments", 0.4, partial(measure_sizes, size, data=DATA)),
        Part("garments", 0.15, partial(measure_level, size)),
        Part("strangers", 0.02, partial(measure_refusal, size)),
        Part("chains of associations", 0.08, partial(measure_chains, size)),
        Part("designated registers", 0.05, partial(measure_registers, size)),
        Part("pairs", 0.15, partial(measure_pairs, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
