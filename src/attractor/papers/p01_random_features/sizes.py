"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        features: numbers of features of the error law.
        draws: independent memories for each point of the laws.
        states: states at which a memory is compared with the exact one, of each of three kinds.
        patterns: numbers of patterns of the growth law.
        retrievals: independent sets of patterns to recall.
        wide: features of the completion of digits.
        ablation: inverse temperatures of the comparison of maps, rising.
        ablation_features: numbers of features of it.
    """

    features: tuple[int, ...]
    draws: int
    states: int
    patterns: tuple[int, ...]
    retrievals: int
    wide: int
    ablation: tuple[float, ...]
    ablation_features: int


LADDER = (0.05, 0.1, 0.3, 1.0, 2.0, 4.0)
SIZES: dict[Scale, Size] = {
    "smoke": Size((2500, 10_000), 2, 50, (50, 200, 800), 1, 16_000, (0.1, 1.0, 4.0), 4000),
    "laptop": Size((2500, 5000, 10_000, 20_000, 40_000), 4, 100, (50, 100, 200, 400, 800, 1600), 5, 16_000, LADDER, 10_000),
    "full": Size((5000, 20_000, 80_000, 320_000), 10, 500, (50, 100, 200, 500, 1000), 20, 200_000, LADDER, 400_000),
}
