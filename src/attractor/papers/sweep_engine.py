"""Sweeps on the engine of the cluster bank (extra `ray`): where its address is given, or for what a pool leaves undone.

A pool starts in a second and is enough for half a minute of work. Beyond it the engine takes over what no process has begun, as it
repeats measurements whose worker was lost. A cluster spreads them over its machines, which need this package and the data.

Each point carries its own seed, so the results are the same whoever measures them. What runs the papers hands
this to `sweeping`, so that no paper depends on it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from functools import partial
from importlib.util import find_spec
from itertools import islice
from multiprocessing import parent_process
from typing import Any

from attractor.bank.cluster_engine import engine
from attractor.errors import AttractorWarning
from attractor.papers.sweep import Measure, Points, Spread, in_processes, processes
from attractor.threads import at_most

SECONDS_IN_PROCESSES = 30.0


def over_engine(address: str | None = None) -> Spread:
    """For `sweeping`: the engine from the start where there is an address, or else after `SECONDS_IN_PROCESSES`.

    Without an address the engine is one on this machine, for as many measurements at a time as `sweeping` has workers; none where
    Ray is not installed, there is one worker only, or this process is itself one of several that measure.

    Args:
        address: of a running cluster, `"auto"` or `"host:port"`. Default: none.

    Raises:
        ImportError, ConnectionError: there is an address, and Ray is not installed or finds no cluster there; raised by the sweep.

    Example:
        >>> import math
        >>> from attractor.papers.sweep import sweep, sweeping
        >>> with sweeping(workers=1, spread=over_engine()):
        ...     sweep(math.hypot, [(3, 4), (5, 12)])
        [5.0, 13.0]
    """
    return partial(measured, address)


def measured(address: str | None, measure: Measure, points: Points, workers: int) -> Iterator[tuple[str, Any]]:
    """The results with their keys, as they come."""
    if address is not None and points:
        return on_engine(measure, points, engine(address), len(points))
    many = workers > 1 and len(points) > 1
    if many and parent_process() is None and find_spec("ray") is not None:
        return first_in_processes(measure, points, workers)
    return in_processes(measure, points, workers)


def first_in_processes(measure: Measure, points: Points, workers: int) -> Iterator[tuple[str, Any]]:
    """Results of a pool; what it has not begun in time, and till the engine works, is measured by that."""
    pool = processes(min(workers, len(points)))
    try:
        running: dict[Future[Any], str] = {pool.submit(measure, *point): key for key, point in points.items()}
        until = time.monotonic() + SECONDS_IN_PROCESSES
        while running:
            done, _ = wait(running, max(0.0, until - time.monotonic()), FIRST_COMPLETED)
            yield from ((running.pop(future), future.result()) for future in done)
            if time.monotonic() >= until:
                break
        ray = started() if running else None
        left = [running.pop(future) for future in list(running) if ray and future.cancel()]
        if left:
            yield from on_engine(measure, {key: points[key] for key in left}, ray, workers)
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def started() -> Any:
    """The engine on this machine, or None where it does not come up, which Ray says with a bare `Exception`."""
    try:
        return engine(None)
    except Exception as error:
        warnings.warn(f"the sweep stays in processes, Ray cannot start: {error}", AttractorWarning, stacklevel=2)
        return None


def on_engine(measure: Measure, points: Points, ray: Any, most: int) -> Iterator[tuple[str, Any]]:
    """Results of the engine, which has at most so many measurements at a time; what is not needed any more is cancelled."""
    task, waiting, running = ray.remote(with_one_thread), iter(points.items()), dict[Any, str]()
    try:
        while True:
            for key, point in islice(waiting, most - len(running)):
                running[task.remote(measure, point)] = key
            if not running:
                return
            (done,), _ = ray.wait(list(running), num_returns=1)
            try:
                yield running.pop(done), ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
    finally:
        for task_left in running:
            ray.cancel(task_left, force=True)


def with_one_thread(measure: Measure, point: tuple[Any, ...]) -> Any:
    with at_most(1):
        return measure(*point)
