"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p12_diffusion_as_associative_memory.claims import PAPER
from attractor.papers.p12_diffusion_as_associative_memory.equalities import measure_digits, measure_ring
from attractor.papers.p12_diffusion_as_associative_memory.recall import measure_recall
from attractor.papers.p12_diffusion_as_associative_memory.regimes import measure_conservativity, measure_regimes
from attractor.papers.p12_diffusion_as_associative_memory.sizes import SIZES, Size
from attractor.papers.parts import Part, reproduction


def parts(size: Size) -> list[Part]:
    """What is measured, one after the other."""
    return [
        Part("exact denoiser of digits", 0.02, measure_digits),
        Part("ring", 0.03, measure_ring),
        Part("memorisation to generalisation", 0.6, partial(measure_regimes, size)),
        Part("energy against plain network", 0.25, partial(measure_conservativity, size)),
        Part("recall side by side", 0.1, partial(measure_recall, size)),
    ]


run = reproduction(PAPER, SIZES, parts)
