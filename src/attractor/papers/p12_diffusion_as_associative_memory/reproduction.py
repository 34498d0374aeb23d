"""The run of all measurements."""

from __future__ import annotations

from functools import partial

from attractor.papers.p12_diffusion_as_associative_memory.claims import PAPER
from attractor.papers.p12_diffusion_as_associative_memory.equalities import measure_digits, measure_ring
from attractor.papers.p12_diffusion_as_associative_memory.recall import measure_recall
from attractor.papers.p12_diffusion_as_associative_memory.regimes import measure_conservativity, measure_regimes
from attractor.papers.p12_diffusion_as_associative_memory.sizes import SIZES
from attractor.papers.parts import Part, run_parts
from attractor.papers.plain import one_of
from attractor.papers.report import SCALES, Progress, Report, Scale


def run(scale: Scale, seed: int, progress: Progress | None = None) -> Report:
    """Measure every claim.

    Args:
        scale: `"smoke"` takes a minute, `"laptop"` minutes, `"full"` longer.
        seed: of the order of the digits, all noise and all first weights.
        progress: told of what is going on.

    Raises:
        ValueError: `scale` is unknown, or `seed` negative.
        DataUnavailableError: scikit-learn, which brings the digits, is missing.
    """
    size = SIZES[one_of("scale", scale, SCALES)]
    parts = [
        Part("exact denoiser of digits", 0.02, measure_digits, threads=1),
        Part("ring", 0.03, measure_ring, threads=1),
        Part("memorisation to generalisation", 0.6, partial(measure_regimes, size), threads=1),
        Part("energy against plain network", 0.25, partial(measure_conservativity, size), threads=1),
        Part("recall side by side", 0.1, partial(measure_recall, size), threads=1),
    ]
    return run_parts(PAPER, scale, seed, parts, progress)
