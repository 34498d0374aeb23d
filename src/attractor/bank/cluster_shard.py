"""One shard of a bank over a cluster: a bank on disk, mirrored in the memory of the worker that answers for it.

The ids are the shard's own. Rows count below an `end` that the caller names, for the rows of an unfinished append lie behind it.
Every call may come a second time after the worker was lost and started again: then it finds on disk what the first one left.

A worker holds a lock beside its shard until its process ends: one that was given up, but still works, would drop rows that count.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from attractor.bank.base import Metadata
from attractor.bank.disk import DiskBank
from attractor.bank.ram import RamBank
from attractor.bank.segments import SegmentError
from attractor.read import SEPARATIONS, Block, Partial, Read

ROWS_PER_LOAD = 2**16
SECONDS_TO_WAIT = 60.0
"""For a worker that was given up to end."""

Answer = TypeVar("Answer")


class Shard:
    """The rows in the folder `path`, of width `dim`; opened by the first call, so that the caller is told what is wrong there."""

    def __init__(self, path: Path, dim: int):
        self.path, self.dim = path, dim
        self.mirror = RamBank(dim)
        self.mirrored = torch.empty(0, dtype=torch.int64)
        """The id on disk of each id of the mirror, ascending."""
        self.loaded = 0
        """The mirror holds what counts below this id."""
        self.written: int | None = None
        """All that is on disk lies below this id; None before the first append."""
        self._lock: sqlite3.Connection | None = None

    @cached_property
    def disk(self) -> DiskBank:
        self._lock = self._lock or locked(self.path.with_suffix(".lock"))
        shutil.rmtree(self.dropped, ignore_errors=True)
        return DiskBank(self.path, self.dim)

    @property
    def dropped(self) -> Path:
        """Where the folder goes to be removed: half of it would be no bank."""
        return self.path.with_suffix(".dropped")

    def append(
        self, end: int, wanted: int, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None
    ) -> int:
        """Store rows behind `end`, and return the id of the first; what an unfinished append left there is forgotten.

        Where nothing counts, and the first id `wanted` is 0, the shard starts anew: what was left must not bind the dtype.
        """
        if end == wanted == 0 and self.disk.version > 0:
            self.disk.close()
            self.path.replace(self.dropped)
            shutil.rmtree(self.dropped)
            self.disk = DiskBank(self.path, self.dim)
        elif self.written != end:
            live = self.disk.ids()
            self.disk.forget(live[live >= end])
        first = int(self.disk.append(patterns, values, metadata)[0])
        self.written = first + len(patterns)
        return first

    def forget(self, ids: Tensor, end: int) -> None:
        """Remove those of the rows `ids`, ascending, that are there."""
        ids = ids[self.holds(ids, end)]
        self.disk.forget(ids)
        ids = ids[ids < self.loaded]
        self.mirror.forget(torch.searchsorted(self.mirrored, ids))

    def fold(self, question: Read, end: int, first: int, step: int) -> Partial | None:
        """The answer of the shard to a read, or None where it is empty; its row `i` is named `first + i * step`."""
        self._load(end)
        if len(self.mirror) == 0:
            return None
        names = self.mirrored * step + first
        if type(question.separation) in SEPARATIONS.values():
            return with_ids(self.mirror.fold(question), lambda ids: names[ids])
        # a separation from elsewhere may tell rows by their ids
        return question.fold(replace(block, ids=names[block.ids]) for block in self.mirror.blocks(question.rows_per_block))

    def contains(self, patterns: Tensor, end: int) -> Tensor:
        self._load(end)
        return self.mirror.contains(patterns)

    def get(self, ids: Tensor, end: int) -> tuple[Tensor, Block | None]:
        """Which of `ids` are there, and their rows where all are."""
        return self._where_all(ids, end, self._rows)

    def metadata(self, ids: Tensor, end: int) -> tuple[Tensor, list[dict[str, Any] | None] | None]:
        """Which of `ids` are there, and their metadata where all are."""
        return self._where_all(ids, end, self.disk.metadata)

    def holds(self, ids: Tensor, end: int) -> Tensor:
        """Which of `ids` are there."""
        return (ids < end) & torch.from_numpy(self.disk._manifest.snapshot().places(ids.numpy()) >= 0)

    def ids(self, end: int) -> Tensor:
        ids = self.disk.ids()
        return ids[ids < end]

    def lost(self, end: int) -> Tensor:
        ids = self.disk.lost()
        return ids[ids < end]

    def count(self, end: int) -> int:
        return len(self.ids(end))

    def below(self, bounds: Tensor, end: int) -> Tensor:
        """How many rows have an id below each of `bounds`."""
        return torch.searchsorted(self.ids(end), bounds)

    def compact(self) -> None:
        self.disk.compact()
        self.mirror.compact()

    def _load(self, end: int) -> None:
        """Take into the mirror what counts below `end` and is not there yet."""
        if end <= self.loaded:  # below: a read that nobody waits for any more
            return
        ids = self.disk.ids()
        fresh = ids[(ids >= self.loaded) & (ids < end)]
        for part in fresh.split(ROWS_PER_LOAD) if len(fresh) else ():
            block = self._rows(part)
            self.mirror.append(block.patterns, block.values)
            self.mirrored = torch.cat([self.mirrored, part])
            self.loaded = int(part[-1]) + 1
        self.loaded = end

    def _rows(self, ids: Tensor) -> Block:
        try:
            return self.disk.get(ids)
        except SegmentError as error:
            raise SegmentError(f"{error} (these are ids of the shard; the bank's own lost() gives those of the bank)") from error

    def _where_all(self, ids: Tensor, end: int, answer: Callable[[Tensor], Answer]) -> tuple[Tensor, Answer | None]:
        held = self.holds(ids, end)
        return held, answer(ids) if bool(held.all()) else None


def locked(file: Path) -> sqlite3.Connection:
    """A lock that is held until the connection is closed, or its process has ended.

    Raises:
        TimeoutError: another worker has it.
    """
    connection = sqlite3.connect(file, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise TimeoutError(f"{file} cannot be locked, a worker that was given up may still hold it: {error}") from error
    return connection


def with_ids(partial: Partial, rename: Callable[[Tensor], Tensor]) -> Partial:
    """`partial` with other ids, in the same order; places that no row fills keep theirs."""
    best = partial.best
    best = best._replace(ids=torch.where(best.ids < 0, best.ids, rename(best.ids.clamp_min(0))))
    body = partial.body
    return Partial(best, body._replace(ids=rename(body.ids)) if hasattr(body, "ids") else body)
