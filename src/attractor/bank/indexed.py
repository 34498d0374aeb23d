"""An index over a bank: a read looks into the cells nearest to the cue, and says what the others could change.

A read of some cells is exact over their rows. What is left out is bounded by the cells that were not looked into: no row of a cell
scores above its bound `u`, so for the soft-max the unseen rows have at most the share `T / (T + Z)` of the weight, with
`T = sum over unseen cells of rows x exp(beta u)` and `Z` the sum over the rows seen. Cells are looked into, nearest centre first
and then by their bound, until that share is within a tolerance. (The usual estimate, `(N - k) exp(beta s_k) / Z`, holds for the
true k-th score only, which an index does not know.)

The index is a copy that can be thrown away at any time: rows appended since it was built are read beside it, forgotten ones are
passed over, and it is built anew when these have become many or rows were changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from attractor import tensor_file
from attractor.bank.base import Bank, Metadata
from attractor.bank.disk import DiskBank
from attractor.bank.indexed_cells import Cells, answers
from attractor.bank.ram import RamBank
from attractor.bank.serial import bank_from, bank_settings, savable
from attractor.read import Block, Partial, Read, SoftMax, TopK
from attractor.read.best import two_best
from attractor.read.similarity import widened
from attractor.read.sparse import Entmax
from attractor.read.tiles import needs_gradient
from attractor.validation import check_count, check_not_negative

FILE = "index.safetensors"
LEAST_ROWS = 4096
"""Of a bank that is worth an index."""
STALE = 0.1
"""The share of rows appended or forgotten since, beyond which an index is built anew."""


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
    others, those that need gradients, and those of small banks are exact. The index takes the memory of the patterns once more;
    beside a `DiskBank` it is kept in its folder.

    Args:
        bank: where the patterns live. What is stored through it directly is found too.
        probes: how many cells, of about the square root of the number of rows, a cue looks into at least.
        tolerance: look on until rows not looked at have at most this share of the weight, down to reading everything. 0 is exact
            up to weights that cannot be told from zero. None: stop after `probes` cells.

    Raises:
        TypeError: another kind of bank.
        ValueError: `probes` is below 1, or `tolerance` negative.
        ImportError: faiss is not installed (at the first read that builds an index).

    Example:
        >>> from attractor.read import Euclidean
        >>> bank = IndexedBank(RamBank(2), tolerance=1e-3)
        >>> bank.append(torch.eye(2)).tolist()
        [0, 1]
        >>> bank.tail(Read(Euclidean(), SoftMax(beta=1.0), torch.eye(2))).tolist()
        [0.0, 0.0]
    """

    def __init__(self, bank: RamBank | DiskBank, *, probes: int = 32, tolerance: float | None = None):
        if not isinstance(bank, RamBank | DiskBank):
            raise TypeError(f"bank must be a RamBank or a DiskBank, got {type(bank).__name__}")
        self.bank = bank
        self.dim = bank.dim
        self.probes = check_count("probes", probes)
        self.tolerance = None if tolerance is None else check_not_negative("tolerance", tolerance)
        self._index: Index | None = None

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
        if not self._fits(read):
            return self._exact(read)
        with torch.no_grad():
            return self._search(read) or self._exact(read)

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
            (self.bank.path / FILE).unlink(missing_ok=True)

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

    def _search(self, read: Read) -> Found | None:
        """The answer of the index; None where it pays to look at all rows for all cues at once."""
        index, looks = self._current(), []
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
        changed = self.bank.changed_at if isinstance(self.bank, DiskBank) else 0
        index = self._index
        if index is None and isinstance(self.bank, DiskBank):
            index = read_index(self.bank)
        if index is not None and index.version != self.bank.version:
            index = (
                index.refreshed(self.bank) if (index.changed, index.cells.block.patterns.dtype) == (changed, self.dtype) else None
            )
        if index is None:
            index = Index.of(Cells.of(self.bank), changed, self.bank.version)
            if isinstance(self.bank, DiskBank):
                tensor_file.write(self.bank.path / FILE, {"changed": changed, "version": index.version}, index.cells.tensors())
        self._index = index
        return index


class Look(NamedTuple):
    """What a cue found: `places` of the rows that matter, the bound `tail` on the rest, how many `rows` were looked at."""

    places: Tensor
    tail: float
    rows: int


@dataclass(frozen=True, eq=False)
class Index:
    """Cells, rows that came after them, and which rows of both are live.

    Places count the rows of the cells, then those that came after.
    """

    cells: Cells
    changed: int
    version: int
    fresh: Block
    live: Tensor

    @classmethod
    def of(cls, cells: Cells, changed: int, version: int) -> Index:
        return cls(cells, changed, version, cells.block.rows(slice(0)), torch.ones(len(cells.block), dtype=torch.bool))

    def refreshed(self, bank: Bank) -> Index | None:
        """Brought up to date with `bank`; None where building anew is better."""
        ids, known, version = bank.ids(), self.cells.block.ids, bank.version
        newest = int(known.max())
        fresh = ids[ids > newest]
        place = torch.searchsorted(ids, known).clamp_max(max(0, len(ids) - 1))
        live = ids[place] == known
        if len(fresh) + int((~live).sum()) > STALE * len(known):
            return None
        return replace(self, version=version, fresh=bank.get(fresh), live=live)

    def look(self, read: Read, probes: int, tolerance: float | None) -> Look | None:
        """Look into cells for the one cue of `read`; None once they hold more than half of the rows."""
        centre, bound = self.cells.bounds(read)
        probes = min(probes, len(self.cells))
        nearest = centre.topk(probes).indices
        order = torch.cat([nearest, bound.scatter(0, nearest, math.inf).argsort(descending=True, stable=True)[probes:]])
        sizes = self.cells.sizes[order]
        places, scores = [torch.arange(len(self.fresh)) + len(self.live)], [self.scores(read, self.fresh)]
        done, wanted = 0, probes
        while True:
            for start, block in self.cells.rows_of(order[done:wanted].tolist()):
                live = self.live[start : start + len(block)]
                scores.append(self.scores(read, block).masked_fill(~live, -math.inf))
                places.append(torch.arange(start, start + len(block)))
            scores, places, done = [torch.cat(scores)], [torch.cat(places)], wanted
            tail = share_of_unseen(read, scores[0], bound[order[done:]], sizes[done:])
            if tolerance is None or tail <= tolerance:
                return Look(places[0][matter(read, scores[0])], tail, len(places[0]))
            wanted = min(2 * done, len(order))
            if done == len(order) or 2 * int(sizes[:wanted].sum()) > len(self.live):
                return None

    def scores(self, read: Read, block: Block) -> Tensor:
        """Scores `(n,)` of the one cue of `read`."""
        wide = Block(block.ids, widened(block.patterns), None, block.norms)
        return (read.similarity.relative(read.prepared, wide) + read.prepared.offset)[0].double()

    def partial(self, read: Read, places: Sequence[Tensor]) -> Partial:
        """What the rows at `places`, of each cue its own, contribute to `read`."""
        chosen = torch.cat(list(places)).unique()
        block = self.rows(chosen)
        own = torch.zeros(len(places), len(chosen), dtype=torch.bool)
        for row, some in enumerate(places):
            own[row, torch.searchsorted(chosen, some.sort().values)] = True
        order = block.ids.argsort()
        block, own = block.rows(order), own[:, order]
        wide = Block(block.ids, widened(block.patterns), None if block.values is None else widened(block.values))
        scores = read.similarity.relative(read.prepared, wide).masked_fill(~own, -math.inf)
        best = two_best(scores, wide.ids)
        best = best._replace(ids=best.ids.masked_fill(best.scores == -math.inf, -1))
        return Partial(best, read.separation.partial(scores, wide.ids, read.rows(wide), best))

    def rows(self, places: Tensor) -> Block:
        inside, after = places[places < len(self.live)], places[places >= len(self.live)] - len(self.live)
        old, new = self.cells.block.rows(inside), self.fresh.rows(after)
        values = None if old.values is None or new.values is None else torch.cat([old.values, new.values])
        return Block(torch.cat([old.ids, new.ids]), torch.cat([old.patterns, new.patterns]), values)


def matter(read: Read, scores: Tensor) -> Tensor:
    """Which of the rows seen can change the read, by their scores `(n,)`."""
    rank = min(read.separation.rank, len(scores))
    lowest = min(float(scores.topk(rank).values[-1]), float(scores.max()) - read.separation.reach(len(scores), read.cues.dtype))
    return ((scores >= lowest) & (scores > -math.inf)).nonzero().flatten()


def share_of_unseen(read: Read, seen: Tensor, bound: Tensor, sizes: Tensor) -> float:
    """The largest share of the weight that rows not seen can have: `sizes` rows that score at most `bound` each."""
    separation = read.separation
    unseen = bound.masked_fill(sizes == 0, -math.inf)
    best, rival = float(seen.max()), float(unseen.max()) if len(unseen) else -math.inf
    if rival == -math.inf:
        return 0.0
    if best == -math.inf:
        return 1.0
    if isinstance(separation, Entmax):
        return 0.0 if rival < best - separation.reach(1, torch.float64) else 1.0
    assert isinstance(separation, SoftMax | TopK)
    kept = seen.topk(min(separation.k, len(seen))).values if isinstance(separation, TopK) else seen
    if isinstance(separation, TopK) and len(seen) >= separation.k:
        # a row that scores below the k-th best of those seen cannot be among the k best of all
        unseen = unseen.masked_fill(unseen < kept[-1], -math.inf)
    total = (separation.number * unseen + sizes.clamp_min(1).log()).logsumexp(0)
    ratio = math.exp(min(0.0, float(total - (separation.number * kept).logsumexp(0))))
    if isinstance(separation, TopK):
        return ratio
    return float((total - torch.logaddexp(total, (separation.number * kept).logsumexp(0))).exp())


def read_index(bank: DiskBank) -> Index | None:
    """The index in the bank's folder; None where there is none, or a damaged one."""
    try:
        described, tensors = tensor_file.read(bank.path / FILE, "an index")
        return Index.of(Cells.from_tensors(tensors), described["changed"], described["version"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
