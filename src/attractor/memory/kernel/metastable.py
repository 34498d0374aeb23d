"""Where recalls come to rest: on one memory or between several, and whether it is the right one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.memory.descent import Way, descend
from attractor.memory.landscape import Landscape
from attractor.read import Block, Read, Separation, SoftMax
from attractor.read.similarity import widened
from attractor.read.sparse import Sparse, TopK

CUES_AT_ONCE = 256
LEAST_WEIGHT = 0.01
"""Of a memory that counts as part of a state under a soft-max, also that over the `k` best; sparse weights count where not zero."""


@dataclass(frozen=True, eq=False)
class Metastable:
    """The states in which recalls of `b` cues came to rest.

    A state on one memory may be a state on the wrong one: sizes are always shown beside correctness.

    Attributes:
        size: `(b,)` how many memories share the weight, 1 for a single one.
        correct: `(b,)` whether the memory of the largest weight is the right one.
    """

    size: Tensor
    correct: Tensor

    @property
    def single(self) -> float:
        """The share of cues that came to rest at one memory."""
        return float((self.size == 1).float().mean())

    @property
    def identified(self) -> float:
        """The share of cues that came to rest nearest to the right memory."""
        return float(self.correct.float().mean())

    def __repr__(self) -> str:
        mean = float(self.size.float().mean())
        return f"Metastable({self.single:.1%} at a single memory, mean size {mean:.3g}; {self.identified:.1%} at the right one)"


@torch.no_grad()
def metastable(landscape: Landscape, states: Tensor, index: Tensor, known: Tensor | None, way: Way) -> Metastable:
    """Let `states (b, d)`, made from the memories with ids `index (b,)`, come to rest."""
    sizes, winners = [], []
    masks = [None] * -(-len(states) // CUES_AT_ONCE) if known is None else known.split(CUES_AT_ONCE)
    for some, mask in zip(states.split(CUES_AT_ONCE), masks, strict=True):
        end = descend(landscape, widened(some), mask, way)
        sizes.append(support(landscape, end.states))
        winners.append(end.winners)
    right, won = (landscape.bank.get(ids).patterns for ids in (index, torch.cat(winners)))
    return Metastable(torch.cat(sizes), (right == won).all(-1))


def support(landscape: Landscape, states: Tensor) -> Tensor:
    """How many memories `(b,)` share the weight of each state."""
    read, separation = landscape.question(states), landscape.separation
    partial = landscape.bank.fold(read)
    if isinstance(separation, Sparse):
        least = LEAST_WEIGHT if isinstance(separation, TopK) else 0
        return (separation.weights(partial.body.scores, partial.body.ids) > least).sum(-1)
    potential = read.finish(partial).potential
    return sum_of_heavy(landscape, read, separation, potential)


def sum_of_heavy(landscape: Landscape, read: Read, separation: Separation, potential: Tensor) -> Tensor:
    """How many weights `exp(beta (s - Psi))` of the soft-max exceed the least that counts."""
    assert isinstance(separation, SoftMax)
    count = torch.zeros(len(read.cues), dtype=torch.int64, device=read.cues.device)
    for block in landscape.bank.blocks(read.rows_per_block):
        scores = read.similarity.relative(read.prepared, Block(block.ids, widened(block.patterns))) + read.prepared.offset
        count += (separation.logits(scores - potential[:, None]).exp() > LEAST_WEIGHT).sum(-1)
    return count
