"""What the manifest of a bank on disk says at one moment. Needs numpy only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attractor.bank.segments import Ids, Layout, Segment


class Head(NamedTuple):
    """What the manifest says of the whole bank.

    `version` counts the changes; `forgot_at` is the version that last changed the tombstones, `changed_at` the one that last
    changed stored rows in place. `next_id` and `next_segment` were never given before, and never will be again.
    """

    version: int
    forgot_at: int
    changed_at: int
    next_id: int
    next_segment: int
    forgotten: int
    forgotten_sum: int
    dim: int
    dtype: str | None
    value_dim: int | None


class Entry(NamedTuple):
    """The metadata of a row: JSON, and the name in it, as JSON too."""

    id: int
    name: str | None
    text: str

    @classmethod
    def of(cls, one: int, text: str) -> Entry:
        name = json.loads(text).get("name")
        return cls(one, json.dumps(name) if isinstance(name, str) else None, text)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of a bank: `segments` by ascending ids; `forgotten` are the ids whose rows still lie in them, ascending."""

    head: Head
    layout: Layout
    segments: tuple[Segment, ...]
    forgotten: Ids

    def __len__(self) -> int:
        return sum(segment.rows for segment in self.segments) - len(self.forgotten)

    def live(self, segment: Segment) -> NDArray[np.bool] | None:
        """Which rows of `segment` are live, as a mask; None where all are."""
        low, high = np.searchsorted(self.forgotten, [segment.first_id, segment.last_id + 1])
        if low == high:
            return None
        mask = np.ones(segment.rows, np.bool)
        mask[segment.offsets(self.forgotten[low:high])] = False
        return mask

    def live_ids(self, segment: Segment) -> Ids:
        live = self.live(segment)
        return segment.all_ids() if live is None else segment.all_ids()[live]

    def places(self, ids: Ids) -> Ids:
        """Where each of `ids` stands among the live rows, -1 for one that is not there."""
        starts = np.array([segment.first_id for segment in self.segments], np.int64)
        before = np.cumsum([0, *(segment.rows for segment in self.segments)])
        which, places = np.searchsorted(starts, ids, side="right") - 1, np.full(len(ids), -1)
        for number in np.unique(which[which >= 0]).tolist():
            segment, chosen = self.segments[number], (which == number).nonzero()[0]
            chosen = chosen[ids[chosen] <= segment.last_id]
            offsets = segment.offsets(ids[chosen])
            there = np.ones(len(chosen), np.bool) if segment.ids is None else segment.ids[offsets] == ids[chosen]
            places[chosen[there]] = before[number] + offsets[there]
        dead = np.searchsorted(self.forgotten, ids)
        if len(self.forgotten):
            places[self.forgotten[np.minimum(dead, len(self.forgotten) - 1)] == ids] = -1
        return np.where(places < 0, -1, places - dead)


def total(ids: Ids, before: int = 0) -> int:
    """The sum of `ids` and what stood `before`, within what SQLite holds."""
    return (before + int(ids.sum())) % 2**62
