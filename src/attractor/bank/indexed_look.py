"""One index: cells, codes, the rows that came after them, and what a look into some of the cells leaves out.

A read of some cells is exact over their rows. What is left out is bounded by the cells that were not looked into: no row of a cell
scores above its bound `u`, so for the soft-max the unseen rows have at most the share `T / (T + Z)` of the weight, with
`T = sum over unseen cells of rows x exp(beta u)` and `Z` the sum over the rows seen. Cells are looked into, nearest centre first
and then by their bound, until that share is within a tolerance. (The usual estimate, `(N - k) exp(beta s_k) / Z`, holds for the
true k-th score only, which an index does not know.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.bank.base import Bank
from attractor.bank.indexed_cells import Cells
from attractor.bank.indexed_codes import Codes
from attractor.read import Block, Partial, Read, SoftMax, TopK
from attractor.read.best import two_best
from attractor.read.similarity import widened
from attractor.read.sparse import Entmax

PROBES, PROBES_BESIDE_CODES = 32, 8
STALE = 0.1
"""The share of rows appended or forgotten since, beyond which an index is built anew."""


class Look(NamedTuple):
    """What a cue found: `places` of the rows that matter, the bound `tail` on the rest, how many `rows` were looked at."""

    places: Tensor
    tail: float
    rows: int


class Proposed(NamedTuple):
    """Rows that the codes find best: their `places`, the `cells` that they lie in, and their `scores`, `(m,)` each."""

    places: Tensor
    cells: Tensor
    scores: Tensor


@dataclass(frozen=True, eq=False)
class Index:
    """Cells, codes of their rows, rows that came after them, and which rows of both are live.

    Places count the rows of the cells, then those that came after.
    """

    cells: Cells
    codes: Codes | None
    changed: int
    version: int
    fresh: Block
    live: Tensor

    @classmethod
    def of(cls, cells: Cells, changed: int, version: int, codes: Codes | None = None) -> Index:
        return cls(cells, codes, changed, version, cells.block.rows(slice(0)), torch.ones(len(cells.block), dtype=torch.bool))

    def refreshed(self, bank: Bank, version: int) -> Index | None:
        """Brought up to date with `bank`, as it is at `version` or later; None where building anew is better.

        Raises:
            ValueError: rows were forgotten meanwhile.
        """
        ids, known = bank.ids(), self.cells.block.ids
        fresh = ids[ids > int(known.max())]
        live = torch.isin(known, ids)
        if len(fresh) + int((~live).sum()) > STALE * len(known):
            return None
        return replace(self, version=version, fresh=bank.get(fresh), live=live)

    def look(self, read: Read, probes: int | None, tolerance: float | None) -> Look | None:
        """Look at proposed rows and into cells for the one cue of `read`; None once these hold more than half of the rows."""
        centre, bound = self.cells.bounds(read)
        sizes, proposed = self.cells.sizes, self.proposed(read)
        if probes is None:
            probes = PROBES_BESIDE_CODES if len(proposed.places) else PROBES
        probes = min(probes, len(self.cells))
        nearest = centre.topk(probes).indices
        order = torch.cat([nearest, bound.scatter(0, nearest, math.inf).argsort(descending=True, stable=True)[probes:]])
        places, scores = [torch.arange(len(self.fresh)) + len(self.live)], [self.scores(read, self.fresh)]
        done, wanted = 0, probes
        while True:
            for start, block in self.cells.rows_of(order[done:wanted].tolist()):
                live = self.live[start : start + len(block)]
                scores.append(self.scores(read, block).masked_fill(~live, -math.inf))
                places.append(torch.arange(start, start + len(block)))
            scores, places, done = [torch.cat(scores)], [torch.cat(places)], wanted
            rest = order[done:]
            apart = torch.isin(proposed.cells, rest)
            seen, where = torch.cat([scores[0], proposed.scores[apart]]), torch.cat([places[0], proposed.places[apart]])
            unseen = sizes - proposed.cells[apart].bincount(minlength=len(sizes))
            tail = share_of_unseen(read, seen, bound[rest], unseen[rest])
            if tolerance is None or tail <= tolerance:
                return Look(where[matter(read, seen)], tail, len(where))
            wanted = min(2 * done, len(order))
            if done == len(order) or 2 * int(sizes[order[:wanted]].sum()) > len(self.live):
                return None

    def proposed(self, read: Read) -> Proposed:
        """The live rows of the shortlist for the one cue of `read`."""
        places = torch.empty(0, dtype=torch.int64) if self.codes is None else self.codes.shortlist(read)
        places = places[self.live[places]]
        cells = torch.searchsorted(self.cells.starts, places, right=True) - 1
        return Proposed(places, cells, self.scores(read, self.cells.block.rows(places)))

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
