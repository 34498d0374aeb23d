"""Patterns that occur twice with different successors: no network without a context can tell which one to go to."""

from __future__ import annotations

import torch
from torch import Tensor

KEYS = 3
ROWS = 2**12


def ambiguous_rows(patterns: Tensor, following: Tensor) -> Tensor:
    """Pairs of rows `(k, 2)` that are equal while what follows them differs.

    Args:
        patterns: `(P, N)` of -1 and 1.
        following: `(P,)` row of the next pattern, `P` where there is none.
    """
    # a copy without a successor would part two copies that have one
    rows = (following < len(patterns)).nonzero().flatten()
    keys, order = row_keys(patterns)[rows].sort(stable=True)
    alike = (keys[1:] == keys[:-1]).nonzero().flatten()
    pairs = rows[torch.stack([order[alike], order[alike + 1]], 1)]
    found = [some[differ(patterns, following[some]) & ~differ(patterns, some)] for some in pairs.split(ROWS)]
    return torch.cat(found) if found else pairs


def differ(patterns: Tensor, pairs: Tensor) -> Tensor:
    """Whether the two patterns of each pair `(k, 2)` differ."""
    return (patterns[pairs[:, 0]] != patterns[pairs[:, 1]]).any(1)


def row_keys(patterns: Tensor) -> Tensor:
    """A number `(P,)` for each row, int64; equal rows have equal ones, other rows hardly ever."""
    # sums of -1 and 1 times whole numbers, small enough to be exact in float32: the place of a row in the product changes nothing
    reach = max(1, 2**23 // patterns.shape[1])
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-reach, reach + 1, (patterns.shape[1], KEYS), generator=generator).to(patterns)
    sums = (patterns @ factors).to(torch.int64)
    mixed = sums[:, 0]
    for column in range(1, KEYS):
        mixed = mixed * 0x2545F4914F6CDD1D + sums[:, column]
    return mixed
