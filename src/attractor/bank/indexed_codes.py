"""Codes: four bits for each two entries of a row, by which all rows are compared with a cue in one pass.

Product quantisation (Jégou et al. 2011, "Product quantization for nearest neighbor search"), scanned in registers (André et al.
2017, "Accelerated nearest neighbor search with Quick ADC") by faiss. What the codes find best is a shortlist, of which the rows
themselves are then compared: it finds the best rows where no cell does, because the rows lie in no clusters.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attractor.read import Block, Cosine, Dot, Euclidean, Read
from attractor.read.similarity import widened

BITS = 4
ENTRIES_PER_CODE = 2
ROWS_IN_TRAINING = 2**14
ROWS_TOGETHER = 2**16
SHORTLIST = 2048
"""Rows that the codes propose, or this many for each that is wanted."""
SHORTLIST_OF_ONE = 64
LARGEST_SHARE = 1 / 8
"""Of the rows on a shortlist."""
EVEN = 1e-5
"""Largest difference between squared lengths, relative, of rows that are taken for equally long."""


class Codes:
    """The codes of some rows, in their order.

    Args:
        quantised: the plain index of faiss that holds them.
        even: whether the rows are equally long, so that products rank them as cosines do.
    """

    def __init__(self, quantised: Any, even: bool):
        self._quantised, self.even = quantised, even
        self._scans: dict[int, Any] = {}

    @classmethod
    def of(cls, rows: Block) -> Self:
        """Code `rows`, of which `norms` are known; the same rows give the same codes."""
        import faiss

        assert rows.norms is not None
        count, width = rows.patterns.shape
        pieces = -(-width // ENTRIES_PER_CODE)
        quantised = faiss.IndexPQ(pieces * ENTRIES_PER_CODE, pieces, BITS)
        quantised.pq.cp.min_points_per_centroid = 1
        quantised.train(padded(rows.patterns[:: -(-count // ROWS_IN_TRAINING)]))
        for start in range(0, count, ROWS_TOGETHER):
            quantised.add(padded(rows.patterns[start : start + ROWS_TOGETHER]))
        least, most = (float(one) for one in rows.norms.aminmax())
        return cls(quantised, most - least <= EVEN * most)

    def shortlist(self, read: Read) -> Tensor:
        """The rows `(m,)` that seem best for the one cue of `read`, ascending; none where codes cannot tell."""
        import faiss

        if isinstance(read.similarity, Dot) or (isinstance(read.similarity, Cosine) and self.even and read.known is None):
            metric = faiss.METRIC_INNER_PRODUCT
        elif isinstance(read.similarity, Euclidean) and read.known is None:
            metric = faiss.METRIC_L2
        else:
            return torch.empty(0, dtype=torch.int64)
        cue = read.cues if read.known is None else torch.where(read.known, read.cues, 0)
        wanted = max(SHORTLIST, SHORTLIST_OF_ONE * read.separation.rank)
        _, found = self._scan(metric).search(padded(cue), min(wanted, round(LARGEST_SHARE * self._quantised.ntotal)))
        places = torch.from_numpy(found[0]).sort().values
        return places[places >= 0]

    def _scan(self, metric: int) -> Any:
        """The codes, laid out to be scanned."""
        import faiss

        if metric not in self._scans:
            scan = faiss.IndexPQFastScan(self._quantised)
            scan.metric_type = metric
            self._scans[metric] = scan
        return self._scans[metric]


def padded(rows: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`rows` in single precision, with an even number of entries."""
    wide = widened(rows).float()
    if wide.shape[1] % ENTRIES_PER_CODE:
        wide = torch.nn.functional.pad(wide, (0, 1))
    return np.ascontiguousarray(wide.numpy())
