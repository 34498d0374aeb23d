"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        n: width of a pattern, with half as many constraints.
        shares: numbers of errors, as shares of the theory's; 0.6 and 1.35 are among them.
        trials: recalls at each number of errors.
        worst: numbers of errors for the adversary, as shares of the theory's.
        others: patterns that the nearest neighbour is looked for among.
        unseen: patterns recalled that were never stored, and as many that were.
        stored: numbers of patterns to learn from, as shares of the dimension of their space; 1.1 is among them.
        samples: of a stream, for each dimension.
        sparse: coordinates, constraints, and constraints of each coordinate.
        expander: numbers of errors for expander decoding; 10 is among them.
        digits: images stored, and how many teach the subspace.
    """

    n: int
    shares: tuple[float, ...]
    trials: int
    worst: tuple[float, ...]
    others: int
    unseen: int
    stored: tuple[float, ...]
    samples: int
    sparse: tuple[int, int, int]
    expander: tuple[int, ...]
    digits: tuple[int, int]


SIZES: dict[Scale, Size] = {
    "smoke": Size(
        n=100,
        shares=(0.6, 0.85, 1.0, 1.15, 1.35),
        trials=40,
        worst=(0.15, 0.5, 0.8),
        others=1000,
        unseen=100,
        stored=(0.5, 1.1, 10),
        samples=60,
        sparse=(120, 20, 4),
        expander=(2, 10),
        digits=(300, 1500),
    ),
    "laptop": Size(
        n=200,
        shares=(0.6, 0.75, 0.85, 0.95, 1.05, 1.15, 1.35),
        trials=100,
        worst=(0.15, 0.25, 0.35, 0.5, 0.7),
        others=10_000,
        unseen=1000,
        stored=(0.25, 0.5, 0.75, 0.9, 1.1, 2, 10, 100),
        samples=60,
        sparse=(600, 75, 4),
        expander=(5, 10, 15, 20, 25),
        digits=(300, 1500),
    ),
    "full": Size(
        n=1000,
        shares=(0.6, 0.75, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.35),
        trials=200,
        worst=(0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7),
        others=10_000,
        unseen=1000,
        stored=(0.25, 0.5, 0.75, 0.9, 1.1, 2, 10, 100),
        samples=60,
        sparse=(600, 75, 4),
        expander=(5, 10, 15, 20, 25, 30),
        digits=(300, 1500),
    ),
}
