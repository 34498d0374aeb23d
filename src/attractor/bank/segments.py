"""Segments: the files that hold the rows of a bank on disk. Needs numpy only.

A segment is a matrix in row-major order behind a header of one page, and every segment is a safetensors file at any time: the
header is written anew, in place, with each append. So nothing is copied when a segment is full, and other tools read the rows.
How many rows count says the manifest alone; a header or a tail that a crash left behind is never believed while there is one.
The manifest also keeps a CRC-32 of every few rows, which an append extends without reading what stands there. The ids stand in
the file too, for the day when the manifest is lost: the first one in the header where the others follow it, else all of them
behind the rows.

Values lie in a file of their own beside the patterns, so that the patterns remain one contiguous matrix for the product.
Rows are handled as their bytes, `(rows, bytes of a row)` uint8: numpy has no bfloat16.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FILE_NAME = re.compile(r"segment-([0-9]{6,})(?:\.values)?\.safetensors")
SEGMENT_BYTES = 2**26
HEADER_BYTES = 4096
ROWS_TOGETHER = 64
"""Full segments hold a multiple of this, which suits the search for the best row."""
CHECKED_BYTES = 2**16
"""Rows of about this many bytes share a checksum, and are lost together. Part of the format."""
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""What a segment can hold, by the names of safetensors."""

Ids = NDArray[np.int64]
Rows = dict[str, NDArray[np.uint8]]
"""Bytes of rows, by the name of the tensor."""


class SegmentError(ValueError):
    """A file lacks rows that the manifest records, or holds others."""


@dataclass(frozen=True)
class Layout:
    """What every row of a bank looks like; `dtype`, by its name in safetensors, is None before the first append."""

    dim: int
    dtype: str | None = None
    value_dim: int | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Entries of a row, by the name of the tensor."""
        return {"patterns": self.dim} | ({} if self.value_dim is None else {"values": self.value_dim})

    @property
    def row_bytes(self) -> dict[str, int]:
        assert self.dtype is not None
        return {name: width * ITEM_BYTES[self.dtype] for name, width in self.widths.items()}

    @property
    def capacity(self) -> int:
        """Rows of a full segment."""
        rows = SEGMENT_BYTES // sum(self.row_bytes.values())
        return rows // ROWS_TOGETHER * ROWS_TOGETHER if rows >= ROWS_TOGETHER else max(1, rows)

    @property
    def checked_rows(self) -> int:
        """Rows that share a checksum."""
        return max(1, CHECKED_BYTES // sum(self.row_bytes.values()))


@dataclass(frozen=True, eq=False)
class Segment:
    """`rows` rows under ascending ids: `first_id` and those that follow it, or `ids (rows,)` where there are gaps.

    `checks` holds the checksums of each tensor, `(tensors, groups of rows)` uint32.
    """

    number: int
    first_id: int
    rows: int
    checks: NDArray[np.uint32]
    ids: Ids | None = None

    @classmethod
    def begun(cls, number: int, ids: Ids, layout: Layout) -> Segment:
        """A segment that has no row yet, for rows under `ids`, ascending."""
        first = int(ids[0])
        return cls(number, first, 0, no_checks(layout), None if int(ids[-1]) - first == len(ids) - 1 else ids)

    @property
    def last_id(self) -> int:
        return self.first_id + self.rows - 1 if self.ids is None else int(self.ids[-1])

    @property
    def groups(self) -> range:
        """Of rows that share a checksum."""
        return range(self.checks.shape[1])

    def all_ids(self) -> Ids:
        return np.arange(self.first_id, self.first_id + self.rows) if self.ids is None else self.ids

    def offsets(self, ids: Ids) -> Ids:
        """At which rows `ids` stand; all of them must be ids of this segment."""
        return ids - self.first_id if self.ids is None else np.searchsorted(self.ids, ids)

    def takes(self, first_id: int, capacity: int) -> bool:
        """Whether rows from `first_id` on can be appended."""
        return self.ids is None and self.first_id + self.rows == first_id and self.rows < capacity

    def grown(self, layout: Layout, rows: Rows) -> Segment:
        """With `rows` behind those it has."""
        checks = np.stack(
            [extended(old, self.rows, rows[name], layout) for name, old in zip(layout.widths, self.checks, strict=True)]
        )
        return replace(self, rows=self.rows + len(rows["patterns"]), checks=checks)


class SegmentFolder:
    """The segment files in `path`."""

    def __init__(self, path: Path):
        self.path = path
        self._sound: dict[tuple[int, str], NDArray[np.int64]] = {}

    def file(self, number: int, name: str) -> Path:
        """Where the tensor `name` of a segment lies."""
        return self.path / f"segment-{number:06d}{'' if name == 'patterns' else f'.{name}'}.safetensors"

    def append(self, segment: Segment, layout: Layout, rows: Rows) -> Segment:
        """Write `rows` behind those of a segment, over what stands there, wait until the disk has them, and return it grown.

        A segment with gaps between its ids takes all its rows at once.
        """
        grown = segment.grown(layout, rows)
        for name, content in rows.items():
            row_bytes = content.shape[1]
            with self._writable(segment, name) as handle:
                handle.truncate(HEADER_BYTES + segment.rows * row_bytes)
                handle.seek(HEADER_BYTES + segment.rows * row_bytes)
                handle.write(np.ascontiguousarray(content).data)
                if name == "patterns" and segment.ids is not None:
                    handle.write(segment.ids.astype("<i8").data)
                handle.seek(0)
                handle.write(header(name, layout, grown))
                handle.flush()
                os.fsync(handle.fileno())
        if segment.rows == 0:
            sync_folder(self.path)
        return grown

    def rows(self, segment: Segment, layout: Layout) -> int:
        """How many of the recorded rows the files are long enough for."""
        rows = segment.rows
        for name, row_bytes in layout.row_bytes.items():
            try:
                size = self.file(segment.number, name).stat().st_size
            except FileNotFoundError:
                return 0
            rows = min(rows, max(0, size - HEADER_BYTES) // row_bytes)
        return rows

    def map(self, segment: Segment, layout: Layout) -> Rows:
        """The bytes of a segment, mapped from its files; shorter than recorded where rows are lost.

        Raises:
            SegmentError: a file cannot be mapped.
        """
        rows, mapped = self.rows(segment, layout), {}
        for name, row_bytes in layout.row_bytes.items():
            if rows == 0:
                mapped[name] = np.empty((0, row_bytes), np.uint8)
                continue
            file = self.file(segment.number, name)
            try:
                mapped[name] = np.memmap(file, np.uint8, "r", HEADER_BYTES, (rows, row_bytes))
            except (OSError, ValueError) as error:
                raise SegmentError(f"{file} cannot be mapped: {error}") from error
        return mapped

    def unsound(self, segment: Segment, layout: Layout, rows: Rows, groups: Sequence[int] | None = None) -> Ids:
        """Offsets of recorded rows that are missing from `rows`, the bytes of a segment, or differ from what was stored.

        Only the given `groups` of rows that share a checksum are looked at. What was found sound once is taken for sound; without
        `groups`, nothing is.
        """
        wrong = np.arange(segment.rows) >= len(rows["patterns"])
        for checks, (name, content) in zip(segment.checks, rows.items(), strict=True):
            sound = np.full(len(checks), -1)
            if groups is not None:
                before = self._sound.get((segment.number, name), sound)[: len(checks)]
                sound[: len(before)] = before
            doubtful = (sound != checks).nonzero()[0]
            for group in (doubtful if groups is None else np.intersect1d(doubtful, np.array(groups, np.int64))).tolist():
                part = slice(group * layout.checked_rows, min((group + 1) * layout.checked_rows, segment.rows))
                if not wrong[part].any():
                    sound[group] = zlib.crc32(content[part].data)
                    wrong[part] = sound[group] != checks[group]
            self._sound[segment.number, name] = sound
        return wrong.nonzero()[0]

    def numbers(self) -> set[int]:
        """Of all segments that have files, whether they count or not."""
        found = (FILE_NAME.fullmatch(file.name) for file in self.path.glob("segment-*"))
        return {int(name[1]) for name in found if name}

    def unlink(self, numbers: Iterable[int]) -> None:
        """Remove the files of segments that no longer count."""
        for number in numbers:
            for name in ("patterns", "values"):
                self._sound.pop((number, name), None)
                with suppress(PermissionError):  # Windows keeps a file while it is mapped: `compact` tries again
                    self.file(number, name).unlink(missing_ok=True)

    def _writable(self, segment: Segment, name: str) -> BinaryIO:
        """The file of a segment to write to, a new one for the first rows; never what a link in its place leads to."""
        file, flags = self.file(segment.number, name), os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        if segment.rows == 0:
            file.unlink(missing_ok=True)
            flags |= os.O_CREAT | os.O_EXCL
        return open(file, "r+b", opener=lambda path, _: os.open(path, flags, 0o666))


def no_checks(layout: Layout) -> NDArray[np.uint32]:
    """The checksums of a segment without rows."""
    return np.empty((len(layout.widths), 0), np.uint32)


def extended(checks: NDArray[np.uint32], count: int, rows: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint32]:
    """The checksums of `count` rows, with those of `rows` behind them."""
    together = layout.checked_rows
    grown = [int(one) for one in checks]
    start = 0
    while start < len(rows):
        inside = (count + start) % together
        stop = min(len(rows), start + together - inside)
        before = grown.pop() if inside else 0
        grown.append(zlib.crc32(np.ascontiguousarray(rows[start:stop]).data, before))
        start = stop
    return np.array(grown, np.uint32)


def header(name: str, layout: Layout, segment: Segment) -> bytes:
    """The first page of the safetensors file that holds a tensor of a segment."""
    assert layout.dtype is not None
    width, end = layout.widths[name], segment.rows * layout.row_bytes[name]
    entries: dict[str, Any] = {name: {"dtype": layout.dtype, "shape": [segment.rows, width], "data_offsets": [0, end]}}
    if segment.ids is None:
        entries["__metadata__"] = {"first_id": str(segment.first_id)}
    elif name == "patterns":
        entries["ids"] = {"dtype": "I64", "shape": [segment.rows], "data_offsets": [end, end + 8 * segment.rows]}
    length = HEADER_BYTES - 8
    return length.to_bytes(8, "little") + json.dumps(entries).encode().ljust(length)


def sync_folder(path: Path) -> None:
    """Wait until the disk knows the names of the files in `path`."""
    if os.name == "posix":  # Windows has no such call and needs none
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
