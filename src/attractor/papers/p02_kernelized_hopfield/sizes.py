"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p02_kernelized_hopfield.claims import HALF, SPHERE, STORED, WHITENED
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        sphere: numbers of memories whose codes in 3 dimensions are learned.
        whitened: numbers of memories and dimensions of codes learned from whitened memories.
        codes: independent sets of memories for each code.
        steps: of learning a code.
        sets: independent sets of memories for the metastable states.
        queries: random cues to each.
        loads: numbers of half-masked digits.
        draws: independent draws of digits.
        stored: digits of the noise-aware kernel.
        growth: dimensions in which random memories are counted.
        capacities: independent counts.
        learned: dimensions in which learned codes are counted.
    """

    sphere: tuple[int, ...]
    whitened: tuple[tuple[int, int], ...]
    codes: int
    steps: int
    sets: int
    queries: int
    loads: tuple[int, ...]
    draws: int
    stored: int
    growth: tuple[int, ...]
    capacities: int
    learned: tuple[int, ...]


SIZES: dict[Scale, Size] = {
    "smoke": Size((4, 6, 12), ((5, 4),), 1, 300, 6, 50, (HALF,), 1, STORED, (8, 10, 12), 2, (2, 4)),
    "laptop": Size(SPHERE, WHITENED, 3, 600, 6, 200, (10, 50, HALF, 200, 500), 3, STORED, (6, 8, 10, 12, 14), 3, (2, 3, 4)),
    "full": Size(
        SPHERE, WHITENED, 10, 600, 6, 1000, (10, 50, HALF, 200, 500, 1000), 10, STORED, (6, 8, 10, 12, 14), 10, (2, 3, 4, 5)
    ),
}
