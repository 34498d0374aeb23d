"""Whether rows are stored already, bit for bit: integer hashes find the candidates, comparison decides."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from attractor.read import Block

INTEGERS = {8: torch.int64, 4: torch.int32, 2: torch.int16}


def rows_present(blocks: Iterable[Block], patterns: Tensor) -> Tensor:
    """Which of `patterns (n, d)` equal a row of some block, `(n,)` Boolean."""
    present = torch.zeros(len(patterns), dtype=torch.bool, device=patterns.device)
    wanted = row_hashes(patterns)
    for block in blocks:
        hashes, order = row_hashes(block.patterns).sort()
        place = torch.searchsorted(hashes, wanted)
        while len(likely := same_hash(hashes, wanted, place, present)):
            present[likely] = (block.patterns[order[place[likely]]] == patterns[likely]).all(-1)
            place = place + 1
    return present


def same_hash(hashes: Tensor, wanted: Tensor, place: Tensor, present: Tensor) -> Tensor:
    """Which rows `(m,)`, not yet found, have the hash that stands at their `place (n,)` among the sorted `hashes`."""
    inside = place < len(hashes)
    return (inside & ~present & (hashes[place.clamp_max(len(hashes) - 1)] == wanted)).nonzero().flatten()


def row_hashes(patterns: Tensor) -> Tensor:
    """A 64-bit hash `(n,)` of the bits of each row; plus and minus zero are equal."""
    bits = (patterns + 0.0).contiguous().view(INTEGERS[patterns.element_size()]).to(torch.int64)
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (patterns.shape[1],), generator=generator) * 2 + 1
    # round numbers in float64 differ in their high bits only, which a product never carries down
    mixed = (bits ^ (bits >> 32)) * factors.to(bits.device)
    mixed = (mixed ^ (mixed >> 29)) * -0x61C8864680B583EB
    return (mixed ^ (mixed >> 32)).sum(-1)
