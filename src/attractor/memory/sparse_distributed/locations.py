"""Sums over the locations within a radius: what both storing and recalling of a sparse distributed memory are made of.

One matrix product gives all distances, `H . q = n - 2 distance`; of each row of the result only the few active entries are then
gathered and summed. Everything is a sum of whole numbers in floating point, below 2^24 in the products and 2^53 in the sums, and so
exact: neither the block size nor the order changes a bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

NUMBERS_PER_BLOCK = 2**24
"""Most distances held at a time."""


def active_blocks(addresses: Tensor, cues: Tensor, known: Tensor | None, radius: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of locations, and which of them each cue activates, `(b, block)` Boolean.

    Args:
        addresses: `(locations, n)` of -1 and 1, int8.
        cues: `(b, n)` of -1 and 1, float32.
        known: `(b, n)`, True where a cue is compared; None for everywhere.
        radius: `(b, 1)`, the largest distance between the compared entries.
    """
    compared = cues if known is None else cues.masked_fill(~known, 0)
    width = cues.shape[1] if known is None else known.sum(-1, keepdim=True)
    least = width - 2 * radius.to(cues.dtype)
    size = max(1, NUMBERS_PER_BLOCK // max(*cues.shape))
    for start in range(0, len(addresses), size):
        block = slice(start, start + size)
        # under autocast the product would be rounded, and no longer a whole number
        with torch.autocast(cues.device.type, enabled=False):
            active = compared @ addresses[block].to(cues.dtype).T >= least
        yield block, active


def sums(active: Tensor, rows: Tensor) -> Tensor:
    """`active (b, n) @ rows (n, m)` in float64, at the cost of the entries that are True."""
    chosen = active.nonzero()[:, 1]
    if len(chosen) == 0:
        return torch.zeros(len(active), rows.shape[1], dtype=torch.float64, device=rows.device)
    counts = active.sum(-1)
    return embedding_bag(chosen, rows.double(), counts.cumsum(0) - counts, mode="sum")


def read(addresses: Tensor, counters: Tensor, cues: Tensor, known: Tensor | None, radius: Tensor) -> tuple[Tensor, Tensor]:
    """The sums `(b, m)` of the `counters (locations, m)` of active locations, and whether there are any, `(b,)`."""
    found = torch.zeros(len(cues), counters.shape[1], dtype=torch.float64, device=cues.device)
    reached = torch.zeros(len(cues), dtype=torch.bool, device=cues.device)
    for block, active in active_blocks(addresses, cues, known, radius):
        found += sums(active, counters[block])
        reached |= active.any(-1)
    return found, reached


def check_held(folder: Path, locations: int, dim: int, width: int) -> None:
    """Settings may come from anyone: nothing shall be made that is larger than what was saved in `folder`.

    Raises:
        ValueError: so many addresses of 1 byte an entry and counters of 4 have no place in its file.
    """
    held = max((file.stat().st_size for file in folder.glob("*.safetensors")), default=0)
    if locations * (dim + 4 * width) > held:
        raise ValueError(f"configuration must fit what was saved, {held} bytes, got {locations} locations of {dim} and {width}")
