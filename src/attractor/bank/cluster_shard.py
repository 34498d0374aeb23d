"""One shard of a bank over a cluster: a bank on disk, mirrored in the memory of the worker that answers for it.

The ids are the shard's own. Rows count below an `end` that the caller names, for the rows of an unfinished append lie behind it.
Every call may come a second time after the worker was lost and started again: then it finds on disk what the first one left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attractor.bank.base import Metadata
from attractor.bank.disk import DiskBank
from attractor.bank.ram import RamBank
from attractor.read import SEPARATIONS, Block, Partial, Read

ROWS_PER_LOAD = 2**16


class Shard:
    """The rows in the folder `path`, of width `dim`."""

    def __init__(self, path: Path, dim: int):
        self.path, self.dim = path, dim
        self.disk = DiskBank(path, dim)
        self.mirror = RamBank(dim)
        self.mirrored = torch.empty(0, dtype=torch.int64)
        """The id on disk of each id of the mirror, ascending."""
        self.loaded = 0
        """The mirror holds what counts below this id."""

    def append(self, end: int, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> int:
        """Store rows behind `end` and return the id of the first; what an unfinished append left there is forgotten."""
        if end == 0 and self.disk.version > 0:  # its dtype must not bind
            self.disk.close()
            shutil.rmtree(self.path)
            self.disk = DiskBank(self.path, self.dim)
        live = self.disk.ids()
        self.disk.forget(live[live >= end])
        return int(self.disk.append(patterns, values, metadata)[0])

    def forget(self, ids: Tensor) -> None:
        """Remove those of the rows `ids`, ascending, that are there."""
        ids = ids[torch.isin(ids, self.disk.ids())]
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

    def get(self, ids: Tensor) -> Block:
        return self.disk.get(ids)

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        return self.disk.metadata(ids)

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
        if end == self.loaded:
            return
        ids = self.disk.ids()
        fresh = ids[(ids >= self.loaded) & (ids < end)]
        for part in fresh.split(ROWS_PER_LOAD) if len(fresh) else ():
            block = self.disk.get(part)
            self.mirror.append(block.patterns, block.values)
            self.mirrored = torch.cat([self.mirrored, part])
            self.loaded = int(part[-1]) + 1
        self.loaded = end


def with_ids(partial: Partial, rename: Callable[[Tensor], Tensor]) -> Partial:
    """`partial` with other ids, in the same order; places that no row fills keep theirs."""
    best = partial.best
    best = best._replace(ids=torch.where(best.ids < 0, best.ids, rename(best.ids.clamp_min(0))))
    body = partial.body
    return Partial(best, body._replace(ids=rename(body.ids)) if hasattr(body, "ids") else body)
