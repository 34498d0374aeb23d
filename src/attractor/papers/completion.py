"""Recall of real images from damaged ones, with the nearest neighbour beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.data import Corruption, ImageSet, exact, identified, nearest_neighbour
from attractor.memory import Memory


@dataclass(frozen=True, eq=False)
class Completion:
    """Which of `n` cues were recalled, and which the nearest neighbour with the same information finds.

    `exact`: equal to the stored image in every entry; `identified`: nearer to it than to any other stored one. The originals,
    the cues, the recalled images and the nearest neighbours are `(n, d)`.
    """

    exact: Tensor
    identified: Tensor
    baseline: Tensor
    originals: Tensor
    cues: Tensor
    recalled: Tensor
    neighbours: Tensor
    seconds: float


def complete(memory: Memory, stored: ImageSet, damage: Corruption, *, queries: int, seed: int, use_mask: bool = True) -> Completion:
    """Store `stored` in an empty memory, and recall its first `queries` items from damaged copies.

    With `use_mask` False neither the memory nor the nearest neighbour is told what an occlusion has hidden.
    """
    start = time.perf_counter()
    originals, index = stored.patterns[:queries], torch.arange(min(queries, len(stored)))
    cues, known = damage(originals, shape=stored.shape, generator=torch.Generator().manual_seed(seed))
    known = known if use_mask else None
    memory.store(stored.patterns)
    recalled = memory.recall(cues, known=known).patterns
    nearest = nearest_neighbour(cues, stored.patterns, known=known)
    found = stored.patterns[nearest]
    return Completion(
        exact(recalled, originals, levels=stored.levels),
        identified(recalled, index, stored.patterns),
        (found == originals).all(-1),
        originals,
        cues,
        recalled,
        found,
        time.perf_counter() - start,
    )
