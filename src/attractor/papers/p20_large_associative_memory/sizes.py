"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p20_large_associative_memory.claims import STORED
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        neurons: numbers of neurons for each power.
        exponential: the same for the exponential; the powers are compared with it at the largest.
        repeats: independent sets of patterns for each.
        bits: tested in each flip test.
        precision: of a capacity, relative.
        loads: patterns a neuron at which the overlap is measured.
        networks: independent networks at each load.
        cues: recalled from each.
        descents: independent sets of memories.
        betas: inverse temperatures in each set.
        steps: most updates in one of their recalls.
        stored: numbers of images.
        queries: most cues for each.
    """

    neurons: dict[int, tuple[int, ...]]
    exponential: tuple[int, ...]
    repeats: int
    bits: int
    precision: float
    loads: tuple[float, ...]
    networks: int
    cues: int
    descents: int
    betas: tuple[float, ...]
    steps: int
    stored: tuple[int, ...]
    queries: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(
        neurons={2: (100, 200, 400), 3: (24, 48, 80), 4: (24, 36, 54)},
        exponential=(12, 16),
        repeats=3,
        bits=1000,
        precision=0.15,
        loads=(0.12, 0.16),
        networks=3,
        cues=12,
        descents=1,
        betas=(1.0,),
        steps=2,
        stored=(200, 1000),
        queries=200,
    ),
    "laptop": Size(
        neurons={2: (100, 200, 400, 800), 3: (24, 48, 96, 160), 4: (28, 40, 56)},
        exponential=(12, 14, 16),
        repeats=5,
        bits=5000,
        precision=0.03,
        loads=(0.10, 0.13, 0.14, 0.15, 0.16, 0.18),
        networks=30,
        cues=32,
        descents=1,
        betas=(0.2, 2.0),
        steps=20,
        stored=STORED,
        queries=1000,
    ),
    "full": Size(
        neurons={2: (100, 200, 400, 800, 1600), 3: (24, 48, 96, 160, 240), 4: (24, 36, 54, 72, 90)},
        exponential=(12, 14, 16, 18),
        repeats=10,
        bits=20000,
        precision=0.01,
        loads=(0.08, 0.10, 0.11, 0.12, 0.13, 0.135, 0.14, 0.145, 0.15, 0.155, 0.16, 0.17, 0.18, 0.20),
        networks=30,
        cues=200,
        descents=10,
        betas=(0.05, 0.2, 0.5, 1.0, 2.0),
        steps=200,
        stored=STORED,
        queries=1000,
    ),
}
