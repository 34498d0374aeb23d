"""Banks of format 1: what they held, in the terms of today. Needs numpy only.

Format 1 kept no checksums, so those of its rows are taken from the files as they are; rows that the files lack stay lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from attractor.bank.database import Database
from attractor.bank.segments import Ids, Layout, Segment, SegmentFolder, no_checks
from attractor.bank.snapshot import Entry, Head, total


class Contents(NamedTuple):
    """All that a manifest holds."""

    head: Head
    segments: list[Segment]
    entries: list[Entry]
    forgotten: Ids


def migrate(database: Database, folder: SegmentFolder) -> Contents:
    """Take the contents of a bank of format 1 out of its tables, and remove these."""
    dim, dtype, value_dim, next_id, next_segment, version, forgot_at = database.execute(
        "SELECT dim, dtype, value_dim, next_id, next_segment, version, forgot_at FROM bank"
    ).fetchone()
    layout = Layout(dim, dtype, value_dim)
    segments = []
    for number, first_id, rows, ids in database.execute("SELECT number, first_id, rows, ids FROM segments"):
        listed = None if ids is None else np.frombuffer(ids, "<i8")
        recorded = Segment(number, first_id, rows, no_checks(layout), listed)
        segments.append(checked(recorded, layout, folder))
    entries = [Entry.of(one, text) for one, text in database.execute("SELECT id, entry FROM metadata")]
    forgotten = np.fromiter((one for (one,) in database.execute("SELECT id FROM tombstones")), np.int64)
    for table in ("bank", "segments", "metadata", "tombstones"):
        database.execute(f"DROP TABLE {table}")
    head = Head(version, forgot_at, 0, next_id, next_segment, len(forgotten), total(forgotten), dim, dtype, value_dim)
    return Contents(head, segments, entries, forgotten)


def checked(recorded: Segment, layout: Layout, folder: SegmentFolder) -> Segment:
    """`recorded` with the checksums of the rows that its files hold."""
    held = folder.map(recorded, layout)
    checks = replace(recorded, rows=0).grown(layout, held).checks
    groups = -(-recorded.rows // layout.checked_rows)
    return replace(recorded, checks=np.pad(checks, ((0, 0), (0, groups - checks.shape[1]))))
