"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.papers.p12_diffusion_as_associative_memory.claims import FEWEST, MANY
from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        counts: numbers of training digits.
        steps: of training, for each.
        samples: drawn from each model.
        energy_steps: of training of the plain network and the energy that are compared.
        copies: noisy cues of each stored digit.
    """

    counts: tuple[int, ...]
    steps: int
    samples: int
    energy_steps: int
    copies: int


SIZES: dict[Scale, Size] = {
    "smoke": Size((FEWEST, 32, MANY), steps=2000, samples=300, energy_steps=500, copies=2),
    "laptop": Size((FEWEST, 16, 32, 64, MANY, 1024), steps=2000, samples=500, energy_steps=1500, copies=5),
    "full": Size((FEWEST, 8, 16, 32, 64, 128, MANY, 512, 1024), steps=4000, samples=2000, energy_steps=4000, copies=20),
}
