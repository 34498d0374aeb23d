"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        width: n, length of a code.
        levels: m, the memories that are compared.
        most: images of Fashion-MNIST that are used.
        cues: how many are asked for.
        folds: choices of what is registered, over which means are taken.
        epochs: of training the classifier that judges retrievals.
        pairs: that are registered in the hetero-associative memory.
        pair_cues: other digits that it is asked for.
    """

    width: int
    levels: tuple[int, ...]
    most: int
    cues: int
    folds: int
    epochs: int
    pairs: int
    pair_cues: int


LEVELS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

SIZES: dict[Scale, Size] = {
    "smoke": Size(width=64, levels=LEVELS, most=10_000, cues=300, folds=1, epochs=5, pairs=1000, pair_cues=60),
    "laptop": Size(width=64, levels=LEVELS, most=70_000, cues=1000, folds=3, epochs=10, pairs=1000, pair_cues=500),
    "full": Size(width=64, levels=LEVELS, most=70_000, cues=7000, folds=10, epochs=20, pairs=1000, pair_cues=500),
}
