"""The manifest of a bank on disk: an SQLite file that says which rows, ids and metadata count. Needs numpy only.

A change is one transaction, and what is not recorded here does not exist. Readers see the last state that was committed; one
writer at a time holds SQLite's own write lock, which the system releases when a process dies.

SQLite keeps no checksums, so each row of its tables carries one of its own, and the tombstones their number and sum.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from attractor.bank.migration import migrate
from attractor.bank.segments import Ids, Layout, Segment, SegmentFolder, sync_folder
from attractor.bank.snapshot import Entry, Head, Snapshot, total

FILE = "bank.db"
FORMAT = 2
APPLICATION_ID = int.from_bytes(b"attr", "big")
SECONDS_TO_WAIT = 5.0
"""For another writer to finish."""
SCHEMA = (
    "CREATE TABLE bank (version INTEGER NOT NULL, forgot_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,"
    " next_id INTEGER NOT NULL, next_segment INTEGER NOT NULL, forgotten INTEGER NOT NULL, forgotten_sum INTEGER NOT NULL,"
    " dim INTEGER NOT NULL, dtype TEXT, value_dim INTEGER, crc INTEGER NOT NULL)",
    "CREATE TABLE segments (number INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, rows INTEGER NOT NULL, ids BLOB,"
    " checks BLOB NOT NULL, crc INTEGER NOT NULL)",
    "CREATE TABLE metadata (id INTEGER PRIMARY KEY, name TEXT, entry TEXT NOT NULL, crc INTEGER NOT NULL)",
    "CREATE INDEX names ON metadata (name) WHERE name IS NOT NULL",
    "CREATE TABLE tombstones (id INTEGER PRIMARY KEY)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)


class Manifest:
    """The manifest in the folder `path`; where there is none and `dim` is given, a new one.

    Raises:
        ValueError: no bank there, another `dim`, something else than a bank, a newer format, or a damaged file.
    """

    def __init__(self, path: Path, dim: int | None):
        self.file = path / FILE
        if path.exists() and not path.is_dir():
            raise ValueError(f"path must be a folder, got the file {path}")
        if not self.file.exists():
            if dim is None:
                raise ValueError(f"path must hold a bank, there is no {self.file}; give dim to make a new one")
            if path.exists() and any(path.iterdir()):
                raise ValueError(f"path must be new or hold a bank, got a folder with other files: {path}")
            path.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._last: Snapshot | None = None
        self._connection = sqlite3.connect(self.file, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False)
        self._finalizer = weakref.finalize(self, close, self._connection, self._process)
        try:
            self._open(dim)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._finalizer()

    def snapshot(self) -> Snapshot:
        """The last state committed, or that of the transaction around."""
        with self._transaction("BEGIN"):
            head, last = self._head(), self._last
            if last is not None and last.head.version == head.version:
                return last
            known = {} if last is None else {segment.number: segment for segment in last.segments}
            numbers = self._execute("SELECT number, rows FROM segments ORDER BY first_id").fetchall()
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
        self._connection.executemany("INSERT INTO tombstones VALUES (?)", ((one,) for one in ids.tolist()))
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
        self._execute("DELETE FROM metadata WHERE id IN (SELECT id FROM tombstones)")
        self._execute("DELETE FROM tombstones")
        head = self._head()
        self._record_head(head._replace(forgot_at=head.version + 1, forgotten=0, forgotten_sum=0, next_segment=next_segment))

    def flush(self) -> None:
        """Move all changes into the main file, so that the log keeps no copy of what was erased."""
        with self._lock:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def entry(self, one: int) -> str | None:
        """The metadata of an id, as JSON."""
        row = self._execute("SELECT name, entry, crc FROM metadata WHERE id = ?", (one,)).fetchone()
        if row is not None:
            self._check(f"the metadata of id {one}", (one, *row[:2]), row[2])
        return None if row is None else row[1]

    def named(self, name: str) -> Ids:
        """The live ids with this name, ascending."""
        with self._transaction("BEGIN"):
            rows = self._execute(
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
            (answer,) = self._execute("PRAGMA integrity_check(1)").fetchone()
            if answer != "ok":
                raise ValueError(f"{self.file} is damaged: {answer}")
            self._last = None
            self.snapshot()
            for one, name, text, crc in self._execute("SELECT id, name, entry, crc FROM metadata"):
                self._check(f"the metadata of id {one}", (one, name, text), crc)

    def _head(self) -> Head:
        *fields, crc = self._execute(f"SELECT {', '.join(Head._fields)}, crc FROM bank").fetchone()
        self._check("the bank's record", fields, crc)
        return Head(*fields)

    def _record_head(self, head: Head) -> None:
        head = head._replace(version=head.version + 1)
        marks = ", ".join(f"{field} = ?" for field in Head._fields)
        self._execute(f"UPDATE bank SET {marks}, crc = ?", (*head, checksum(head)))

    def _record_segments(self, segments: Sequence[Segment]) -> None:
        for one in segments:
            ids = None if one.ids is None else one.ids.astype("<i8").tobytes()
            record = (one.number, one.first_id, one.rows, ids, one.checks.astype("<u4").tobytes())
            self._execute("REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)", (*record, checksum(record)))

    def _drop_segments(self, numbers: Iterable[int]) -> None:
        self._connection.executemany("DELETE FROM segments WHERE number = ?", ((number,) for number in numbers))

    def _record_entries(self, entries: Iterable[Entry]) -> None:
        self._connection.executemany("REPLACE INTO metadata VALUES (?, ?, ?, ?)", ((*one, checksum(one)) for one in entries))

    def _segment(self, number: int, head: Head) -> Segment:
        row = self._execute("SELECT number, first_id, rows, ids, checks, crc FROM segments WHERE number = ?", (number,)).fetchone()
        self._check(f"the record of segment {number}", row[:-1], row[-1])
        _, first_id, rows, ids, checks, _ = row
        table = np.frombuffer(checks, "<u4").reshape(1 if head.value_dim is None else 2, -1)
        return Segment(number, first_id, rows, table, None if ids is None else np.frombuffer(ids, "<i8").astype(np.int64))

    def _forgotten(self, head: Head) -> Ids:
        forgotten = np.fromiter((one for (one,) in self._execute("SELECT id FROM tombstones ORDER BY id")), np.int64)
        if (len(forgotten), total(forgotten)) != (head.forgotten, head.forgotten_sum):
            raise ValueError(f"{self.file} is damaged: its list of forgotten rows differs from what was written")
        return forgotten

    def _check(self, what: str, fields: Sequence[object], crc: int) -> None:
        if checksum(fields) != crc:
            raise ValueError(f"{self.file} is damaged: {what} differs from what was written")

    def _open(self, dim: int | None) -> None:
        try:
            self._create_or_check(dim)
            self._execute("PRAGMA synchronous = FULL")
            self._execute("PRAGMA secure_delete = ON")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"path must hold a bank, {self.file} cannot be read: {error}") from error
        stored = self.snapshot().layout.dim
        if dim is not None and dim != stored:
            raise ValueError(f"dim must be that of the bank at {self.file.parent}, {stored}, got {dim}")

    def _create_or_check(self, dim: int | None) -> None:
        if self._is_blank():
            if dim is None:
                raise ValueError(f"path must hold a bank, {self.file} is empty; give dim to make a new one")
            self._execute("PRAGMA journal_mode = WAL")
            with self._transaction("BEGIN IMMEDIATE"):
                if self._is_blank():
                    for statement in SCHEMA:
                        self._execute(statement)
                    self._insert_head(Head(0, 0, 0, 0, 1, 0, 0, dim, None, None))
            sync_folder(self.file.parent)
            sync_folder(self.file.parent.absolute().parent)
        if self._pragma("application_id") != APPLICATION_ID:
            raise ValueError(f"path must hold a bank, {self.file} is another SQLite file")
        if self._pragma("user_version") > FORMAT:
            found = self._pragma("user_version")
            raise ValueError(f"{self.file} has format {found}, this version of attractor reads up to {FORMAT}")
        if self._pragma("user_version") < FORMAT:
            with self._transaction("BEGIN IMMEDIATE"):
                if self._pragma("user_version") < FORMAT:
                    self._migrate()

    def _migrate(self) -> None:
        """Give a bank of format 1, which kept no checksums, the tables of today."""
        old = migrate(self._connection, SegmentFolder(self.file.parent))
        for statement in SCHEMA:
            self._execute(statement)
        self._insert_head(old.head)
        self._record_segments(old.segments)
        self._record_entries(old.entries)
        self._connection.executemany("INSERT INTO tombstones VALUES (?)", ((one,) for one in old.forgotten.tolist()))

    def _insert_head(self, head: Head) -> None:
        self._execute(f"INSERT INTO bank VALUES ({', '.join('?' * len(head))}, ?)", (*head, checksum(head)))

    def _is_blank(self) -> bool:
        """Whether the file was never finished, or never begun."""
        tables = self._execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and self._pragma("application_id") == 0

    def _pragma(self, name: str) -> int:
        return self._execute(f"PRAGMA {name}").fetchone()[0]

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if not self._finalizer.alive:
            raise ValueError(f"the bank at {self.file.parent} is closed")
        if os.getpid() != self._process:
            raise RuntimeError(f"the bank at {self.file.parent} was opened before a fork: open it again in this process")
        return self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        """A transaction of SQLite; within another one, a part of it."""
        with self._lock:
            if self._connection_is_busy():
                yield
                return
            try:
                self._execute(begin)
                yield
                self._execute("COMMIT")
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    raise TimeoutError(
                        f"{self.file} is being written by another process or bank object: waited {SECONDS_TO_WAIT:g} s"
                    ) from error
                raise OSError(f"{self.file}: {error}") from error
            finally:
                if self._connection_is_busy():
                    self._last = None
                    self._execute("ROLLBACK")

    def _connection_is_busy(self) -> bool:
        return self._finalizer.alive and self._connection.in_transaction


def checksum(fields: Sequence[object]) -> int:
    return zlib.crc32(repr(tuple(fields)).encode("utf-8", "surrogatepass"))


def close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection, unless it belongs to the process that this one was forked from."""
    if os.getpid() == process:
        connection.close()
