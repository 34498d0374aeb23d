"""A run in parts, each of which measures some claims and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from attractor.papers.claim import Paper, Row
from attractor.papers.figures import Figure
from attractor.papers.plain import one_of
from attractor.papers.report import SCALES, Progress, Report, Run, Scale
from attractor.threads import at_most

Size = TypeVar("Size")
Tell = Callable[[float], None]
"""Called with the fraction of a part that is done."""


class Measured(NamedTuple):
    """Rows and figures of a part."""

    rows: Sequence[Row]
    figures: Sequence[Figure] = ()


class Part(NamedTuple):
    """`what` is measured, its `share` of the time of the run, and how: `measure(seed, tell)`.

    `threads` limits those of torch, None for no limit: many small operations lose by a second one, most of all on a busy machine.
    """

    what: str
    share: float
    measure: Callable[[int, Tell], Measured]
    threads: int | None = 1


def reproduction(paper: Paper, sizes: Mapping[Scale, Size], parts: Callable[[Size], Sequence[Part]]) -> Run:
    """The `run` of a paper: all of its parts, at the size of the scale that is asked for."""

    def run(scale: Scale, seed: int, progress: Progress | None = None) -> Report:
        """Measure every claim of the paper.

        Args:
            scale: `"smoke"` takes seconds, `"laptop"` minutes, `"full"` as long as the most precise takes.
            seed: of everything that is random.
            progress: told of what is going on.

        Raises:
            ValueError: `scale` is unknown, or `seed` negative.
            DataUnavailableError: data that the paper's claims are measured on are not installed.
        """
        return run_parts(paper, scale, seed, parts(sizes[one_of("scale", scale, SCALES)]), progress)

    return run


def run_parts(paper: Paper, scale: Scale, seed: int, parts: Sequence[Part], progress: Progress | None) -> Report:
    """Measure one part after the other.

    Raises:
        ValueError: `seed` is negative, or the rows are not those of the paper's claims.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    start, done = time.perf_counter(), 0.0
    rows: list[Row] = []
    figures: list[Figure] = []
    whole = sum(part.share for part in parts)
    for part in parts:
        with at_most(part.threads):
            measured = part.measure(seed, teller(progress, part.what, done / whole, part.share / whole))
        rows += measured.rows
        figures += measured.figures
        done += part.share
    if [row.claim for row in rows] != list(paper.claims):
        raise ValueError(
            f"the run of paper {paper.id} must give one row for each of its {len(paper.claims)} claims, in their order"
        )
    return Report(paper.id, scale, seed, tuple(rows), tuple(figures), time.perf_counter() - start)


def teller(progress: Progress | None, what: str, before: float, share: float) -> Tell:
    """Reports the progress of a part as that of the whole, from its start on."""

    def tell(done: float) -> None:
        if progress is not None:
            progress(what, before + share * done)

    tell(0.0)
    return tell
