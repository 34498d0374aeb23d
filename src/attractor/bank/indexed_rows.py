"""The rows of an index, cell by cell: copied to memory, or to a file of which only what is looked at is read."""

from __future__ import annotations

import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from attractor.bank.mapped import DTYPES, Tensors, bytes_of, mapped
from attractor.bank.segments import HEADER_BYTES, Layout, Segment, SegmentFolder, header, no_checks
from attractor.read import Block


class CopyError(Exception):
    """The copy of rows that an index keeps is missing or damaged: it is made anew."""


class Place:
    """Where the rows of an index go: the memory, or the folder `path`, under the number of this copy."""

    def __init__(self, path: Path | None = None, number: int | None = None):
        self.path = path
        self.number = secrets.randbelow(2**31) if number is None else number

    @property
    def on_disk(self) -> bool:
        return self.path is not None

    def fill(self, blocks: Iterable[Block], ids: Tensor, order: Tensor) -> Tensors:
        """Put the rows with `ids (n,)`, ascending, in the `order` given; those that are no longer there leave a gap.

        Raises:
            OSError: no room on the disk.
        """
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order))
        placed = placed_rows(blocks, ids, rank)
        return in_memory(placed, len(ids)) if self.path is None else self._in_files(self.path, placed, len(ids))

    def rows(self, count: int, like: Tensors) -> Tensors:
        """The `count` rows of width and dtype of `like`, mapped from the files.

        Raises:
            CopyError: they are not there.
        """
        assert self.path is not None
        layout, copy = layout_of(like), Segment(self.number, 0, count, np.empty((0, 0), np.uint32))
        held = mapped(SegmentFolder(self.path), copy, layout)
        if len(held["patterns"]) < count:
            raise CopyError(f"rows of the index are missing from {self.path}")
        return held

    def discard_others(self) -> None:
        """Remove copies with other numbers."""
        assert self.path is not None
        folder = SegmentFolder(self.path)
        folder.unlink(folder.numbers() - {self.number})

    def _in_files(self, path: Path, placed: Iterator[tuple[Tensor, Tensors]], count: int) -> Tensors:
        path.mkdir(exist_ok=True)
        folder, like = SegmentFolder(path), Tensors()
        try:
            with ExitStack() as stack:
                files: dict[str, BinaryIO] = {}
                for places, rows in placed:
                    if not files:
                        like = {name: tensor[:0] for name, tensor in rows.items()}
                        files = {name: stack.enter_context(open(folder.file(self.number, name), "xb")) for name in rows}
                        for name, file in files.items():
                            whole = Segment(self.number, 0, count, no_checks(layout_of(like)))
                            file.write(header(name, layout_of(like), whole))
                            file.truncate(HEADER_BYTES + count * like[name].shape[1] * like[name].element_size())
                    for name, tensor in rows.items():
                        write_runs(files[name], places, tensor)
        except BaseException:
            folder.unlink([self.number])
            raise
        return self.rows(count, like)


def placed_rows(blocks: Iterable[Block], ids: Tensor, rank: Tensor) -> Iterator[tuple[Tensor, Tensors]]:
    """The rows of each block that have one of `ids`, by ascending rank, and these ranks."""
    for block in blocks:
        where = torch.searchsorted(ids, block.ids).clamp_max(len(ids) - 1)
        known = (ids[where] == block.ids).nonzero().flatten()
        places, order = rank[where[known]].sort()
        rows = {"patterns": block.patterns} | ({} if block.values is None else {"values": block.values})
        yield places, {name: tensor[known[order]] for name, tensor in rows.items()}


def in_memory(placed: Iterator[tuple[Tensor, Tensors]], count: int) -> Tensors:
    held: Tensors = {}
    for places, rows in placed:
        for name, tensor in rows.items():
            held.setdefault(name, tensor.new_empty(count, tensor.shape[1]))[places] = tensor
    return held


def write_runs(file: BinaryIO, places: Tensor, rows: Tensor) -> None:
    """Write rows to their ascending places, those that follow each other at once."""
    content = bytes_of(rows)
    ends = [0, *((places.diff() != 1).nonzero().flatten() + 1).tolist(), len(places)]
    for start, stop in pairwise(ends):
        if start < stop:
            file.seek(HEADER_BYTES + int(places[start]) * content.shape[1])
            file.write(content[start:stop].data)


def checksums(held: Tensors, starts: Tensor) -> Tensor:
    """Of the rows between each two of `starts (c + 1,)`, for each tensor, `(c, tensors)` int64."""
    ends = starts.tolist()
    table = [[zlib.crc32(bytes_of(rows[start:stop]).data) for rows in held.values()] for start, stop in pairwise(ends)]
    return torch.tensor(table, dtype=torch.int64).reshape(len(ends) - 1, len(held))


def layout_of(rows: Tensors) -> Layout:
    patterns, values = rows["patterns"], rows.get("values")
    return Layout(patterns.shape[1], DTYPES[patterns.dtype], None if values is None else values.shape[1])


def discard(path: Path) -> None:
    """Remove the folder of an index."""
    shutil.rmtree(path, ignore_errors=True)
