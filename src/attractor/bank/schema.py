"""The tables in the manifest of a bank on disk, and how their rows are read. Needs numpy only."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from attractor.bank.segments import Segment
from attractor.bank.snapshot import Head

FORMAT = 2
APPLICATION_ID = int.from_bytes(b"attr", "big")
RECORD = ("number", "first_id", "rows", "ids", "checks")
"""Columns of a segment."""
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


def checksum(fields: Sequence[object]) -> int:
    return zlib.crc32(repr(tuple(fields)).encode("utf-8", "surrogatepass"))


def segment_of(record: Sequence[Any], head: Head) -> Segment:
    """The segment that a row of the table describes."""
    number, first_id, rows, ids, checks = record
    table = np.frombuffer(checks, "<u4").reshape(1 if head.value_dim is None else 2, -1)
    return Segment(number, first_id, rows, table, None if ids is None else np.frombuffer(ids, "<i8").astype(np.int64))
