"""Random walks on a graph, a step of all walks at once, and the contexts of nodes that they make (Perozzi et al. 2014).

`P = D^-1 A` is the chance to go from one node to another. A walk of w steps from node i visits j at its step r with the chance
`(P^r)_ij`, so what a walk sees is a draw from row i of `(1/w) sum_{r=1..w} P^r`. A node is no evidence for itself: visits to i are
left out of the draw, as the diagonal is left out of the expected context (`contexts.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor


class Bags(NamedTuple):
    """Contexts as bags of nodes: `nodes (b, m)` int64 and their `weights (b, m)`, each row of which sums to 1."""

    nodes: Tensor
    weights: Tensor


def steps_of(adjacency: csr_array) -> csr_array:
    """`P`, the chances of each step, in float64; rows of nodes without a way out are zero."""
    counts = np.diff(adjacency.indptr)
    counts, starts = counts[counts > 0], adjacency.indptr[:-1][counts > 0]
    chances = adjacency.data.astype(np.float64)
    # first by the largest of a row: sums of the smallest and of the largest numbers would be none
    for total in (np.maximum, np.add):
        of_rows = total.reduceat(chances, starts) if len(starts) else np.empty(0)
        chances = chances / np.repeat(np.where(of_rows > 0, of_rows, 1), counts)
    return csr_array((chances, adjacency.indices, adjacency.indptr), shape=adjacency.shape)


class Walker:
    """Draws walks on a graph.

    Args:
        adjacency: `(n, n)` weights of edges, row to column, none negative.
        device: that walks are made on.
    """

    def __init__(self, adjacency: csr_array, device: str | torch.device = "cpu"):
        self.offsets = torch.from_numpy(adjacency.indptr.astype(np.int64)).to(device)
        self.neighbours = torch.from_numpy(adjacency.indices.astype(np.int64)).to(device)
        weights = adjacency.data
        even = len(weights) == 0 or bool((weights == weights[0]).all())
        # the sums run on over all rows, so one sorted search finds the next nodes of all walks; chances, so that no row drowns
        sums = None if even else np.concatenate([[0.0], np.cumsum(steps_of(adjacency).data)])
        self.sums = None if sums is None else torch.from_numpy(sums).to(device)

    def walk(self, starts: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """The nodes `(b, steps)` after each step from `starts (b,)`, all of which must have a way out, as must what they reach."""
        path = torch.empty(len(starts), steps, dtype=torch.int64, device=starts.device)
        here = starts
        for step in range(steps):
            first, last = self.offsets[here], self.offsets[here + 1]
            chance = torch.rand(len(starts), generator=generator, dtype=torch.float64, device=starts.device)
            if self.sums is None:
                place = first + (chance * (last - first)).long()
            else:
                low, high = self.sums[first], self.sums[last]
                place = torch.searchsorted(self.sums, low + chance * (high - low), right=True) - 1
                # rounding must not lead out of the row
                place = place.clamp(first, last - 1)
            here = self.neighbours[place]
            path[:, step] = here
        return path

    def contexts(self, centres: Tensor, window: int, walks: int, generator: torch.Generator) -> Bags:
        """What `walks` walks of `window` steps from each of `centres (b,)` see; the centre only where they see nothing else."""
        seen = self.walk(centres.repeat_interleave(walks), window, generator).reshape(len(centres), walks * window)
        other = seen != centres[:, None]
        other |= ~other.any(1, keepdim=True)
        return Bags(seen, other / other.sum(1, keepdim=True))
