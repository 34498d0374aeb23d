"""Patterns on disk: append segments that are read by memory map, beside an SQLite manifest.

How rows are written, and what is promised when a process dies, stands in `store.py`; this is the bank over it. Several processes
may open the same folder: readers see the last state committed, writers take turns.
"""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from attractor.bank.base import Bank, Metadata
from attractor.bank.mapped import DTYPES, Tensors, bytes_of, cut, dtype_of, mapped, raw
from attractor.bank.norms import Norms, with_norms
from attractor.bank.rebuild import Rebuilt, rebuild
from attractor.bank.segments import Layout, SegmentError
from attractor.bank.serial import path_from, savable
from attractor.bank.snapshot import Snapshot
from attractor.bank.store import RowStore, to_entries
from attractor.bank.streamed import Filed, fold_files, suits_streaming
from attractor.errors import AttractorWarning
from attractor.read import Block, Partial, Read
from attractor.read.tiles import fits_tiles, fold_tiles
from attractor.validation import check_count, check_ids, check_like, check_matrix, shorten

Result = TypeVar("Result")


@savable("disk")
class DiskBank(Bank):
    """A bank in a folder, which outlives the process and may be larger than memory.

    Args:
        path: a folder that holds a bank, or a new or empty one where `dim` is given.
        dim: width of a pattern. Default: that of the bank at `path`.

    Raises:
        ValueError: no bank there, another `dim`, a folder with something else, or a newer format.

    `append`, `update`, `forget` and `compact` raise `TimeoutError` while another process or object writes, and `OSError` where the
    disk fails or is full; then nothing is changed. A file that is too short is reported by a warning on opening; rows are compared
    with their checksums when this object first reads them, and reading lost ones raises. `lost()` looks at everything.

    Metadata may hold a `"name"`, by which `named` finds rows. A process that appends without torch uses `RowStore`.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with DiskBank(f"{folder.name}/faces", 3) as bank:
        ...     bank.append(torch.eye(3), metadata=[{"name": "x"}, {"name": "y"}, None]).tolist()
        [0, 1, 2]
        >>> with DiskBank(f"{folder.name}/faces") as bank:
        ...     bank.update(bank.named("y"), torch.tensor([[0.0, 2.0, 0.0]]))
        ...     len(bank), bank.metadata(torch.tensor([1])), bank.get(torch.tensor([1])).patterns.tolist()
        (3, [{'name': 'y'}], [[0.0, 2.0, 0.0]])
        >>> folder.cleanup()
    """

    def __init__(self, path: str | Path, dim: int | None = None):
        self._store = RowStore(path, None if dim is None else check_count("dim", dim))
        self._manifest = self._store.manifest
        self.path = self._store.path
        self._norms = Norms()
        snapshot = self._manifest.snapshot()
        self.dim = snapshot.layout.dim
        lost = self._store.lost(snapshot, thorough=False).tolist()
        if lost:
            warnings.warn(
                f"{self.path} has damaged files: {len(lost)} of {len(snapshot)} rows are lost, ids {shorten(lost)}",
                AttractorWarning,
                stacklevel=2,
            )

    @staticmethod
    def rebuild(path: str | Path) -> Rebuilt:
        """Make a new manifest for the bank at `path` whose `bank.db` is damaged or gone, from its segments; nobody may use it then.

        All rows that the segments hold are there again, under their ids. Names, metadata, what was forgotten since the last
        `compact()` and checksums come from the old manifest as far as it can be read, which is kept as `bank.db.damaged`. The
        answer says how many `rows` there are, and in words what is `lost`.

        Raises:
            ValueError: no segments there, or the manifest is whole.
        """
        return rebuild(Path(path).absolute())

    @property
    def version(self) -> int:
        return self._manifest.snapshot().head.version

    @property
    def changed_at(self) -> int:
        """The version that last changed stored rows in place."""
        return self._manifest.snapshot().head.changed_at

    @property
    def value_dim(self) -> int | None:
        return self._manifest.snapshot().layout.value_dim

    @property
    def dtype(self) -> torch.dtype | None:
        return dtype_of(self._manifest.snapshot().layout)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def append(self, patterns: Tensor, values: Tensor | None = None, metadata: Sequence[Metadata | None] | None = None) -> Tensor:
        """Store rows and return their ids `(n,)`; once they are returned, the rows are on disk. See `Bank.append`."""
        with self._manifest.writing():  # the checks must hold until the rows are stored
            return super().append(patterns, values, metadata)

    def update(
        self,
        ids: Tensor,
        patterns: Tensor | None = None,
        values: Tensor | None = None,
        metadata: Sequence[Metadata | None] | None = None,
    ) -> None:
        """Replace what is given of the rows `ids`, at once for readers and after a crash; what is None stays.

        The segments concerned, of 64 MB each, are written anew: give many rows at a time. Nothing of the old rows is left after.

        Args:
            ids: `(n,)`, stored ones.
            patterns: `(n, dim)`.
            values: `(n, e)`, for a bank with values.
            metadata: one mapping for each row; None in its place leaves that row's as it is.

        Raises:
            TypeError, ValueError: unknown or repeated ids, wrong shape, type or dtype, NaN or infinity; nothing is changed then.
        """
        replaced = []
        with self._manifest.writing():
            ids = check_ids("ids", ids)
            if len(ids.unique()) != len(ids):
                raise ValueError("ids must not repeat")
            self.positions(ids)
            if values is not None and self.value_dim is None:
                raise ValueError("values must be None: this bank has no values")
            tensors = {"patterns": (patterns, self.dim), "values": (values, self.value_dim)}
            given = {name: (tensor, width) for name, (tensor, width) in tensors.items() if tensor is not None}
            for name, (tensor, width) in given.items():
                check_matrix(name, tensor, width)
                check_like(name, tensor, self.dtype, self.device)
            lengths = {name: len(tensor) for name, (tensor, _) in given.items()} | (
                {} if metadata is None else {"metadata": len(metadata)}
            )
            for name, length in lengths.items():
                if length != len(ids):
                    raise ValueError(f"{name} must have one row for each of the {len(ids)} ids, got {length}")
            rows = {name: bytes_of(tensor) for name, (tensor, _) in given.items()}
            if lengths and len(ids):
                replaced = self._store.update(ids.numpy(), rows, to_entries(metadata))
        self._store.erase(replaced)

    def forget(self, ids: Tensor) -> None:
        """Remove the rows with these `ids`; the files keep them until `compact()` erases them. See `Bank.forget`."""
        with self._manifest.writing():
            super().forget(ids)

    def fold(self, read: Read) -> Partial:
        running, filed = None, deque[Filed]()
        for file, whole, live in self._wholes():
            if file is not None and live is None and suits_streaming(read, whole):
                filed.append(Filed(file, whole))
                continue
            for block in map(with_norms, cut(whole, live, read.rows_per_block)):
                if fits_tiles(read, block):
                    partial = fold_tiles(read, block)
                    running = partial if running is None else read.merge(running, partial)
                else:
                    running = read.step(block, running)
        if filed:
            del whole  # it would stay mapped
            streamed = fold_files(read, filed)
            running = streamed if running is None else read.merge(running, streamed)
        return read.fold(()) if running is None else running

    def blocks(self, rows: int) -> Iterator[Block]:
        """The live rows at the time of the first block, in ascending order of id, in blocks of at most `rows`.

        Raises:
            ValueError: a file lacks live rows, or holds others than were stored; the message says which.
        """
        for _, whole, live in self._wholes():
            yield from cut(whole, live, rows)

    def _wholes(self) -> Iterator[tuple[Path | None, Block, Tensor | None]]:
        """The file of each segment, its rows, and which of them are live: None for all.

        None stands for a file whose rows are compared with their checksums only now, through the mapping.
        """
        snapshot, waiting = self._on_snapshot(self._map_all)
        self._norms.keep(snapshot.segments)
        for segment in snapshot.segments:
            tensors, live, known = waiting.popleft(), snapshot.live(segment), segment in self._norms
            unsound = self._store.folder.unsound(segment, snapshot.layout, raw(tensors), segment.groups)
            self._store.refuse(snapshot, segment, unsound)
            ids, patterns = torch.from_numpy(segment.all_ids()), tensors["patterns"]
            whole = Block(ids, patterns, tensors.get("values"), self._norms.of(segment, patterns))
            file = self._store.folder.file(segment.number, "patterns") if known else None
            yield file, whole, None if live is None else torch.from_numpy(live)

    def get(self, ids: Tensor) -> Block:
        return self._on_snapshot(lambda snapshot: self._gather(snapshot, ids))

    def positions(self, ids: Tensor) -> Tensor:
        ids = check_ids("ids", ids)
        places = self._manifest.snapshot().places(ids.numpy())
        if len(places) and places.min() < 0:
            raise ValueError(f"ids must be stored, unknown: {shorten(ids[torch.from_numpy(places < 0)].tolist())}")
        return torch.from_numpy(places)

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        with self._manifest.reading():
            self.positions(ids)
            entries = [self._manifest.entry(one) for one in check_ids("ids", ids).tolist()]
        return [None if entry is None else json.loads(entry) for entry in entries]

    def named(self, name: str) -> Tensor:
        """The live ids `(n,)` of the rows whose metadata has this `"name"`, ascending."""
        return torch.from_numpy(self._manifest.named(name))

    def ids(self) -> Tensor:
        snapshot = self._manifest.snapshot()
        return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *map(snapshot.live_ids, snapshot.segments)]))

    def lost(self) -> Tensor:
        """The live ids `(n,)` whose rows are missing from the files or differ from what was stored; every file is read.

        `forget` them to go on with the rest.

        Raises:
            ValueError: the manifest itself is damaged.
        """
        self._manifest.check()
        return torch.from_numpy(self._on_snapshot(lambda snapshot: self._store.lost(snapshot, thorough=True)))

    def compact(self) -> None:
        """Erase forgotten rows and their metadata from the files, and join short segments. Ids stay."""
        self._store.compact()

    def close(self) -> None:
        """Release the files. Blocks that were handed out stay readable."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"path": path_from(folder, self.path)}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        return cls(folder / settings["path"])

    def __len__(self) -> int:
        return len(self._manifest.snapshot())

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor:
        if patterns.dtype not in DTYPES:
            raise ValueError(f"patterns must have one of the dtypes {[str(kind) for kind in DTYPES]}, got {patterns.dtype}")
        layout = Layout(self.dim, DTYPES[patterns.dtype], None if values is None else values.shape[1])
        rows = {"patterns": bytes_of(patterns)} | ({} if values is None else {"values": bytes_of(values)})
        return torch.from_numpy(self._store.add(layout, rows, to_entries(metadata)))

    def _forget(self, ids: Tensor) -> None:
        self._manifest.record_forget(ids.numpy())

    def _ever_stored(self) -> bool:
        return self._manifest.snapshot().head.next_id > 0

    def _on_snapshot(self, work: Callable[[Snapshot], Result]) -> Result:
        """`work` on the last state; again where another process compacted its files away meanwhile."""
        while True:
            with self._manifest.reading() as snapshot:
                try:
                    return work(snapshot)
                except SegmentError as error:
                    failure = error
            if self.version == snapshot.head.version:
                raise failure

    def _map_all(self, snapshot: Snapshot) -> tuple[Snapshot, deque[Tensors]]:
        """The tensors of all segments. A mapping costs no memory until it is read, and outlives a compaction."""
        waiting = deque[Tensors]()
        for segment in snapshot.segments:
            kept = self._store.folder.rows(segment, snapshot.layout)
            self._store.refuse(snapshot, segment, np.arange(kept, segment.rows))
            waiting.append(mapped(self._store.folder, segment, snapshot.layout))
        return snapshot, waiting

    def _gather(self, snapshot: Snapshot, ids: Tensor) -> Block:
        self.positions(ids)
        ids, layout = check_ids("ids", ids).contiguous(), snapshot.layout
        dtype = dtype_of(layout)
        gathered = {name: torch.empty(len(ids), width, dtype=dtype) for name, width in layout.widths.items()}
        for segment, chosen in self._store.segments_of(snapshot, ids.numpy()):
            tensors, offsets = mapped(self._store.folder, segment, layout), segment.offsets(ids.numpy()[chosen])
            groups = np.unique(offsets // layout.checked_rows).tolist()
            unsound = self._store.folder.unsound(segment, layout, raw(tensors), groups)
            self._store.refuse(snapshot, segment, np.intersect1d(unsound, offsets))
            for name, rows in tensors.items():
                gathered[name][chosen] = rows[offsets]
        return Block(ids, gathered["patterns"], gathered.get("values"))
