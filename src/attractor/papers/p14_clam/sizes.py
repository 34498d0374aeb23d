"""How much each scale measures."""

from __future__ import annotations

from dataclasses import dataclass

from attractor.data.tables import TABLES
from attractor.papers.report import Scale

SMALL_TABLES = ("zoo", "iris", "wine")
TIMED = ("iris", "zoo", "movement-libras", "segment")


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        tables: names of those clustered.
        means: restarts of k-means.
        restarts: of ClAM for each setting of the search.
        searches: of twenty runs each.
        most_spectral: rows above which spectral clustering, which takes the cube of them, is left out.
        timed: tables whose time is measured.
        rounds: in which both are timed in turn.
        seeds: blobs of each kind.
        epochs: before and of the joint training of the deep form.
    """

    tables: tuple[str, ...]
    means: int
    restarts: int
    searches: int
    most_spectral: int
    timed: tuple[str, ...]
    rounds: int
    seeds: int
    epochs: tuple[int, int]


SIZES: dict[Scale, Size] = {
    "smoke": Size(SMALL_TABLES, 10, 1, 1, 400, ("iris",), 1, 2, (5, 2)),
    "laptop": Size(TABLES, 100, 10, 3, 2500, TIMED, 3, 10, (50, 10)),
    "full": Size(TABLES, 1000, 50, 20, 2500, TABLES, 10, 10, (50, 10)),
}
