"""One SQLite file: transactions that nest, threads that take turns, errors that say what to do. Needs nothing else."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_TO_WAIT = 5.0
"""For another writer to finish."""
SETTINGS = ("synchronous = FULL", "secure_delete = ON", "trusted_schema = OFF")
OF_DAMAGE = {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
"""Codes of errors that statements known to be right meet in a damaged file only; 0 is Python's own, for text that is no UTF-8."""


class ManifestError(ValueError):
    """The manifest of a bank is damaged."""

    def __init__(self, file: Path, what: str):
        super().__init__(
            f"{file} is damaged: {what}. Put it back from a copy, or let DiskBank.rebuild({str(file.parent)!r}) make a new one "
            "from the segments beside it"
        )


class Database:
    """The SQLite file `file`, made where there is none.

    It belongs to the process that opened it; threads may share it. Errors come as `TimeoutError` where others hold the file,
    `ManifestError` where it is damaged, and `OSError` where the disk fails or is full. Who holds `lock` works alone.
    """

    def __init__(self, file: Path):
        self.file = file
        self.lock = threading.RLock()
        self._process = os.getpid()
        with self.errors():
            self._connection = sqlite3.connect(file, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False)
        self._finalizer = weakref.finalize(self, close, self._connection, self._process)
        try:
            with self.errors():
                for setting in SETTINGS:
                    self.execute(f"PRAGMA {setting}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Wait for the threads that work on it, and release the file."""
        if os.getpid() == self._process:
            with self.lock:
                self._finalizer()

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._usable().execute(statement, values)

    def executemany(self, statement: str, values: Iterable[tuple[object, ...]]) -> None:
        self._usable().executemany(statement, values)

    def pragma(self, name: str) -> int:
        return self.execute(f"PRAGMA {name}").fetchone()[0]

    @contextmanager
    def transaction(self, begin: str) -> Iterator[None]:
        """A transaction; within another one, a part of it."""
        with self.lock:
            if self._busy():
                yield
                return
            try:
                with self.errors():
                    self.execute(begin)
                    yield
                    self.execute("COMMIT")
            finally:
                if self._busy():
                    self.execute("ROLLBACK")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Errors of SQLite by the names of Python."""
        with self.lock:
            try:
                yield
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise TimeoutError(
                        f"{self.file} is being written by another process or bank object: waited {SECONDS_TO_WAIT:g} s"
                    ) from error
                if code in OF_DAMAGE:
                    raise ManifestError(self.file, str(error)) from error
                raise OSError(f"{self.file}: {error}") from error

    def _busy(self) -> bool:
        return self._finalizer.alive and self._connection.in_transaction

    def _usable(self) -> sqlite3.Connection:
        if not self._finalizer.alive:
            raise ValueError(f"the bank at {self.file.parent} is closed")
        if os.getpid() != self._process:
            raise RuntimeError(f"the bank at {self.file.parent} was opened before a fork: open it again in this process")
        return self._connection


def close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection, unless it belongs to the process that this one was forked from."""
    if os.getpid() == process:
        connection.close()
