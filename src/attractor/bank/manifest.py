"""The manifest of a bank on disk: an SQLite file that says which rows, ids and metadata count. Needs numpy only.

A change is one transaction, and what is not recorded here does not exist. Readers see the last state that was committed; one
writer at a time holds SQLite's own write lock, which the system releases when a process dies.

SQLite keeps no checksums, so each row of its tables carries one of its own, and the tombstones their number and sum.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from attractor.bank.database import Database, ManifestError
from attractor.bank.migration import migrate
from attractor.bank.schema import APPLICATION_ID, FORMAT, RECORD, SCHEMA, checksum, segment_of
from attractor.bank.segments import ITEM_BYTES, Ids, Layout, Segment, SegmentFolder, sync_folder
from attractor.bank.snapshot import Entry, Head, Snapshot, total
from attractor.errors import AttractorWarning

FILE = "bank.db"


class Manifest:
    """The manifest in the folder `path`; where there is none and `dim` is given, a new one.

    Raises:
        ValueError: no bank there, another `dim`, something else than a bank, a newer format, or a damaged file.
        TimeoutError: another process is making or migrating it.
    """

    def __init__(self, path: Path, dim: int | None):
        self.file = path / FILE
        if path.exists() and not path.is_dir():
            raise ValueError(f"path must be a folder, got the file {path}")
        if not self.file.exists():
            if SegmentFolder(path).numbers() and not self.file.exists():
                raise ManifestError(self.file, "it is missing")
            if dim is None:
                raise ValueError(f"path must hold a bank, there is no {self.file}; give dim to make a new one")
            if path.exists() and any(path.iterdir()):
                raise ValueError(f"path must be new or hold a bank, got a folder with other files: {path}")
            make_folder(path)
        self._last: Snapshot | None = None
        self._database = Database(self.file)
        try:
            with self._database.errors():
                self._open(dim)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._database.close()

    def snapshot(self) -> Snapshot:
        """The last state committed, or that of the transaction around."""
        with self._transaction("BEGIN"):
            head, last = self._head(), self._last
            if last is not None and last.head.version == head.version:
                return last
            known = {} if last is None else {segment.number: segment for segment in last.segments}
            numbers = self._database.execute("SELECT number, rows FROM segments ORDER BY first_id").fetchall()
            segments = tuple(
                known[number] if number in known and known[number].rows == rows else self._segment(number, head)
                for number, rows in numbers
            )
            forgotten = last.forgotten if last is not None and last.head.forgot_at == head.forgot_at else self._forgotten(head)
            self._last = Snapshot(head, Layout(head.dim, head.dtype, head.value_dim), segments, forgotten)
            return self._last

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """One state, which stays the same within."""
        with self._transaction("BEGIN"):
            yield self.snapshot()

    @contextmanager
    def writing(self) -> Iterator[Snapshot]:
        """The state to change: all changes within are committed together at the end, or none.

        Raises:
            TimeoutError: another writer does not finish.
            OSError: the disk fails or is full.
        """
        with self._transaction("BEGIN IMMEDIATE"):
            yield self.snapshot()

    def record_append(
        self, layout: Layout, segments: Sequence[Segment], next_id: int, next_segment: int, entries: Iterable[Entry]
    ) -> None:
        """Record new and grown `segments`, and metadata."""
        self._record_segments(segments)
        self._record_entries(entries)
        head = self._head()
        self._record_head(head._replace(dtype=layout.dtype, value_dim=layout.value_dim, next_id=next_id, next_segment=next_segment))

    def record_forget(self, ids: Ids) -> None:
        self._database.executemany("INSERT INTO tombstones VALUES (?)", ((one,) for one in ids.tolist()))
        head = self._head()
        head = head._replace(forgotten=head.forgotten + len(ids), forgotten_sum=total(ids, head.forgotten_sum))
        self._record_head(head._replace(forgot_at=head.version + 1))

    def record_update(self, replaced: dict[int, Segment], next_segment: int, entries: Iterable[Entry]) -> None:
        """Record the segments that stand in for those with the numbers given, and metadata."""
        self._drop_segments(replaced)
        self._record_segments(list(replaced.values()))
        self._record_entries(entries)
        head = self._head()
        self._record_head(head._replace(changed_at=head.version + 1, next_segment=next_segment))

    def record_compact(self, dropped: Iterable[int], segments: Sequence[Segment], next_segment: int) -> None:
        """Record that `segments` replace those numbered `dropped`, and erase what belongs to forgotten rows."""
        self._drop_segments(dropped)
        self._record_segments(segments)
        self._database.execute("DELETE FROM metadata WHERE id IN (SELECT id FROM tombstones)")
        self._database.execute("DELETE FROM tombstones")
        head = self._head()
        self._record_head(head._replace(forgot_at=head.version + 1, forgotten=0, forgotten_sum=0, next_segment=next_segment))

    def flush(self) -> None:
        """Move all changes into the main file, so that the log keeps no copy of what was erased."""
        with self._database.errors():
            (kept, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if kept:
            warnings.warn(
                f"{self.file} is being read: its log keeps metadata that was erased until a compact() with no reader beside it",
                AttractorWarning,
                stacklevel=2,
            )

    def entry(self, one: int) -> str | None:
        """The metadata of an id, as JSON; to be asked for while `reading`."""
        row = self._database.execute("SELECT name, entry, crc FROM metadata WHERE id = ?", (one,)).fetchone()
        if row is not None:
            self._check(f"the metadata of id {one}", (one, *row[:2]), row[2])
        return None if row is None else row[1]

    def named(self, name: str) -> Ids:
        """The live ids with this name, ascending."""
        with self._transaction("BEGIN"):
            rows = self._database.execute(
                "SELECT id FROM metadata WHERE name = ? AND id NOT IN (SELECT id FROM tombstones) ORDER BY id",
                (json.dumps(name),),
            )
            return np.fromiter((one for (one,) in rows), np.int64)

    def check(self) -> None:
        """Look at the whole file.

        Raises:
            ValueError: it is damaged.
        """
        with self._transaction("BEGIN"):
            (answer,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                raise ManifestError(self.file, answer)
            self._last = None
            self.snapshot()
            for one, name, text, crc in self._database.execute("SELECT id, name, entry, crc FROM metadata"):
                self._check(f"the metadata of id {one}", (one, name, text), crc)

    def _head(self) -> Head:
        row = self._database.execute(f"SELECT {', '.join(Head._fields)}, crc FROM bank").fetchone()
        if row is None:
            raise ManifestError(self.file, "the bank's record is missing")
        *fields, crc = row
        self._check("the bank's record", fields, crc)
        head = Head(*fields)
        if head.dtype not in (None, *ITEM_BYTES):
            raise ManifestError(self.file, f"rows cannot have the dtype {head.dtype!r}")
        return head

    def _record_head(self, head: Head) -> None:
        head = head._replace(version=head.version + 1)
        marks = ", ".join(f"{field} = ?" for field in Head._fields)
        self._database.execute(f"UPDATE bank SET {marks}, crc = ?", (*head, checksum(head)))

    def _record_segments(self, segments: Sequence[Segment]) -> None:
        for one in segments:
            ids = None if one.ids is None else one.ids.astype("<i8").tobytes()
            record = (one.number, one.first_id, one.rows, ids, one.checks.astype("<u4").tobytes())
            self._database.execute("REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)", (*record, checksum(record)))

    def _drop_segments(self, numbers: Iterable[int]) -> None:
        self._database.executemany("DELETE FROM segments WHERE number = ?", ((number,) for number in numbers))

    def _record_entries(self, entries: Iterable[Entry]) -> None:
        self._database.executemany("REPLACE INTO metadata VALUES (?, ?, ?, ?)", ((*one, checksum(one)) for one in entries))

    def _segment(self, number: int, head: Head) -> Segment:
        row = self._database.execute(f"SELECT {', '.join(RECORD)}, crc FROM segments WHERE number = ?", (number,)).fetchone()
        self._check(f"the record of segment {number}", row[:-1], row[-1])
        segment, layout = segment_of(row[:-1], head), Layout(head.dim, head.dtype, head.value_dim)
        if segment.checks.shape[1] != -(-segment.rows // layout.checked_rows) or len(segment.all_ids()) != segment.rows:
            raise ManifestError(self.file, f"the record of segment {number} does not fit its {segment.rows} rows")
        return segment

    def _forgotten(self, head: Head) -> Ids:
        forgotten = np.fromiter((one for (one,) in self._database.execute("SELECT id FROM tombstones ORDER BY id")), np.int64)
        if (len(forgotten), total(forgotten)) != (head.forgotten, head.forgotten_sum):
            raise ManifestError(self.file, "its list of forgotten rows differs from what was written")
        return forgotten

    def _check(self, what: str, fields: Sequence[object], crc: int) -> None:
        if checksum(fields) != crc:
            raise ManifestError(self.file, f"{what} differs from what was written")

    def _open(self, dim: int | None) -> None:
        self._create_or_check(dim)
        stored = self.snapshot().layout.dim
        if dim is not None and dim != stored:
            raise ValueError(f"dim must be that of the bank at {self.file.parent}, {stored}, got {dim}")

    def _create_or_check(self, dim: int | None) -> None:
        if self._is_blank():
            if SegmentFolder(self.file.parent).numbers() and self._is_blank():
                raise ManifestError(self.file, "it is empty")
            if dim is None:
                raise ValueError(f"path must hold a bank, {self.file} is empty; give dim to make a new one")
            self._database.execute("PRAGMA journal_mode = WAL")
            with self._transaction("BEGIN IMMEDIATE"):
                if self._is_blank():
                    for statement in SCHEMA:
                        self._database.execute(statement)
                    self._insert_head(Head(0, 0, 0, 0, 1, 0, 0, dim, None, None))
            sync_folder(self.file.parent)
        if self._database.pragma("application_id") != APPLICATION_ID:
            if SegmentFolder(self.file.parent).numbers():
                raise ManifestError(self.file, "it is not marked as a bank's")
            raise ValueError(f"path must hold a bank, {self.file} is another SQLite file")
        if self._database.pragma("user_version") > FORMAT:
            found = self._database.pragma("user_version")
            raise ValueError(f"{self.file} has format {found}, this version of attractor reads up to {FORMAT}")
        if self._database.pragma("user_version") < FORMAT:
            with self._transaction("BEGIN IMMEDIATE"):
                if self._database.pragma("user_version") < FORMAT:
                    self._migrate()

    def _migrate(self) -> None:
        """Give a bank of format 1, which kept no checksums, the tables of today."""
        old = migrate(self._database, SegmentFolder(self.file.parent))
        for statement in SCHEMA:
            self._database.execute(statement)
        self._insert_head(old.head)
        self._record_segments(old.segments)
        self._record_entries(old.entries)
        self._database.executemany("INSERT INTO tombstones VALUES (?)", ((one,) for one in old.forgotten.tolist()))

    def _insert_head(self, head: Head) -> None:
        self._database.execute(f"INSERT INTO bank VALUES ({', '.join('?' * len(head))}, ?)", (*head, checksum(head)))

    def _is_blank(self) -> bool:
        """Whether the file was never finished, or never begun."""
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and self._database.pragma("application_id") == 0

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._database.lock:
            whole = False
            try:
                with self._database.transaction(begin):
                    yield
                whole = True
            finally:
                if not whole:  # nobody may see the state that was not committed
                    self._last = None


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, and wait until the disk has their names."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)
