"""Sweeps on the engine of the cluster bank (extra `ray`): where its address is given, or for what a pool leaves undone.

A pool starts in a second and is enough for half a minute of work. Beyond it the engine takes over what no process has begun, as it
repeats measurements whose worker was lost. A cluster spreads them over its machines, which need this package and the data.

Each point carries its own seed, so the results are the same whoever measures them. The engine stands in for `sweep.measured`, so
that no paper depends on it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any

import torch

from attractor.bank.cluster_engine import engine
from attractor.errors import AttractorWarning
from attractor.papers import sweep
from attractor.papers.parts import at_most

SECONDS_IN_PROCESSES = 30.0

Points = dict[str, tuple[Any, ...]]
Measure = Callable[..., Any]


@contextmanager
def sweeping_on_engine(address: str | None = None) -> Iterator[None]:
    """Within, sweeps use the engine: from the start where there is an address, or else after `SECONDS_IN_PROCESSES`.

    Without an address the engine is one on this machine, for as many measurements at a time as `sweeping` has workers; none where
    Ray is not installed, there is one worker only, or this process is itself one of several that measure.

    Args:
        address: of a running cluster, `"auto"` or `"host:port"`. Default: none.

    Raises:
        ImportError, ConnectionError: there is an address, and Ray is not installed or finds no cluster there; raised by the sweep.

    Example:
        >>> import math
        >>> with sweeping_on_engine(), sweep.sweeping(workers=1):
        ...     sweep.sweep(math.hypot, [(3, 4), (5, 12)])
        [5.0, 13.0]
    """
    before = sweep.measured
    sweep.measured = partial(measured, address=address)
    try:
        yield
    finally:
        sweep.measured = before


def measured(measure: Measure, points: Points, workers: int, address: str | None) -> Iterator[tuple[str, Any]]:
    """The results with their keys, as they come."""
    if address is not None and points:
        yield from on_engine(measure, points, engine(address), len(points))
    elif workers == 1 or len(points) < 2:
        with at_most(1):
            yield from ((key, measure(*point)) for key, point in points.items())
    else:
        alone = parent_process() is None and find_spec("ray") is not None
        yield from in_processes(measure, points, workers, SECONDS_IN_PROCESSES if alone else None)


def in_processes(measure: Measure, points: Points, workers: int, seconds: float | None) -> Iterator[tuple[str, Any]]:
    """Results of a pool; what it has not begun after so many `seconds`, and till the engine works, is measured by that."""
    pool = processes(min(workers, len(points)))
    try:
        running: dict[Future[Any], str] = {pool.submit(measure, *point): key for key, point in points.items()}
        until = None if seconds is None else time.monotonic() + seconds
        while running:
            done, _ = wait(running, None if until is None else max(0.0, until - time.monotonic()), FIRST_COMPLETED)
            yield from ((running.pop(future), future.result()) for future in done)
            if until is not None and time.monotonic() >= until:
                break
        ray = started() if running else None
        left = [running.pop(future) for future in list(running) if ray and future.cancel()]
        if left:
            yield from on_engine(measure, {key: points[key] for key in left}, ray, workers)
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def processes(workers: int) -> Executor:
    # "spawn": a forked process inherits torch's threads in a state in which they hang.
    return ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,))


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
