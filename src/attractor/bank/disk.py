"""Patterns on disk: append segments that are read by memory map, beside an SQLite manifest.

An append writes its rows behind those that count, waits for the disk, and then records them in one transaction. So every
moment at which a process can die leaves the state before or the state after, and the ids that `append` returned are there at the
next start. Against power loss the promise is that of `fsync`: what the drive reports as written must be so.

Several processes may open the same folder: readers see the last state committed, writers take turns.
"""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from attractor.bank.base import Bank, Metadata
from attractor.bank.manifest import Manifest, Snapshot
from attractor.bank.segments import DTYPES, Layout, Segment, SegmentError, SegmentFolder, block_of, cut, join, tensors_of
from attractor.errors import AttractorWarning
from attractor.read import Block
from attractor.validation import check_count, check_ids, shorten

LARGEST_ENTRY = 2**20
"""Bytes of one row's metadata as JSON."""

Result = TypeVar("Result")


class DiskBank(Bank):
    """A bank in a folder, which outlives the process and may be larger than memory.

    Args:
        path: a folder that holds a bank, or a new or empty one where `dim` is given.
        dim: width of a pattern. Default: that of the bank at `path`.

    Raises:
        ValueError: no bank there, another `dim`, a folder with something else, or a newer format.

    `append`, `forget` and `compact` raise `TimeoutError` while another process or object writes, and `OSError` where the disk
    fails or is full; then nothing is changed. Rows whose file is damaged are reported by a warning on opening and by `lost()`.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with DiskBank(f"{folder.name}/faces", 3) as bank:
        ...     bank.append(torch.eye(3), metadata=[{"name": "x"}, {"name": "y"}, None]).tolist()
        [0, 1, 2]
        >>> with DiskBank(f"{folder.name}/faces") as bank:
        ...     len(bank), bank.metadata(torch.tensor([1]))
        (3, [{'name': 'y'}])
        >>> folder.cleanup()
    """

    def __init__(self, path: str | Path, dim: int | None = None):
        self.path = Path(path)
        self._manifest = Manifest(self.path, None if dim is None else check_count("dim", dim))
        self._folder = SegmentFolder(self.path)
        self.dim = self._manifest.snapshot().layout.dim
        lost = self.lost()
        if len(lost):
            warnings.warn(
                f"{self.path} has damaged files: {len(lost)} of {len(self)} rows are lost, ids {shorten(lost.tolist())}",
                AttractorWarning,
                stacklevel=2,
            )

    @property
    def version(self) -> int:
        return self._manifest.snapshot().version

    @property
    def value_dim(self) -> int | None:
        return self._manifest.snapshot().layout.value_dim

    @property
    def dtype(self) -> torch.dtype | None:
        return self._manifest.snapshot().layout.dtype

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def append(self, patterns: Tensor, values: Tensor | None = None, metadata: Sequence[Metadata | None] | None = None) -> Tensor:
        """Store rows and return their ids `(n,)`; once they are returned, the rows are on disk. See `Bank.append`."""
        with self._manifest.writing():  # the checks must hold until the rows are stored
            return super().append(patterns, values, metadata)

    def forget(self, ids: Tensor) -> None:
        """Remove the rows with these `ids`; the files keep them until `compact()` erases them. See `Bank.forget`."""
        with self._manifest.writing():
            super().forget(ids)

    def blocks(self, rows: int) -> Iterator[Block]:
        """The live rows at the time of the first block, in ascending order of id, in blocks of at most `rows`.

        Raises:
            ValueError: a file lacks live rows; the message says which.
        """
        snapshot, mapped = self._on_snapshot(self._map_all)
        for segment in snapshot.segments:
            yield from cut(block_of(segment, mapped.popleft()), snapshot.live(segment), rows)

    def get(self, ids: Tensor) -> Block:
        return self._on_snapshot(lambda snapshot: self._gather(snapshot, ids))

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        with self._manifest.reading():
            self.positions(ids)
            entries = [self._manifest.entry(one) for one in check_ids("ids", ids).tolist()]
        return [None if entry is None else json.loads(entry) for entry in entries]

    def ids(self) -> Tensor:
        snapshot = self._manifest.snapshot()
        parts = [(segment.all_ids(), snapshot.live(segment)) for segment in snapshot.segments]
        return torch.cat([torch.empty(0, dtype=torch.int64), *(ids if live is None else ids[live] for ids, live in parts)])

    def lost(self) -> Tensor:
        """The live ids `(n,)` whose rows are missing from the files. `forget` them to go on with the rest."""
        snapshot = self._manifest.snapshot()
        parts = [self._lost(snapshot, segment) for segment in snapshot.segments]
        return torch.cat([torch.empty(0, dtype=torch.int64), *parts])

    def compact(self) -> None:
        """Erase forgotten rows and their metadata from the files, and join short segments. Ids stay.

        Segments that change are written anew before one transaction puts them in place of the old ones.
        """
        with self._manifest.writing() as snapshot:
            left_behind = self._folder.numbers() - {segment.number for segment in snapshot.segments}
            self._folder.unlink(left_behind)
            dropped, fresh, next_segment = [], [], snapshot.next_segment
            for worthwhile, group in groupby(snapshot.segments, lambda one: self._worth_rewriting(snapshot, one)):
                run = list(group)
                if worthwhile and (len(run) > 1 or snapshot.live(run[0]) is not None):
                    dropped += run
                    for block in self._joined(snapshot, run):
                        self._folder.write(next_segment, 0, tensors_of(block.patterns, block.values))
                        fresh.append(Segment.of(next_segment, block.ids))
                        next_segment += 1
            if dropped:
                self._manifest.record_compact([segment.number for segment in dropped], fresh, next_segment)
        if dropped:
            self._folder.unlink(segment.number for segment in dropped)
            self._manifest.flush()

    def close(self) -> None:
        """Release the files. Blocks that were handed out stay readable."""
        self._manifest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._manifest.snapshot())

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[object] | None) -> Tensor:
        if patterns.dtype not in DTYPES:
            raise ValueError(f"patterns must have one of the dtypes {[str(kind) for kind in DTYPES]}, got {patterns.dtype}")
        entries = [None if entry is None else to_json(f"metadata[{row}]", entry) for row, entry in enumerate(metadata or ())]
        snapshot = self._manifest.snapshot()
        layout = Layout(self.dim, patterns.dtype, None if values is None else values.shape[1])
        tensors = tensors_of(patterns, values)
        ids = torch.arange(snapshot.next_id, snapshot.next_id + len(patterns))
        last, next_segment = snapshot.segments[-1] if snapshot.segments else None, snapshot.next_segment
        if last is not None and self._folder.rows(last, layout) < last.rows:
            last = None
        changed, start = [], 0
        while start < len(patterns):
            first_id = snapshot.next_id + start
            if last is None or not last.takes(first_id, layout.capacity):
                last, next_segment = Segment(next_segment, first_id, 0), next_segment + 1
            stop = min(len(patterns), start + layout.capacity - last.rows)
            self._folder.write(last.number, last.rows, {name: rows[start:stop] for name, rows in tensors.items()})
            last, start = last.grown(stop - start), stop
            changed.append(last)
        named = [(one, entry) for one, entry in zip(ids.tolist(), entries, strict=False) if entry is not None]
        self._manifest.record_append(layout, changed, snapshot.next_id + len(patterns), next_segment, named)
        return ids

    def _forget(self, ids: Tensor) -> None:
        self._manifest.record_forget(ids)

    def _ever_stored(self) -> bool:
        return self._manifest.snapshot().next_id > 0

    def _on_snapshot(self, work: Callable[[Snapshot], Result]) -> Result:
        """`work` on the last state; again where another process compacted its files away meanwhile."""
        while True:
            with self._manifest.reading() as snapshot:
                try:
                    return work(snapshot)
                except SegmentError as error:
                    failure = error
            if self.version == snapshot.version:
                raise failure

    def _map_all(self, snapshot: Snapshot) -> tuple[Snapshot, deque[dict[str, Tensor]]]:
        """The tensors of all segments. A mapping costs no memory until it is read, and outlives a compaction."""
        return snapshot, deque(self._map_live(snapshot, segment) for segment in snapshot.segments)

    def _map_live(self, snapshot: Snapshot, segment: Segment) -> dict[str, Tensor]:
        lost = self._lost(snapshot, segment)
        if len(lost):
            raise self._complaint(segment, lost)
        return self._folder.map(segment, snapshot.layout)

    def _gather(self, snapshot: Snapshot, ids: Tensor) -> Block:
        self.positions(ids)
        ids, layout = check_ids("ids", ids).contiguous(), snapshot.layout
        tensors = {name: torch.empty(len(ids), width, dtype=layout.dtype) for name, width in layout.widths.items()}
        first_ids = torch.tensor([segment.first_id for segment in snapshot.segments], dtype=torch.int64)
        place = torch.searchsorted(first_ids, ids, right=True) - 1
        for number in place.unique().tolist():
            segment, chosen = snapshot.segments[number], (place == number).nonzero().flatten()
            offsets = segment.offsets(ids[chosen])
            mapped = self._folder.map(segment, layout)
            missing = offsets >= len(mapped["patterns"])
            if missing.any():
                raise self._complaint(segment, ids[chosen][missing])
            for name, rows in mapped.items():
                tensors[name][chosen] = rows[offsets]
        return Block(ids, tensors["patterns"], tensors.get("values"))

    def _lost(self, snapshot: Snapshot, segment: Segment) -> Tensor:
        kept = self._folder.rows(segment, snapshot.layout)
        if kept == segment.rows:
            return torch.empty(0, dtype=torch.int64)
        ids, live = segment.all_ids()[kept:], snapshot.live(segment)
        return ids if live is None else ids[live[kept:]]

    def _complaint(self, segment: Segment, lost: Tensor) -> SegmentError:
        file = self._folder.file(segment.number, "patterns")
        return SegmentError(
            f"{file} or its values beside it lack rows that were stored, ids {shorten(lost.tolist())}: put the file back from "
            "a copy, or forget the ids that lost() gives to go on with the rest"
        )

    def _worth_rewriting(self, snapshot: Snapshot, segment: Segment) -> bool:
        return snapshot.live(segment) is not None or 2 * segment.rows < snapshot.layout.capacity

    def _joined(self, snapshot: Snapshot, segments: Sequence[Segment]) -> Iterator[Block]:
        """The live rows of `segments`, in blocks that fill a segment each."""
        capacity = snapshot.layout.capacity
        pending: list[Block] = []
        for segment in segments:
            whole = block_of(segment, self._map_live(snapshot, segment))
            pending += cut(whole, snapshot.live(segment), capacity)
            while sum(map(len, pending)) >= capacity:
                block = join(pending)
                yield block.rows(slice(capacity))
                pending = [block.rows(slice(capacity, None))]
        if sum(map(len, pending)):
            yield join(pending)


def to_json(name: str, entry: object) -> str:
    """Metadata as JSON.

    Raises:
        TypeError, ValueError: no mapping, something that JSON cannot give back as it was, or more than `LARGEST_ENTRY` bytes.
    """
    if not isinstance(entry, Mapping):
        raise TypeError(f"{name} must be a mapping or None, got {type(entry).__name__}")
    try:
        text = json.dumps(dict(entry), allow_nan=False)
        same = json.loads(text) == dict(entry)
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must hold JSON values: {error}") from error
    if not same:
        raise ValueError(f"{name} must hold JSON values, with text as keys and lists for tuples")
    if len(text) > LARGEST_ENTRY:
        raise ValueError(f"{name} must take at most {LARGEST_ENTRY} bytes as JSON, got {len(text)}")
    return text
