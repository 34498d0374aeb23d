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
from attractor.read import Block, Cosine, Dot, Euclidean, Read
from attractor.read.similarity import widened

ROWS_PER_CENTRE = 64
"""Rows that k-means looks at for each centre."""
ROWS_TOGETHER = 2**16
ROUNDING = 2.0**-20
"""Beyond what distances of vectors in double precision, computed by their products, can be off, relative to the lengths."""


@dataclass(frozen=True, eq=False)
class Cells:
    """`block` holds the rows by cell: those of cell `i` from `starts[i]` to `starts[i + 1]`.

    Attributes:
        centres: `(c, d)` float64.
        radii: `(c,)` float64, the distance of the farthest row.
        starts: `(c + 1,)` int64.
    """

    centres: Tensor
    radii: Tensor
    starts: Tensor
    block: Block

    @classmethod
    def of(cls, bank: Bank) -> Cells:
        """Group all rows of a bank, which must not be empty; the same rows give the same cells.

        Raises:
            ImportError: faiss is not installed.
        """
        count = max(1, round(len(bank) ** 0.5))
        search = trained(bank.sample(ROWS_PER_CENTRE * count).patterns, count)
        blocks = list(bank.blocks(ROWS_TOGETHER))
        cells = torch.cat([nearest_centre(search, block.patterns) for block in blocks])
        ids, patterns = torch.cat([block.ids for block in blocks]), torch.cat([block.patterns for block in blocks])
        values = None if blocks[0].values is None else torch.cat([block.values for block in blocks if block.values is not None])
        order = cells.argsort(stable=True)
        rows = Block(ids, patterns, values).rows(order)
        centres = torch.from_numpy(search.reconstruct_n(0, search.ntotal)).double()
        sizes = cells.bincount(minlength=count)
        norms = torch.linalg.vector_norm(widened(rows.patterns), dim=-1).square()
        own = cells[order]
        far = [
            (some.double() - centres[where]).norm(dim=-1)
            for some, where in zip(rows.patterns.split(ROWS_TOGETHER), own.split(ROWS_TOGETHER), strict=True)
        ]
        radii = torch.zeros(count, dtype=torch.float64).scatter_reduce_(0, own, torch.cat(far), "amax")
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        return cls(centres, radii, starts, Block(rows.ids, rows.patterns, rows.values, norms))

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> Tensor:
        """Rows of each cell `(c,)`."""
        return self.starts.diff()

    def rows_of(self, cells: list[int]) -> Iterator[tuple[int, Block]]:
        """Where the rows of some cells begin, and those rows."""
        for cell in cells:
            start, stop = int(self.starts[cell]), int(self.starts[cell + 1])
            if start < stop:
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
        """What a file of these cells holds."""
        values = {} if self.block.values is None else {"values": self.block.values}
        norms = {} if self.block.norms is None else {"norms": self.block.norms}
        own = {"centres": self.centres, "radii": self.radii, "starts": self.starts}
        return {**own, "ids": self.block.ids, "patterns": self.block.patterns, **values, **norms}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Cells:
        block = Block(tensors["ids"], tensors["patterns"], tensors.get("values"), tensors["norms"])
        return cls(tensors["centres"], tensors["radii"], tensors["starts"], block)


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
