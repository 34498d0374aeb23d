"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        starts: of gradient descent and of the motion.
        descent: steps of gradient descent.
        flat: starts in the flat set.
        networks: random networks of each kind.
        rated: random networks of each kind whose rates are measured.
        states: random states of each network.
        epochs: of training on images.
        steps: of a motion along which an energy may not rise.
    """

    starts: int
    descent: int
    flat: int
    networks: int
    rated: int
    states: int
    epochs: int
    steps: int


SIZES: dict[Scale, Size] = {
    "smoke": Size(starts=200, descent=2000, flat=20, networks=3, rated=3, epochs=2, states=20, steps=100),
    "laptop": Size(starts=1000, descent=5000, flat=100, networks=20, rated=50, epochs=20, states=100, steps=500),
    "full": Size(starts=10_000, descent=5000, flat=1000, networks=100, rated=100, epochs=60, states=200, steps=2000),
}
