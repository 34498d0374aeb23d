"""The manifest of a bank over a cluster: how many rows of each shard count.

The rows of an append go to several shards, each of which may fail alone. They count from the one transaction here that moves the
ends of all shards; what lies behind an end does not exist.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import torch

FILE = "cluster.db"
FORMAT = 1
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
    """The manifest in the folder `path`; where there is none, a new one over `shards` shards.

    It belongs to one object at a time, until that is closed or its process dies.

    Raises:
        ValueError: no bank there and no `dim`, another `dim` or number of shards, something else than a bank, a newer format.
        TimeoutError: another object or process has it open.
    """

    def __init__(self, path: Path, dim: int | None, shards: int | None):
        self.file = path / FILE
        if not self.file.exists():
            if dim is None or shards is None:
                raise ValueError(f"path must hold a bank over a cluster, there is no {self.file}; give dim to make a new one")
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ValueError(f"path must be new or hold a bank over a cluster, got {path}")
            path.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self.file, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False)
        try:
            self.state = self._open(dim, shards)
        except BaseException:
            self.close()
            raise

    def commit(self, state: State) -> None:
        """Let `state` count from now on; on return it is on disk.

        Raises:
            OSError: the disk fails or is full.
        """
        try:
            self._connection.execute("UPDATE bank SET state = ?", (state.to_json(),))
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.file}: {error}") from error
        self.state = state

    def close(self) -> None:
        self._connection.close()

    def _open(self, dim: int | None, shards: int | None) -> State:
        try:
            # the lock of the first statement that writes is kept until the connection is closed
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN EXCLUSIVE")
            if self._pragma("application_id") == 0 and dim is not None and shards is not None:
                self._connection.execute("CREATE TABLE bank (state TEXT NOT NULL)")
                self._connection.execute("INSERT INTO bank VALUES (?)", (State(dim, (0,) * shards).to_json(),))
                self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
            application, version = self._pragma("application_id"), self._pragma("user_version")
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise TimeoutError(f"{self.file} is open in another process or bank object") from error
            raise ValueError(f"path must hold a bank over a cluster, {self.file} cannot be read: {error}") from error
        if application != APPLICATION_ID:
            raise ValueError(f"path must hold a bank over a cluster, {self.file} is another SQLite file or was never finished")
        if version > FORMAT:
            raise ValueError(f"{self.file} has format {version}, this version of attractor reads up to {FORMAT}")
        state = State.from_json(self._connection.execute("SELECT state FROM bank").fetchone()[0])
        for name, given, stored in (("dim", dim, state.dim), ("workers", shards, len(state.ends))):
            if given is not None and given != stored:
                raise ValueError(f"{name} must be that of the bank at {self.file.parent}, {stored}, got {given}")
        return state

    def _pragma(self, name: str) -> int:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]
