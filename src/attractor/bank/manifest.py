"""The manifest of a bank on disk: an SQLite file that says which rows, ids and metadata count.

A change is one transaction, and what is not recorded here does not exist. Readers see the last state that was committed; one
writer at a time holds SQLite's own write lock, which the system releases when a process dies.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attractor.bank.segments import DTYPES, Layout, Segment, sync_folder

FILE = "bank.db"
FORMAT = 1
APPLICATION_ID = int.from_bytes(b"attr", "big")
SECONDS_TO_WAIT = 5.0
"""For another writer to finish."""
DTYPE_OF_NAME = {name: dtype for dtype, name in DTYPES.items()}
SCHEMA = (
    "CREATE TABLE bank (dim INTEGER NOT NULL, dtype TEXT, value_dim INTEGER, next_id INTEGER NOT NULL,"
    " next_segment INTEGER NOT NULL, version INTEGER NOT NULL, forgot_at INTEGER NOT NULL)",
    "CREATE TABLE segments (number INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, rows INTEGER NOT NULL, ids BLOB)",
    "CREATE TABLE metadata (id INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE tombstones (id INTEGER PRIMARY KEY)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of a bank.

    Attributes:
        version: counts the changes; `forgot_at` is the version that changed `forgotten` last.
        segments: by ascending ids.
        forgotten: ids whose rows still lie in the segments, ascending.
        next_id, next_segment: never given before, and never again.
    """

    version: int
    forgot_at: int
    layout: Layout
    segments: tuple[Segment, ...]
    forgotten: Tensor
    next_id: int
    next_segment: int

    def __len__(self) -> int:
        return sum(segment.rows for segment in self.segments) - len(self.forgotten)

    def live(self, segment: Segment) -> Tensor | None:
        """Which rows of `segment` are live, as a mask; None where all are."""
        last = int(segment.ids[-1]) if segment.ids is not None else segment.first_id + segment.rows - 1
        low, high = torch.searchsorted(self.forgotten, torch.tensor([segment.first_id, last + 1])).tolist()
        if low == high:
            return None
        mask = torch.ones(segment.rows, dtype=torch.bool)
        mask[segment.offsets(self.forgotten[low:high])] = False
        return mask


class Manifest:
    """The manifest in the folder `path`; where there is none and `dim` is given, a new one.

    Raises:
        ValueError: no bank there, another `dim`, something else than a bank, or a newer format.
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
            version, forgot_at, next_id, next_segment, dim, dtype, value_dim = self._execute(
                "SELECT version, forgot_at, next_id, next_segment, dim, dtype, value_dim FROM bank"
            ).fetchone()
            last = self._last
            if last is not None and last.version == version:
                return last
            known = {} if last is None else {segment.number: segment.ids for segment in last.segments}
            segments = tuple(
                Segment(number, first_id, rows, known[number] if number in known else self._ids(number))
                for number, first_id, rows in self._execute("SELECT number, first_id, rows FROM segments ORDER BY first_id")
            )
            forgotten = last.forgotten if last is not None and last.forgot_at == forgot_at else self._forgotten()
            layout = Layout(dim, None if dtype is None else DTYPE_OF_NAME[dtype], value_dim)
            self._last = Snapshot(version, forgot_at, layout, segments, forgotten, next_id, next_segment)
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
        self,
        layout: Layout,
        segments: Sequence[Segment],
        next_id: int,
        next_segment: int,
        entries: Iterable[tuple[int, str]],
    ) -> None:
        """Record new and grown `segments`, and metadata `entries` of `(id, JSON)`."""
        assert layout.dtype is not None
        self._record_segments(segments)
        self._connection.executemany("INSERT INTO metadata VALUES (?, ?)", entries)
        self._execute(
            "UPDATE bank SET version = version + 1, dtype = ?, value_dim = ?, next_id = ?, next_segment = ?",
            (DTYPES[layout.dtype], layout.value_dim, next_id, next_segment),
        )

    def record_forget(self, ids: Tensor) -> None:
        self._connection.executemany("INSERT INTO tombstones VALUES (?)", ((one,) for one in ids.tolist()))
        self._execute("UPDATE bank SET version = version + 1, forgot_at = version + 1")

    def record_compact(self, dropped: Iterable[int], segments: Sequence[Segment], next_segment: int) -> None:
        """Record that `segments` replace those numbered `dropped`, and erase what belongs to forgotten rows."""
        self._connection.executemany("DELETE FROM segments WHERE number = ?", ((number,) for number in dropped))
        self._record_segments(segments)
        self._execute("DELETE FROM metadata WHERE id IN (SELECT id FROM tombstones)")
        self._execute("DELETE FROM tombstones")
        self._execute("UPDATE bank SET version = version + 1, forgot_at = version + 1, next_segment = ?", (next_segment,))

    def flush(self) -> None:
        """Move all changes into the main file, so that the log keeps no copy of what was erased."""
        with self._lock:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def entry(self, one: int) -> str | None:
        """The metadata of an id, as JSON."""
        row = self._execute("SELECT entry FROM metadata WHERE id = ?", (one,)).fetchone()
        return None if row is None else row[0]

    def _record_segments(self, segments: Sequence[Segment]) -> None:
        self._connection.executemany(
            "INSERT INTO segments VALUES (?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET rows = excluded.rows",
            [
                (
                    one.number,
                    one.first_id,
                    one.rows,
                    None if one.ids is None else one.ids.numpy().astype("<i8").tobytes(),
                )
                for one in segments
            ],
        )

    def _forgotten(self) -> Tensor:
        rows = self._execute("SELECT id FROM tombstones ORDER BY id")
        return torch.from_numpy(np.fromiter((one for (one,) in rows), np.int64))

    def _ids(self, number: int) -> Tensor | None:
        (blob,) = self._execute("SELECT ids FROM segments WHERE number = ?", (number,)).fetchone()
        return None if blob is None else torch.from_numpy(np.frombuffer(blob, "<i8").astype(np.int64))

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
                    self._execute("INSERT INTO bank VALUES (?, NULL, NULL, 0, 1, 0, 0)", (dim,))
            sync_folder(self.file.parent)
            sync_folder(self.file.parent.absolute().parent)
        if self._pragma("application_id") != APPLICATION_ID:
            raise ValueError(f"path must hold a bank, {self.file} is another SQLite file")
        if self._pragma("user_version") > FORMAT:
            found = self._pragma("user_version")
            raise ValueError(f"{self.file} has format {found}, this version of attractor reads up to {FORMAT}")

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


def close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection, unless it belongs to the process that this one was forked from."""
    if os.getpid() == process:
        connection.close()
