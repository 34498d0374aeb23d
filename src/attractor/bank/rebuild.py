"""A new manifest for a bank on disk whose own is damaged or gone. Needs numpy only.

The segments say which rows they hold, and under which ids. Of the old manifest all that passes its checksums is kept. Where two
segments hold the same ids, an update or a `compact` was cut short: the newer one counts.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attractor.bank.database import ManifestError
from attractor.bank.manifest import FILE, Manifest
from attractor.bank.schema import RECORD, checksum, segment_of
from attractor.bank.segments import HEADER_BYTES, ITEM_BYTES, Ids, Layout, Segment, SegmentFolder, no_checks, sync_folder
from attractor.bank.snapshot import Entry, Head, total

WORKSHOP = "rebuilt"
"""Folder in which the new manifest is made."""
NAMES = "names and other metadata, some or all"
FORGOTTEN = "which rows were forgotten since the last compact(), some or all: they are back"
CHECKSUMS = "checksums of segments {}: bits that flipped there are not noticed, and rows not acknowledged may be among them"
IDS = "the ids: segments {} do not say theirs, so their rows are counted on from those before"
UNREAD = "segments that cannot be read: {}"


class Rebuilt(NamedTuple):
    """What a new manifest holds.

    Attributes:
        rows: how many rows are there again.
        lost: what is not, in words; empty where the whole bank is.
    """

    rows: int
    lost: tuple[str, ...]


def rebuild(path: Path) -> Rebuilt:
    """Give the bank at `path` a new manifest; the old one is kept as `bank.db.damaged`. See `DiskBank.rebuild`."""
    folder = SegmentFolder(path)
    numbers = sorted(folder.numbers())
    if not numbers:
        raise ValueError(f"path must hold the segments of a bank, there are none in {path}")
    if is_whole(path):
        raise ValueError(f"path must hold a bank with a damaged manifest, {path / FILE} is whole")
    old = Remains.of(path / FILE)
    described = {number: one for number in numbers if (one := Described.read(folder, number))}
    layout = old.layout or next((one.layout for one in described.values()), None)
    if layout is None:
        raise ValueError(f"path must hold the segments of a bank, none in {path} can be read")
    read = [one for one in described.values() if one.layout == layout and one.number not in old.segments]
    kept = disjoint(folder, layout, [*reversed(old.segments.values()), *reversed(list(as_found(folder, layout, read)))])
    lost = list(old.lost)
    for complaint, some in [
        (CHECKSUMS, [one.number for one in kept if one.number not in old.segments]),
        (IDS, [one.number for one in read if one.ids is None]),
        (UNREAD, sorted({*numbers} - {*old.segments} - {one.number for one in read})),
    ]:
        if some:
            lost.append(complaint.format(some))
    ids = np.concatenate([segment.all_ids() for segment in kept])
    forgotten = old.forgotten[np.isin(old.forgotten, ids)]
    shutil.rmtree(path / WORKSHOP, ignore_errors=True)
    with closing(Manifest(path / WORKSHOP, layout.dim)) as manifest, manifest.writing():
        entries = [entry for entry in old.entries if np.isin(entry.id, ids)]
        manifest.record_append(layout, kept, max(old.next_id, int(ids.max()) + 1), max(folder.numbers()) + 1, entries)
        manifest.record_forget(forgotten)
    put_in_place(path)
    return Rebuilt(len(ids) - len(forgotten), tuple(lost))


def is_whole(path: Path) -> bool:
    try:
        with closing(Manifest(path, None)) as manifest:
            manifest.check()
    except ManifestError:
        return False
    return True


def put_in_place(path: Path) -> None:
    """Let the manifest that was made count, and keep the old one with its log, which must not be taken for the log of the new."""
    for ending in ("", "-wal", "-shm"):
        if (path / f"{FILE}{ending}").exists():
            os.replace(path / f"{FILE}{ending}", path / f"{FILE}.damaged{ending}")
    sync_folder(path)
    os.replace(path / WORKSHOP / FILE, path / FILE)
    sync_folder(path)
    shutil.rmtree(path / WORKSHOP)


def as_found(folder: SegmentFolder, layout: Layout, found: list[Described]) -> Iterator[Segment]:
    """Segments with the checksums that their files have today."""
    end = 0
    for one in found:
        ids = np.arange(end, end + one.rows) if one.ids is None else one.ids
        begun, end = Segment.begun(one.number, ids, layout), int(ids[-1]) + 1
        held = folder.map(Segment(one.number, 0, one.rows, no_checks(layout)), layout)
        yield begun.grown(layout, held)


def disjoint(folder: SegmentFolder, layout: Layout, segments: list[Segment]) -> list[Segment]:
    """`segments` by ascending ids; where two meet, the later one in the list gives way, and what is left of it is written anew."""
    kept: list[Segment] = []
    for segment in segments:
        ids = segment.all_ids()
        rivals = [one for one in kept if one.first_id <= segment.last_id and segment.first_id <= one.last_id]
        if not rivals:
            kept.append(segment)
            continue
        free = np.logical_and.reduce([(ids < one.first_id) | (ids > one.last_id) for one in rivals])
        rivals_below = np.sum([ids > one.last_id for one in rivals], axis=0)
        for stretch in np.unique(rivals_below[free]):
            some = (free & (rivals_below == stretch)).nonzero()[0]
            rows = {name: content[some] for name, content in folder.map(segment, layout).items()}
            kept.append(folder.append(Segment.begun(max(folder.numbers()) + 1, ids[some], layout), layout, rows))
    return sorted(kept, key=lambda one: one.first_id)


class Described(NamedTuple):
    """What the files of a segment say of it; `ids` are None in files of an older version."""

    number: int
    layout: Layout
    rows: int
    ids: Ids | None

    @classmethod
    def read(cls, folder: SegmentFolder, number: int) -> Described | None:
        """None where the patterns, or values that lie beside them, have no header that can be read."""
        file, beside = folder.file(number, "patterns"), folder.file(number, "values")
        try:
            entries = read_header(file)
            dtype, (rows, dim) = entries["patterns"]["dtype"], entries["patterns"]["shape"]
            value_dim = read_header(beside)["values"]["shape"][1] if beside.exists() else None
            if dtype not in ITEM_BYTES or not all(isinstance(one, int) and one > 0 for one in (rows, dim, value_dim or 1)):
                return None
            layout = Layout(dim, dtype, value_dim)
            rows = folder.rows(Segment(number, 0, rows, np.empty((0, 0), np.uint32)), layout)
            ids: Ids | None
            if "ids" in entries:
                start, stop = entries["ids"]["data_offsets"]
                with open(file, "rb") as handle:
                    handle.seek(HEADER_BYTES + start)
                    ids = np.frombuffer(handle.read(stop - start), "<i8").astype(np.int64)
            else:
                first = entries.get("__metadata__", {}).get("first_id")
                ids = None if first is None else np.arange(int(first), int(first) + rows)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None
        if rows == 0 or (ids is not None and (len(ids) < rows or ids[0] < 0 or (np.diff(ids) < 1).any())):
            return None
        return cls(number, layout, rows, None if ids is None else ids[:rows])


def read_header(file: Path) -> dict[str, Any]:
    with open(file, "rb") as handle:
        page = handle.read(HEADER_BYTES)
    if int.from_bytes(page[:8], "little") != HEADER_BYTES - 8:
        raise ValueError(f"{file} has no header of a segment")
    entries: dict[str, Any] = json.loads(page[8:])
    return entries


@dataclass
class Remains:
    """What can still be read of a manifest; `segments` by their numbers, ascending."""

    lost: list[str] = field(default_factory=lambda: [NAMES, FORGOTTEN])
    layout: Layout | None = None
    next_id: int = 0
    segments: dict[int, Segment] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    forgotten: Ids = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, file: Path) -> Remains:
        if not file.exists():
            return cls()
        with closing(sqlite3.connect(file)) as connection:
            heads, _ = sound_rows(connection, "bank", Head._fields)
            head = Head(*heads[0]) if len(heads) == 1 else None
            if head is None or head.dtype is None:
                return cls()
            segments, _ = sound_rows(connection, "segments", RECORD)
            entries, all_entries = sound_rows(connection, "metadata", ("id", "name", "entry"))
            ids, _ = readable(connection, "SELECT id FROM tombstones")
        forgotten = np.unique(np.array([one for (one,) in ids if isinstance(one, int)], np.int64))
        all_forgotten = (len(forgotten), total(forgotten)) == (head.forgotten, head.forgotten_sum)
        return cls(
            [NAMES] * (not all_entries) + [FORGOTTEN] * (not all_forgotten),
            Layout(head.dim, head.dtype, head.value_dim),
            head.next_id,
            {row[0]: segment_of(row, head) for row in sorted(segments)},
            [Entry(*row) for row in entries],
            forgotten,
        )


def sound_rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows of a table that can be read and pass their checksums, and whether these are all."""
    rows, whole = readable(connection, f"SELECT {', '.join(columns)}, crc FROM {table}")
    sound = [row[:-1] for row in rows if checksum(row[:-1]) == row[-1]]
    return sound, whole and len(sound) == len(rows)


def readable(connection: sqlite3.Connection, query: str) -> tuple[list[tuple[Any, ...]], bool]:
    """What a query gives until it fails, and whether it did not."""
    rows = []
    try:
        for row in connection.execute(query):
            rows.append(row)
    except sqlite3.Error:
        return rows, False
    return rows, True
