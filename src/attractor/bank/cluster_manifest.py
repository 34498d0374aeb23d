"""The manifest of a bank over a cluster: how many rows of each shard count.

The rows of an append go to several shards, each of which may fail alone. They count from the one transaction here that moves the
ends of all shards; what lies behind an end does not exist.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch

from attractor.bank.segments import sync_folder

FILE = "cluster.db"
FORMAT = 2
APPLICATION_ID = int.from_bytes(b"attc", "big")
SECONDS_TO_WAIT = 1.0
"""For a process that is just ending."""


@dataclass(frozen=True)
class State:
    """One state of a bank.

    Attributes:
        ends: of each shard, the first of its ids that does not count yet.
        version: counts the changes.
        dtype, value_dim: of the rows; None until the first append, or where patterns are read out themselves.
    """

    dim: int
    ends: tuple[int, ...]
    version: int = 0
    dtype: torch.dtype | None = None
    value_dim: int | None = None

    def to_json(self) -> str:
        dtype = None if self.dtype is None else str(self.dtype).removeprefix("torch.")
        plain = {"dim": self.dim, "ends": self.ends, "version": self.version, "dtype": dtype, "value_dim": self.value_dim}
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> State:
        plain = json.loads(text)
        dtype = None if plain["dtype"] is None else getattr(torch, plain["dtype"])
        return cls(plain["dim"], tuple(plain["ends"]), plain["version"], dtype, plain["value_dim"])


class ClusterManifest:
    """The manifest in the folder `path`; where there is none, a new one over `shards` shards, or else as many as `usual`.

    It belongs to one object at a time, until that is closed or its process dies.

    Raises:
        ValueError: no bank there and no `dim`, another `dim` or number of shards, something else than a bank, a damaged one, a
            newer format.
        TimeoutError: another object or process has it open.
    """

    def __init__(self, path: Path, dim: int | None, shards: int | None, usual: int):
        self.file = path / FILE
        if not self.file.exists():
            if dim is None:
                raise ValueError(f"path must hold a bank over a cluster, there is no {self.file}; give dim to make a new one")
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ValueError(f"path must be new or hold a bank over a cluster, got {path}")
            path.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.file, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False)
        try:
            self.state = self._open(dim, shards, usual)
        except BaseException:
            self.close()
            raise

    def commit(self, state: State) -> None:
        """Let `state` count from now on; on return it is on disk.

        Raises:
            OSError: the disk fails or is full.
        """
        try:
            self._connection.execute("UPDATE bank SET state = ?, crc = ?", with_checksum(state))
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.file}: {error}") from error
        self.state = state

    def close(self) -> None:
        self._connection.close()

    def _open(self, dim: int | None, shards: int | None, usual: int) -> State:
        try:
            # the lock of the first statement that writes is kept until the connection is closed
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN EXCLUSIVE")
            if self._is_blank() and dim is not None:
                self._connection.execute("CREATE TABLE bank (state TEXT NOT NULL, crc INTEGER NOT NULL)")
                self._connection.execute("INSERT INTO bank VALUES (?, ?)", with_checksum(State(dim, (0,) * (shards or usual))))
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
            application, version = self._pragma("application_id"), self._pragma("user_version")
            if application == APPLICATION_ID and version == 1:
                self._migrate()
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise TimeoutError(f"{self.file} is open in another process or bank object") from error
            raise ValueError(f"path must hold a bank over a cluster, {self.file} cannot be read: {error}") from error
        sync_folder(self.file.parent)
        sync_folder(self.file.parent.parent)
        if application != APPLICATION_ID:
            raise ValueError(f"path must hold a bank over a cluster, {self.file} is another SQLite file or was never finished")
        if version > FORMAT:
            raise ValueError(f"{self.file} has format {version}, this version of attractor reads up to {FORMAT}")
        text, crc = self._connection.execute("SELECT state, crc FROM bank").fetchone()
        if checksum(text) != crc:
            raise ValueError(f"{self.file} is damaged: its record differs from what was written")
        state = State.from_json(text)
        for name, given, stored in (("dim", dim, state.dim), ("workers", shards, len(state.ends))):
            if given is not None and given != stored:
                raise ValueError(f"{name} must be that of the bank at {self.file.parent}, {stored}, got {given}")
        return state

    def _migrate(self) -> None:
        """Give a bank of format 1, which kept no checksum, one."""
        (text,) = self._connection.execute("SELECT state FROM bank").fetchone()
        self._connection.execute("ALTER TABLE bank ADD COLUMN crc INTEGER NOT NULL DEFAULT 0")
        self._connection.execute("UPDATE bank SET crc = ?", (checksum(text),))
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _is_blank(self) -> bool:
        """Whether the file was never finished, or never begun."""
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and self._pragma("application_id") == 0

    def _pragma(self, name: str) -> int:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]


def with_checksum(state: State) -> tuple[str, int]:
    text = state.to_json()
    return text, checksum(text)


def checksum(text: str) -> int:
    return zlib.crc32(text.encode())
