"""An index over a bank: a read looks at the rows whose codes come nearest to the cue and into the cells nearest to it, and says
what the others could change.

How that is bounded stands in `indexed_look.py`. The index is a copy that can be thrown away at any time: rows appended since it
was built are read beside it, forgotten ones are passed over, and it is built anew when these have become many or rows were changed
in place. Over a bank on disk it lies on disk too, and only the cells that are looked into are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from attractor import tensor_file
from attractor.bank.base import Bank, Metadata
from attractor.bank.disk import DiskBank
from attractor.bank.indexed_cells import Cells, answers
from attractor.bank.indexed_codes import Codes
from attractor.bank.indexed_look import Index
from attractor.bank.indexed_rows import CopyError, Place, discard
from attractor.bank.ram import RamBank
from attractor.bank.serial import bank_from, bank_settings, savable
from attractor.bank.store import INDEX
from attractor.read import Block, Partial, Read, SoftMax, TopK
from attractor.read.sparse import Entmax
from attractor.read.tiles import needs_gradient
from attractor.validation import check_count, check_not_negative

FILE = "cells.safetensors"
LEAST_ROWS = 2**15
"""Of a bank that is worth an index: fewer are read as fast as looked up."""


class Found(NamedTuple):
    """An answer of an index.

    Attributes:
        partial: of the rows that were looked at.
        tail: `(b,)`, the largest share of the weight that rows not looked at can have; 0 where nothing was left out.
        rows: `(b,)` int64, how many rows were looked at.
    """

    partial: Partial
    tail: Tensor
    rows: Tensor


@savable("indexed")
class IndexedBank(Bank):
    """A `RamBank` or `DiskBank` with an index for reads of few cues.

    Dot product, Euclidean and cosine reads by soft-max, top-k, sparsemax and entmax go through the index, masked ones too; all
    others, those that need gradients, and those of small banks are exact. The index copies the rows: over a `RamBank` in memory,
    over a `DiskBank` into its folder, with some 16 bytes of each row in memory; its centres come from a sample, and the rows are
    added a block at a time, so that the bank may be larger than memory.

    Over a `RamBank` it also keeps codes, half a byte for each entry (three quarters, where both dot products and distances are
    asked for). They find the best rows where there are no clusters too, for dot products, for distances over whole cues, and for
    cosines of rows of one length. On disk the rows that they propose would have to be read one here, one there: there are none.

    What the rows not looked at could have changed is bounded for every read: by `tolerance` in advance, by `search` and `tail` for
    a single read, and by `watched` for all that a memory reads while it recalls.

    Args:
        bank: where the patterns live. What is stored through it directly is found too.
        probes: how many cells, of about the square root of the number of rows, a cue looks into at least. Default: 8 where codes
            propose rows besides, 32 elsewhere.
        tolerance: look on until rows not looked at have at most this share of the weight, down to reading everything. 0 is exact
            up to weights that cannot be told from zero. None: stop after `probes` cells.

    Raises:
        TypeError: another kind of bank.
        ValueError: `probes` is below 1, or `tolerance` negative.
        ImportError: faiss is not installed (at the first read that builds an index).
        OSError: the disk has no room for an index (at that read too).

    Example:
        >>> from attractor.read import Euclidean
        >>> bank = IndexedBank(RamBank(2), tolerance=1e-3)
        >>> bank.append(torch.eye(2)).tolist()
        [0, 1]
        >>> bank.tail(Read(Euclidean(), SoftMax(beta=1.0), torch.eye(2))).tolist()
        [0.0, 0.0]
    """

    def __init__(self, bank: RamBank | DiskBank, *, probes: int | None = None, tolerance: float | None = None):
        if not isinstance(bank, RamBank | DiskBank):
            raise TypeError(f"bank must be a RamBank or a DiskBank, got {type(bank).__name__}")
        self.bank = bank
        self.dim = bank.dim
        self.probes = None if probes is None else check_count("probes", probes)
        self.tolerance = None if tolerance is None else check_not_negative("tolerance", tolerance)
        self._index: Index | None = None
        self._watches: list[list[Tensor]] = []

    @property
    def value_dim(self) -> int | None:
        return self.bank.value_dim

    @property
    def version(self) -> int:
        return self.bank.version

    @property
    def dtype(self) -> torch.dtype | None:
        return self.bank.dtype

    @property
    def device(self) -> torch.device | None:
        return self.bank.device

    def fold(self, read: Read) -> Partial:
        return self.search(read).partial

    def tail(self, read: Read) -> Tensor:
        """The largest share `(b,)` of the weight that rows not looked at can have in the answer to `read`."""
        return self.search(read).tail

    def search(self, read: Read) -> Found:
        """Answer a read, and say what was left out.

        Raises:
            ValueError: the bank is empty.
        """
        found = self._find(read) if self._fits(read) else self._exact(read)
        for watch in self._watches:
            watch.append(found.tail)
        return found

    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """The tails `(b,)` of all reads within, from any thread, in a list that grows: one for each step of a recall.

        Example:
            >>> from attractor import DenseMemory
            >>> memory = DenseMemory(bank=IndexedBank(RamBank(2), tolerance=1e-3))
            >>> ids = memory.store(torch.eye(2))
            >>> with memory.bank.watched() as tails:
            ...     recalled = memory.recall(torch.eye(2))
            >>> float(torch.cat(tails).max())  # no step left out more than this share of the weight
            0.0
        """
        watch: list[Tensor] = []
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches = [one for one in self._watches if one is not watch]

    def blocks(self, rows: int) -> Iterator[Block]:
        return self.bank.blocks(rows)

    def get(self, ids: Tensor) -> Block:
        return self.bank.get(ids)

    def positions(self, ids: Tensor) -> Tensor:
        return self.bank.positions(ids)

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        return self.bank.metadata(ids)

    def ids(self) -> Tensor:
        return self.bank.ids()

    def compact(self) -> None:
        """Give back the space of forgotten rows. Ids stay; the index keeps no copy of what was forgotten."""
        self.bank.compact()
        self._index = None
        if isinstance(self.bank, DiskBank):
            discard(self.bank.path / INDEX)

    def settings(self, folder: Path) -> dict[str, Any]:
        if isinstance(self.bank, RamBank):
            raise ValueError(f"bank must be on disk under its index to be saved, got {self!r}")
        return {"bank": bank_settings(self.bank, folder), "probes": self.probes, "tolerance": self.tolerance}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        inner = bank_from(settings["bank"], dim, folder)
        if not isinstance(inner, DiskBank):
            raise ValueError(f"bank under an index must be a DiskBank, got {inner!r}")
        return cls(inner, probes=settings["probes"], tolerance=settings["tolerance"])

    def __len__(self) -> int:
        return len(self.bank)

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> Tensor:
        return self.bank.append(patterns, values, metadata)

    def _forget(self, ids: Tensor) -> None:
        self.bank.forget(ids)

    def _ever_stored(self) -> bool:
        return self.bank._ever_stored()

    def _fits(self, read: Read) -> bool:
        return (
            len(self.bank) >= LEAST_ROWS
            and answers(read)
            and isinstance(read.separation, SoftMax | TopK | Entmax)
            and self.device == read.cues.device == torch.device("cpu")
            and not needs_gradient(read, read.cues)
        )

    def _find(self, read: Read) -> Found:
        with torch.no_grad():
            while True:
                try:
                    return self._search(read, self._current()) or self._exact(read)
                except CopyError:
                    self._index = None
                    discard(self._folder)

    def _search(self, read: Read, index: Index) -> Found | None:
        """The answer of the index; None where it pays to look at all rows for all cues at once."""
        looks = []
        masks = [None] * len(read.cues) if read.known is None else read.known[:, None]
        for cue, mask in zip(read.cues[:, None], masks, strict=True):
            look = index.look(read.with_cues(cue, mask), self.probes, self.tolerance)
            if look is None:
                return None
            looks.append(look)
        tail = torch.tensor([one.tail for one in looks], dtype=torch.float64)
        return Found(index.partial(read, [one.places for one in looks]), tail, torch.tensor([one.rows for one in looks]))

    def _exact(self, read: Read) -> Found:
        count = len(read.cues)
        return Found(self.bank.fold(read), torch.zeros(count, dtype=torch.float64), torch.full((count,), len(self.bank)))

    def _current(self) -> Index:
        """An index of the rows of today."""
        while True:
            version, changed = self.bank.version, self._changed_at()  # before the rows: others may write meanwhile
            index = self._index or self._kept()
            if index is not None and (index.changed, index.cells.block.patterns.dtype) != (changed, self.dtype):
                index = None
            if index is not None and index.version != version:
                try:
                    index = index.refreshed(self.bank, version)
                except ValueError:
                    if self.bank.version == version:
                        raise
                    continue
            self._index = index or self._built(version, changed)
            if self._changed_at() == changed:
                return self._index

    def _built(self, version: int, changed: int) -> Index:
        if isinstance(self.bank, RamBank):
            cells = Cells.of(self.bank, Place())
            return Index.of(cells, changed, version, Codes.of(cells.block))
        place = Place(self._folder)
        cells = Cells.of(self.bank, place)
        block = cells.block
        like = {"patterns": block.patterns[:0]} | ({} if block.values is None else {"values": block.values[:0]})
        described = {"changed": changed, "version": version, "copy": place.number}
        tensors = cells.tensors() | {f"like.{name}": one for name, one in like.items()}
        with suppress(FileNotFoundError):  # another process has erased the copy
            tensor_file.write(self._folder / FILE, described, tensors)
            place.discard_others()
        return Index.of(cells, changed, version)

    def _kept(self) -> Index | None:
        """The index in the folder of a bank on disk; None where there is none, or a damaged one."""
        if isinstance(self.bank, RamBank):
            return None
        try:
            described, tensors = tensor_file.read(self._folder / FILE, "an index")
            like = {name.removeprefix("like."): tensors.pop(name) for name in list(tensors) if name.startswith("like.")}
            held = Place(self._folder, described["copy"]).rows(len(tensors["ids"]), like)
            return Index.of(Cells.from_tensors(tensors, held), described["changed"], described["version"])
        except (FileNotFoundError, ValueError, KeyError, CopyError):
            return None

    def _changed_at(self) -> int:
        """The version that last changed rows in place."""
        return self.bank.changed_at if isinstance(self.bank, DiskBank) else 0

    @property
    def _folder(self) -> Path:
        assert isinstance(self.bank, DiskBank)
        return self.bank.path / INDEX
