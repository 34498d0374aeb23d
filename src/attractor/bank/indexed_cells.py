"""Cells: the rows of a bank, grouped around centres, and how similar a row of a cell can be at most.

The centres come from faiss' k-means (Douze et al. 2024, "The Faiss library"), as for its inverted file index. Every cell keeps
its radius, so that no row of it, seen or not, scores more than its bound: by the triangle inequality a row lies no nearer to a cue
than the centre less the radius. That holds over the known entries of a cue too, where distances to the centre only shrink.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.bank.base import Bank
from attractor.bank.indexed_rows import CopyError, Place, checksums
from attractor.read import Block, Cosine, Dot, Euclidean, Read
from attractor.read.similarity import widened

ROWS_PER_CENTRE = 64
"""Rows that k-means looks at for each centre."""
ROWS_TOGETHER = 2**16
SOUND = -1
"""Stands in place of a checksum that was found right."""
ROUNDING = 2.0**-20
"""Beyond what distances of vectors in double precision, computed by their products, can be off, relative to the lengths."""


@dataclass(frozen=True, eq=False)
class Cells:
    """`block` holds the rows by cell: those of cell `i` from `starts[i]` to `starts[i + 1]`.

    Attributes:
        centres: `(c, d)` float64.
        radii: `(c,)` float64, the distance of the farthest row.
        starts: `(c + 1,)` int64.
        checks: `(c, tensors)` int64, checksums of rows that come from a file; None for rows in memory.
    """

    centres: Tensor
    radii: Tensor
    starts: Tensor
    block: Block
    checks: Tensor | None

    @classmethod
    def of(cls, bank: Bank, place: Place) -> Cells:
        """Group all rows of a bank, which must not be empty, and copy them to `place`; the same rows give the same cells.

        Of the rows, no more than a block is in memory at a time, beside what `place` keeps there.

        Raises:
            ImportError: faiss is not installed.
        """
        count = max(1, round(len(bank) ** 0.5))
        search = trained(bank.sample(ROWS_PER_CENTRE * count).patterns, count)
        centres = torch.from_numpy(search.reconstruct_n(0, search.ntotal)).double()
        radii, parts = torch.zeros(count, dtype=torch.float64), []
        for block in bank.blocks(ROWS_TOGETHER):
            own = nearest_centre(search, block.patterns)
            radii.scatter_reduce_(0, own, (block.patterns.double() - centres[own]).norm(dim=-1), "amax")
            parts.append((own, block.ids, torch.linalg.vector_norm(widened(block.patterns), dim=-1).square()))
        own, ids, norms = (torch.cat(some) for some in zip(*parts, strict=True))
        order = own.argsort(stable=True)
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), own.bincount(minlength=count).cumsum(0)])
        held = place.fill(bank.blocks(ROWS_TOGETHER), ids, order)
        block = Block(ids[order], held["patterns"], held.get("values"), norms[order])
        return cls(centres, radii, starts, block, checksums(held, starts) if place.on_disk else None)

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> Tensor:
        """Rows of each cell `(c,)`."""
        return self.starts.diff()

    def rows_of(self, cells: list[int]) -> Iterator[tuple[int, Block]]:
        """Where the rows of some cells begin, and those rows.

        Raises:
            CopyError: they are not as they were written.
        """
        for cell in cells:
            start, stop = int(self.starts[cell]), int(self.starts[cell + 1])
            if start < stop:
                self._check(cell)
                yield start, self.block.rows(slice(start, stop))

    def bounds(self, read: Read) -> tuple[Tensor, Tensor]:
        """Of each cell, for the one cue of `read`: the score of its centre, and what no row's score exceeds, `(c,)` float64."""
        known = slice(None) if read.known is None else read.known[0]
        cue, centres = read.cues[0, known].double(), self.centres[:, known]
        length, lengths = cue.norm(), centres.norm(dim=-1)
        radii = self.radii + ROUNDING * (length + lengths)
        if isinstance(read.similarity, Dot):
            scores = centres @ cue
            return scores, scores + length * radii
        if isinstance(read.similarity, Euclidean):
            distances = (centres - cue).norm(dim=-1)
            return -distances.square() / 2, -(distances - radii).clamp_min(0).square() / 2
        cosines = (centres @ cue / (length * lengths).clamp_min(1e-300)).clamp(-1, 1)
        spread = (radii / lengths.clamp_min(1e-300)).clamp_max(1).asin()
        nearest = (cosines.acos() - spread - ROUNDING).clamp_min(0).cos()
        return cosines, torch.where(radii >= lengths, 1.0, nearest)

    def tensors(self) -> dict[str, Tensor]:
        """All but the rows themselves."""
        assert self.checks is not None and self.block.norms is not None
        own = {"centres": self.centres, "radii": self.radii, "starts": self.starts, "checks": self.checks}
        return {**own, "ids": self.block.ids, "norms": self.block.norms}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], held: dict[str, Tensor]) -> Cells:
        """What `tensors` described, over the rows `held`."""
        block = Block(tensors["ids"], held["patterns"], held.get("values"), tensors["norms"])
        return cls(tensors["centres"], tensors["radii"], tensors["starts"], block, tensors["checks"])

    def _check(self, cell: int) -> None:
        """Compare the rows of a cell with their checksums, the first time."""
        if self.checks is None or self.checks[cell, 0] == SOUND:
            return
        held = {"patterns": self.block.patterns} | ({} if self.block.values is None else {"values": self.block.values})
        if not torch.equal(checksums(held, self.starts[cell : cell + 2]), self.checks[cell : cell + 1]):
            raise CopyError(f"cell {cell} of the index is damaged")
        self.checks[cell, 0] = SOUND


def answers(read: Read) -> bool:
    """Whether cells can bound what this read compares."""
    return type(read.similarity) in (Dot, Euclidean, Cosine)


def trained(sample: Tensor, count: int) -> Any:
    """A search for the nearest of `count` centres of `sample`."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError("IndexedBank needs faiss: pip install 'attractor[ann]'") from error
    rows = np.ascontiguousarray(widened(sample).float().numpy())
    means = faiss.Kmeans(rows.shape[1], count, niter=10, seed=1, min_points_per_centroid=1, max_points_per_centroid=ROWS_PER_CENTRE)
    means.train(rows)
    return means.index


def nearest_centre(search: Any, patterns: Tensor) -> Tensor:
    _, found = search.search(np.ascontiguousarray(widened(patterns).float().numpy()), 1)
    return torch.from_numpy(found[:, 0])
