"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        networks: independent networks for each point.
        statistics: the same, for covariances of weights.
        neurons: numbers of neurons for the curves against size; 50, 100 and 200 are among them.
        ages: of the patterns in the curves against age.
        chains: of Gibbs sampling for each cue, beside the sum over all patterns.
        history: patterns that a cascade has seen.
    """

    networks: int
    statistics: int
    neurons: tuple[int, ...]
    ages: tuple[int, ...]
    chains: int
    history: int


AGES = tuple(range(11))
SIZES: dict[Scale, Size] = {
    "smoke": Size(networks=8, statistics=20, neurons=(50, 100, 200), ages=AGES, chains=1000, history=40),
    "laptop": Size(networks=24, statistics=60, neurons=(50, 100, 200, 400), ages=(*AGES, 12, 15, 20), chains=4000, history=100),
    "full": Size(
        networks=200,
        statistics=400,
        neurons=(50, 100, 200, 400, 1000, 2000),
        ages=(*range(16), 20, 25, 30),
        chains=20000,
        history=200,
    ),
}
