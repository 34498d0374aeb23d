"""A block: some stored rows, as a fold sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Block:
    """Stored rows: `ids (n,)` int64, `patterns (n, d)`, `values (n, e)` or None where the patterns are read out themselves.

    `norms` are the squared lengths `(n,)` of the patterns when the bank keeps them; otherwise they are computed on first use.
    """

    ids: Tensor
    patterns: Tensor
    values: Tensor | None = None
    norms: Tensor | None = None

    def __len__(self) -> int:
        return len(self.patterns)

    @cached_property
    def squared_norms(self) -> Tensor:
        """`|xi|^2 (n,)`."""
        return self.patterns.square().sum(-1) if self.norms is None else self.norms

    def rows(self, index: Tensor | slice) -> Block:
        """The block of the rows at `index`."""
        return Block(
            self.ids[index],
            self.patterns[index],
            None if self.values is None else self.values[index],
            None if self.norms is None else self.norms[index],
        )
