"""Squared lengths of the rows of a bank on disk, kept in memory as far as there is room."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from attractor.bank.segments import Segment
from attractor.read import Block

LARGEST = 2**26
"""Bytes of squared lengths that a bank keeps once it has read the rows; beyond, they are found anew in each fold."""


class Norms:
    """Squared lengths by the numbers of segments."""

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}

    def __contains__(self, segment: Segment) -> bool:
        return len(self._kept.get(segment.number, ())) == segment.rows

    def keep(self, segments: Iterable[Segment]) -> None:
        """Let go of all but those of `segments`."""
        numbers = {segment.number for segment in segments}
        self._kept = {number: norms for number, norms in self._kept.items() if number in numbers}

    def of(self, segment: Segment, patterns: Tensor) -> Tensor | None:
        """The squared lengths of a segment's rows, `patterns`; None where there is no room to keep them, or rows are lost."""
        kept = self._kept.get(segment.number, torch.empty(0))[: segment.rows]
        if len(kept) < len(patterns) == segment.rows and patterns.element_size() >= 4:
            if sum(norms.nbytes for norms in self._kept.values()) > LARGEST:
                return None
            kept = self._kept[segment.number] = torch.cat([kept.to(patterns.dtype), squared_norms(patterns[len(kept) :])])
        return kept if len(kept) == len(patterns) > 0 else None


def squared_norms(patterns: Tensor) -> Tensor:
    """`|xi|^2 (n,)` in one pass, without a matrix of squares."""
    return torch.linalg.vector_norm(patterns, dim=-1).square()


def with_norms(block: Block) -> Block:
    if block.norms is not None or block.patterns.element_size() < 4:
        return block
    return Block(block.ids, block.patterns, block.values, squared_norms(block.patterns))
