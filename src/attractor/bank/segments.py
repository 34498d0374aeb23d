"""Segments: the files that hold the rows of a bank on disk.

A segment is a matrix in row-major order behind a header of one page, and every segment is a safetensors file at any time: the
header is written anew, in place, with each append. So nothing is copied when a segment is full, and other tools read the rows.
How many rows count says the manifest alone; a header or a tail that a crash left behind is never believed.

Values lie in a file of their own beside the patterns, so that the patterns remain one contiguous matrix for the product.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from attractor.read import Block

SEGMENT_BYTES = 2**26
HEADER_BYTES = 4096
ROWS_TOGETHER = 64
"""Full segments hold a multiple of this, which suits the search for the best row."""
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""What a segment can hold, by the names of safetensors."""


class SegmentError(ValueError):
    """A file holds fewer rows than the manifest records."""


@dataclass(frozen=True)
class Layout:
    """What every row of a bank looks like; `dtype` is None before the first append."""

    dim: int
    dtype: torch.dtype | None = None
    value_dim: int | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Entries of a row, by the name of the tensor."""
        return {"patterns": self.dim} | ({} if self.value_dim is None else {"values": self.value_dim})

    @property
    def capacity(self) -> int:
        """Rows of a full segment."""
        assert self.dtype is not None
        rows = SEGMENT_BYTES // (sum(self.widths.values()) * self.dtype.itemsize)
        return rows // ROWS_TOGETHER * ROWS_TOGETHER if rows >= ROWS_TOGETHER else max(1, rows)


@dataclass(frozen=True, eq=False)
class Segment:
    """`rows` rows under ascending ids: `first_id` and those that follow it, or `ids (rows,)` where there are gaps."""

    number: int
    first_id: int
    rows: int
    ids: Tensor | None = None

    @classmethod
    def of(cls, number: int, ids: Tensor) -> Segment:
        """The segment of the rows `ids`, ascending."""
        first, rows = int(ids[0]), len(ids)
        return cls(number, first, rows, None if int(ids[-1]) - first == rows - 1 else ids)

    def all_ids(self) -> Tensor:
        return torch.arange(self.first_id, self.first_id + self.rows) if self.ids is None else self.ids

    def offsets(self, ids: Tensor) -> Tensor:
        """At which rows `ids` stand; all of them must be ids of this segment."""
        return ids - self.first_id if self.ids is None else torch.searchsorted(self.ids, ids)

    def takes(self, first_id: int, capacity: int) -> bool:
        """Whether rows from `first_id` on can be appended."""
        return self.ids is None and self.first_id + self.rows == first_id and self.rows < capacity

    def grown(self, rows: int) -> Segment:
        return replace(self, rows=self.rows + rows)


class SegmentFolder:
    """The segment files in `path`."""

    def __init__(self, path: Path):
        self.path = path

    def file(self, number: int, name: str) -> Path:
        """Where the tensor `name` of a segment lies."""
        return self.path / f"segment-{number:06d}{'' if name == 'patterns' else f'.{name}'}.safetensors"

    def write(self, number: int, start: int, tensors: dict[str, Tensor]) -> None:
        """Write `tensors` from row `start` of a segment on, over what stands there, and wait until the disk has them."""
        for name, rows in tensors.items():
            row_bytes = rows.shape[1] * rows.itemsize
            with open(self.file(number, name), "r+b" if start else "wb") as handle:
                handle.truncate(HEADER_BYTES + start * row_bytes)
                handle.seek(HEADER_BYTES + start * row_bytes)
                handle.write(rows.contiguous().view(torch.uint8).numpy().data)
                handle.seek(0)
                handle.write(header(name, rows.dtype, start + len(rows), rows.shape[1]))
                handle.flush()
                os.fsync(handle.fileno())
        if start == 0:
            sync_folder(self.path)

    def map(self, segment: Segment, layout: Layout) -> dict[str, Tensor]:
        """The tensors of a segment, mapped from its files; shorter than recorded where rows are lost.

        Writing to such a tensor changes the memory of this process only.

        Raises:
            SegmentError: a file cannot be mapped.
        """
        assert layout.dtype is not None
        rows = self.rows(segment, layout)
        if rows == 0:
            return {name: torch.empty(0, width, dtype=layout.dtype) for name, width in layout.widths.items()}
        mapped = {}
        for name, width in layout.widths.items():
            file = self.file(segment.number, name)
            try:
                size = HEADER_BYTES + rows * width * layout.dtype.itemsize
                storage = cast(torch.UntypedStorage, torch.UntypedStorage.from_file(str(file), False, size))
            except RuntimeError as error:
                raise SegmentError(f"{file} cannot be mapped: {error}") from error
            start = HEADER_BYTES // layout.dtype.itemsize
            mapped[name] = torch.empty(0, dtype=layout.dtype).set_(storage, start, (rows, width), (width, 1))
        return mapped

    def rows(self, segment: Segment, layout: Layout) -> int:
        """How many of the recorded rows the files hold."""
        assert layout.dtype is not None
        rows = segment.rows
        for name, width in layout.widths.items():
            try:
                size = self.file(segment.number, name).stat().st_size
            except FileNotFoundError:
                return 0
            rows = min(rows, max(0, size - HEADER_BYTES) // (width * layout.dtype.itemsize))
        return rows

    def numbers(self) -> set[int]:
        """Of all segments that have files, whether they count or not."""
        found = (file.name.removeprefix("segment-").partition(".")[0] for file in self.path.glob("segment-*.safetensors"))
        return {int(number) for number in found if number.isdigit()}

    def unlink(self, numbers: Iterable[int]) -> None:
        """Remove the files of segments that no longer count."""
        for number in numbers:
            for file in (self.file(number, name) for name in ("patterns", "values")):
                with suppress(PermissionError):  # Windows keeps a file while it is mapped: `compact` tries again
                    file.unlink(missing_ok=True)


def header(name: str, dtype: torch.dtype, rows: int, width: int) -> bytes:
    """The first page of a safetensors file that holds one matrix."""
    entry = {"dtype": DTYPES[dtype], "shape": [rows, width], "data_offsets": [0, rows * width * dtype.itemsize]}
    length = HEADER_BYTES - 8
    return length.to_bytes(8, "little") + json.dumps({name: entry}).encode().ljust(length)


def sync_folder(path: Path) -> None:
    """Wait until the disk knows the names of the files in `path`."""
    if os.name == "posix":  # Windows has no such call and needs none
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def block_of(segment: Segment, tensors: dict[str, Tensor]) -> Block:
    return Block(segment.all_ids(), tensors["patterns"], tensors.get("values"))


def cut(whole: Block, live: Tensor | None, rows: int) -> Iterator[Block]:
    """The rows of `whole` that the mask `live` lets through, in blocks of at most `rows`; copied only where some are dead."""
    for start in range(0, len(whole.ids), rows):
        part: slice | Tensor = slice(start, start + rows)
        if live is not None and not bool(live[part].all()):
            part = live[part].nonzero().flatten() + start
        block = whole.rows(part)
        if len(block):
            yield block


def join(blocks: Sequence[Block]) -> Block:
    """One block of the rows of several."""
    values = [block.values for block in blocks if block.values is not None]
    return Block(
        torch.cat([block.ids for block in blocks]),
        torch.cat([block.patterns for block in blocks]),
        torch.cat(values) if values else None,
    )


def tensors_of(patterns: Tensor, values: Tensor | None) -> dict[str, Tensor]:
    """What a segment holds, by name."""
    return {"patterns": patterns} if values is None else {"patterns": patterns, "values": values}
