"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from attractor.papers.report import Scale


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        trials: patterns at each share of errors and each noise.
        sweeps: most sweeps over the clusters.
        noises: of the curve at fewer errors.
        noises_many: of the curve at more errors.
        in_cluster: trials of a cluster at each number of errors and each noise.
        bounded: clusters whose derived bound is compared.
        seen: patterns of the training sample, and as many others, that are recalled.
        flags: recalls of which the verdict is checked.
    """

    trials: int
    sweeps: int
    noises: tuple[float, ...]
    noises_many: tuple[float, ...]
    in_cluster: int
    bounded: int
    seen: int
    flags: int


LAPTOP = Size(
    trials=200,
    sweeps=40,
    noises=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    noises_many=(0.0, 0.2, 0.3, 0.4, 0.5),
    in_cluster=1000,
    bounded=50,
    seen=1000,
    flags=10_000,
)

SIZES: dict[Scale, Size] = {
    "smoke": Size(
        trials=30, sweeps=5, noises=(0.0, 0.3, 0.8), noises_many=(0.0, 0.3), in_cluster=200, bounded=5, seen=100, flags=300
    ),
    "laptop": LAPTOP,
    "full": replace(
        LAPTOP,
        trials=2000,
        noises_many=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
        in_cluster=10_000,
        seen=10_000,
        flags=100_000,
    ),
}
