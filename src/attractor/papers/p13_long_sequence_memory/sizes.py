"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        draws: independent sets of patterns for Fig. 1, held patterns and the pseudo-inverse rule.
        neurons: numbers of neurons for each degree.
        exponential: the same for the exponential.
        repeats: independent searches for each capacity.
        transitions: tested for each number of patterns, about.
        sequences: the same, of whole sequences.
        precision: of a capacity, relative.
        images: how many of each class.
    """

    draws: int
    neurons: dict[int, tuple[int, ...]]
    exponential: tuple[int, ...]
    repeats: int
    transitions: int
    sequences: int
    precision: float
    images: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(
        draws=5,
        neurons={1: (20, 80, 320), 2: (22, 45, 95), 3: (16, 22, 30)},
        exponential=(8, 11, 14),
        repeats=2,
        transitions=300,
        sequences=10,
        precision=0.05,
        images=300,
    ),
    "laptop": Size(
        draws=10,
        neurons={1: (20, 40, 80, 160, 320), 2: (20, 30, 45, 65, 95), 3: (16, 22, 30, 40)},
        exponential=(8, 10, 12, 14),
        repeats=5,
        transitions=1000,
        sequences=30,
        precision=0.02,
        images=300,
    ),
    "full": Size(
        draws=50,
        neurons={1: (20, 40, 80, 160, 320, 640), 2: (20, 30, 45, 65, 95, 140), 3: (16, 22, 30, 40, 60)},
        exponential=(8, 10, 12, 14),
        repeats=20,
        transitions=10000,
        sequences=100,
        precision=0.01,
        images=300,
    ),
}
