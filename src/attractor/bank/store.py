"""The rows of a bank on disk, as numpy arrays: a process that only appends needs no torch.

An append writes its rows behind those that count, waits for the disk, and then records them in one transaction. So every
moment at which a process can die leaves the state before or the state after, and the ids that `append` returned are there at the
next start. Against power loss the promise is that of `fsync`: what the drive reports as written must be so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from attractor.bank.manifest import Manifest
from attractor.bank.segments import Ids, Layout, Rows, Segment, SegmentError, SegmentFolder
from attractor.bank.snapshot import Entry, Snapshot

INDEX = "index"
"""Folder, within that of the bank, in which an index keeps copies of the rows; it can be made again."""
LARGEST_DIM = 2**31 - 1
LARGEST_ENTRY = 2**20
"""Bytes of one row's metadata as JSON."""
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16"}


class RowStore:
    """A bank on disk without torch: what `DiskBank` stands on, and enough to append.

    Args:
        path: a folder that holds a bank, or a new or empty one where `dim` is given.
        dim: width of a pattern.

    Raises:
        ValueError: no bank there, another `dim`, a folder with something else, or a newer format.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with RowStore(Path(folder.name, "faces"), 3) as store:
        ...     store.append(np.eye(3, dtype=np.float32), metadata=[{"name": "x"}, None, None]).tolist(), len(store)
        ([0, 1, 2], 3)
        >>> folder.cleanup()
    """

    def __init__(self, path: str | Path, dim: int | None = None):
        if (dim is not None and not (isinstance(dim, Integral) and 1 <= dim <= LARGEST_DIM)) or isinstance(dim, bool):
            raise ValueError(f"dim must be an integer from 1 to {LARGEST_DIM}, got {dim!r}")
        dim = None if dim is None else int(dim)
        self.path = Path(path).absolute()  # the process may change its folder
        self.manifest = Manifest(self.path, dim)
        self.folder = SegmentFolder(self.path)

    def append(
        self,
        patterns: NDArray[np.floating],
        values: NDArray[np.floating] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> Ids:
        """Store `patterns (n, dim)`, and `values (n, e)` or none; once their ids `(n,)` are returned, the rows are on disk.

        Raises:
            TypeError, ValueError: wrong type, shape or dtype, NaN or infinity, metadata that is no JSON; nothing is stored then.
            TimeoutError: another process or object writes.
            OSError: the disk fails or is full; nothing is stored then.
        """
        arrays = {"patterns": patterns} | ({} if values is None else {"values": values})
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{name} must be a numpy array, got {type(array).__name__}")
            if array.ndim != 2 or array.dtype.name not in DTYPES or array.dtype != patterns.dtype or not array.size:
                raise ValueError(f"{name} must be a floating-point matrix, got {array.dtype} of shape {array.shape}")
            if len(array) != len(patterns) or not np.isfinite(array).all():
                raise ValueError(f"{name} must have {len(patterns)} finite rows, got shape {array.shape}")
        if metadata is not None and len(metadata) != len(patterns):
            raise ValueError(f"metadata must have one entry for each of the {len(patterns)} patterns, got {len(metadata)}")
        layout = Layout(patterns.shape[1], DTYPES[patterns.dtype.name], None if values is None else values.shape[1])
        with self.manifest.writing() as snapshot:
            kept = snapshot.layout
            if layout.dim != kept.dim or (kept.dtype is not None and layout != kept):
                raise ValueError(f"rows must be like those stored, {kept}, got {layout}")
            return self.add(layout, {name: as_bytes(array) for name, array in arrays.items()}, to_entries(metadata))

    def add(self, layout: Layout, rows: Rows, texts: Sequence[str | None]) -> Ids:
        """Store rows that have been checked, with their metadata as JSON, and return their ids."""
        with self.manifest.writing() as snapshot:
            count, next_id, next_segment = len(rows["patterns"]), snapshot.head.next_id, snapshot.head.next_segment
            ids = np.arange(next_id, next_id + count)
            last = snapshot.segments[-1] if snapshot.segments else None
            if last is not None and self.folder.rows(last, layout) < last.rows:
                last = None
            changed, start = [], 0
            while start < count:
                if last is None or not last.takes(next_id + start, layout.capacity):
                    last = Segment.begun(next_segment, ids[start:], layout)
                    next_segment += 1
                part = slice(start, min(count, start + layout.capacity - last.rows))
                last = self.folder.append(last, layout, {name: content[part] for name, content in rows.items()})
                start = part.stop
                changed.append(last)
            entries = [Entry.of(one, text) for one, text in zip(ids.tolist(), texts, strict=False) if text is not None]
            self.manifest.record_append(layout, changed, next_id + count, next_segment, entries)
        return ids

    def update(self, ids: Ids, rows: Rows, texts: Sequence[str | None]) -> list[int]:
        """Replace the `rows` given of the live `ids`, and the metadata where there is a text.

        Segments that change are written anew; returns the numbers of the old ones, to `erase` once the transaction is committed.
        """
        with self.manifest.writing() as snapshot:
            replaced, next_segment = {}, snapshot.head.next_segment
            for segment, chosen in self.segments_of(snapshot, ids) if rows else ():
                fresh = {}
                for name, content in self.sound(snapshot, segment).items():  # rows that are missing from it are forgotten ones
                    fresh[name] = np.zeros((segment.rows, content.shape[1]), np.uint8)
                    fresh[name][: len(content)] = content
                for name, content in rows.items():
                    fresh[name][segment.offsets(ids[chosen])] = content[chosen]
                begun = Segment.begun(next_segment, segment.all_ids(), snapshot.layout)
                replaced[segment.number] = self.folder.append(begun, snapshot.layout, fresh)
                next_segment += 1
            entries = [Entry.of(one, text) for one, text in zip(ids.tolist(), texts, strict=False) if text is not None]
            self.manifest.record_update(replaced, next_segment, entries)
        return list(replaced)

    def compact(self) -> None:
        """Erase forgotten rows and their metadata from the files, and join short segments. Ids stay.

        Segments that change are written anew before one transaction puts them in place of the old ones.
        """
        with self.manifest.writing() as snapshot:
            self.folder.unlink(self.folder.numbers() - {segment.number for segment in snapshot.segments})
            dropped: list[int] = []
            fresh, next_segment = [], snapshot.head.next_segment
            for worthwhile, group in groupby(snapshot.segments, lambda one: self._worth_rewriting(snapshot, one)):
                run = list(group)
                if worthwhile and (len(run) > 1 or snapshot.live(run[0]) is not None):
                    dropped += [segment.number for segment in run]
                    for ids, rows in self._joined(snapshot, run):
                        begun = Segment.begun(next_segment, ids, snapshot.layout)
                        fresh.append(self.folder.append(begun, snapshot.layout, rows))
                        next_segment += 1
            if dropped:
                self.manifest.record_compact(dropped, fresh, next_segment)
        self.erase(dropped)

    def erase(self, numbers: Sequence[int]) -> None:
        """Remove the files of segments that no longer count, copies of their rows, and what the log still says of them."""
        if numbers:
            self.folder.unlink(numbers)
            shutil.rmtree(self.path / INDEX, ignore_errors=True)
        self.manifest.flush()

    def lost(self, snapshot: Snapshot, *, thorough: bool) -> Ids:
        """The live ids whose rows are missing from the files or, where `thorough`, differ from what was stored."""
        parts = [np.empty(0, np.int64)]
        for segment in snapshot.segments:
            if thorough:
                offsets = self.folder.unsound(segment, snapshot.layout, self.folder.map(segment, snapshot.layout))
            else:
                offsets = np.arange(self.folder.rows(segment, snapshot.layout), segment.rows)
            parts.append(live_among(snapshot, segment, offsets))
        return np.concatenate(parts)

    def sound(self, snapshot: Snapshot, segment: Segment) -> Rows:
        """The bytes of a segment, mapped, once its live rows are known to be as they were stored.

        Raises:
            SegmentError: they are not.
        """
        mapped = self.folder.map(segment, snapshot.layout)
        self.refuse(snapshot, segment, self.folder.unsound(segment, snapshot.layout, mapped, segment.groups))
        return mapped

    def refuse(self, snapshot: Snapshot, segment: Segment, offsets: Ids) -> None:
        """Raise `SegmentError` where live rows of a segment stand at `offsets`, which are lost."""
        lost = live_among(snapshot, segment, offsets)
        if len(lost):
            some = f"{lost[:8].tolist()}{f' and {len(lost) - 8} more' if len(lost) > 8 else ''}"
            raise SegmentError(
                f"{self.folder.file(segment.number, 'patterns')} or its values beside it are damaged, rows that were stored are "
                f"lost, ids {some}: put the file back from a copy, or forget the ids that lost() gives to go on with the rest"
            )

    def segments_of(self, snapshot: Snapshot, ids: Ids) -> Iterator[tuple[Segment, Ids]]:
        """The segments that hold live `ids`, each with the places of its own among them."""
        starts = np.array([segment.first_id for segment in snapshot.segments], np.int64)
        which = np.searchsorted(starts, ids, side="right") - 1
        for number in np.unique(which).tolist():
            yield snapshot.segments[number], (which == number).nonzero()[0]

    def close(self) -> None:
        """Release the files."""
        self.manifest.close()

    def __len__(self) -> int:
        return len(self.manifest.snapshot())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _worth_rewriting(self, snapshot: Snapshot, segment: Segment) -> bool:
        return snapshot.live(segment) is not None or 2 * segment.rows < snapshot.layout.capacity

    def _joined(self, snapshot: Snapshot, segments: Sequence[Segment]) -> Iterator[tuple[Ids, Rows]]:
        """The live rows of `segments`, by as many as fill a segment each."""
        capacity = snapshot.layout.capacity
        ids, rows = np.empty(0, np.int64), {name: np.empty((0, size), np.uint8) for name, size in snapshot.layout.row_bytes.items()}
        for segment in segments:
            mapped, live = self.sound(snapshot, segment), snapshot.live(segment)
            some: slice | Ids = slice(None) if live is None else live.nonzero()[0]
            ids = np.concatenate([ids, segment.all_ids()[some]])
            rows = {name: np.concatenate([before, mapped[name][some]]) for name, before in rows.items()}
            while len(ids) >= capacity:
                yield ids[:capacity], {name: content[:capacity] for name, content in rows.items()}
                ids, rows = ids[capacity:], {name: content[capacity:] for name, content in rows.items()}
        if len(ids):
            yield ids, rows


def live_among(snapshot: Snapshot, segment: Segment, offsets: Ids) -> Ids:
    """The ids of those rows of a segment at `offsets` that are live."""
    live = snapshot.live(segment)
    return segment.all_ids()[offsets if live is None else offsets[live[offsets]]]


def as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of each row of a matrix, little-endian."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return array.view(np.uint8).reshape(len(array), -1)


def to_entries(metadata: Sequence[Mapping[str, Any] | None] | None) -> list[str | None]:
    return [None if entry is None else to_json(f"metadata[{row}]", entry) for row, entry in enumerate(metadata or ())]


def to_json(name: str, entry: object) -> str:
    """Metadata as JSON.

    Raises:
        TypeError, ValueError: no mapping, something that JSON cannot give back as it was, or more than `LARGEST_ENTRY` bytes.
    """
    if not isinstance(entry, Mapping):
        raise TypeError(f"{name} must be a mapping or None, got {type(entry).__name__}")
    try:
        text = json.dumps(dict(entry), allow_nan=False)
        same = json.loads(text) == dict(entry)
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must hold JSON values: {error}") from error
    if not same:
        raise ValueError(f"{name} must hold JSON values, with text as keys and lists for tuples")
    if len(text) > LARGEST_ENTRY:
        raise ValueError(f"{name} must take at most {LARGEST_ENTRY} bytes as JSON, got {len(text)}")
    return text
