"""Independent measurements, spread over processes; with a journal they go on where an interrupted run stopped.

Each point carries its own seed, so the results are the same whatever the number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from attractor.papers.parts import Tell
from attractor.threads import at_most

Measure = Callable[..., Any]
Points = Mapping[str, tuple[Any, ...]]
Spread = Callable[[Measure, Points, int], Iterator[tuple[str, Any]]]
"""`spread(measure, points, workers)` gives the result of each point with its key, as they come."""


@dataclass(frozen=True)
class Sweeping:
    """How the sweeps of a run are carried out.

    Args:
        workers: processes; 1 measures in this one.
        journal: file that keeps every result as soon as it is there. Default: none.
        finished: results of the journal, by what was measured.
        spread: what spreads the measurements over the workers. Default: a pool of processes.
    """

    workers: int = 1
    journal: Path | None = None
    finished: dict[str, Any] = field(default_factory=dict)
    spread: Spread = field(default_factory=lambda: in_processes)


_SWEEPING: ContextVar[Sweeping | None] = ContextVar("_SWEEPING", default=None)


@contextmanager
def sweeping(workers: int = 1, journal: Path | None = None, spread: Spread | None = None) -> Iterator[Sweeping]:
    """Within, sweeps use so many processes, or `spread`, take what the journal holds, and add to it.

    Raises:
        ValueError: `workers` is below 1.

    Example:
        >>> import math
        >>> with sweeping(workers=1):
        ...     sweep(math.hypot, [(3, 4), (5, 12)])
        [5.0, 13.0]
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    how = Sweeping(workers, journal, {} if journal is None else read_journal(journal), spread or in_processes)
    token = _SWEEPING.set(how)
    try:
        yield how
    finally:
        _SWEEPING.reset(token)


def sweep(measure: Measure, points: Sequence[tuple[Any, ...]], tell: Tell = lambda done: None) -> list[Any]:
    """`measure(*point)` for each point, in the order of the points.

    Args:
        measure: a function of a module; takes and gives JSON values. It runs with one thread of torch.
        points: the arguments of each measurement, the seed among them.
        tell: called with the fraction that is done.

    Raises:
        TypeError: an argument or a result is no JSON value.
    """
    how = _SWEEPING.get() or Sweeping()
    keys = [json.dumps([f"{measure.__module__}.{measure.__qualname__}", *point]) for point in points]
    results = {key: how.finished[key] for key in keys if key in how.finished}
    missing = {key: point for key, point in zip(keys, points, strict=True) if key not in results}
    for key, result in how.spread(measure, missing, how.workers):
        line = json.dumps([key, result])
        if how.journal is not None:
            how.journal.parent.mkdir(parents=True, exist_ok=True)
            with how.journal.open("a", encoding="utf-8") as file:
                file.write("\n" + line)  # first the end of a line that an interrupted run may have left open
        results[key] = json.loads(line)[1]
        tell(len(results) / len(keys))
    return [results[key] for key in keys]


def in_processes(measure: Measure, points: Points, workers: int) -> Iterator[tuple[str, Any]]:
    """Results of a pool, or of this process where it would have no more than one."""
    if workers == 1 or len(points) < 2:
        with at_most(1):
            yield from ((key, measure(*point)) for key, point in points.items())
        return
    pool = processes(min(workers, len(points)))
    try:
        running = {pool.submit(measure, *point): key for key, point in points.items()}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def processes(workers: int) -> Executor:
    # "spawn": a forked process inherits torch's threads in a state in which they hang.
    return ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,))


def read_journal(path: Path) -> dict[str, Any]:
    """The results that an interrupted run left; a line that it did not finish is passed over."""
    finished: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            key, result = json.loads(line)
        except ValueError:
            continue
        finished[key] = result
    return finished
