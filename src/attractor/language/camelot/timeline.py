"""Where every sequence of a batch stands: tokens seen, which of them are kept exactly, and which leave next.

All layers of a model share this. Positions count the tokens of a sequence from 0; the position that a model is given is that minus
the origin of the sequence, which moves on so that no model sees a place beyond its context.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Chosen(NamedTuple):
    """Some columns of each row: `columns (B, n)`, and which of them count, `there (B, n)`."""

    columns: Tensor
    there: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """The chosen columns of `rows (B, T)`."""
        return rows.gather(1, self.columns)

    def of_heads(self, vectors: Tensor) -> Tensor:
        """The chosen tokens of `vectors (B, h, T, D)`."""
        heads, width = vectors.shape[1], vectors.shape[3]
        return vectors.gather(2, self.columns[:, None, :, None].expand(-1, heads, -1, width))


@dataclass(eq=False)
class Timeline:
    """The state of `B` sequences.

    Attributes:
        seen: `(B,)` tokens read so far.
        origin: `(B,)` the position that the model is told is 0.
        positions: `(B, R)` of the tokens kept exactly.
        newest: `(B, R)` the furthest position that the model was told in the pass in which they were read.
        there: `(B, R)` which of those columns hold a token.
    """

    seen: Tensor
    origin: Tensor
    positions: Tensor
    newest: Tensor
    there: Tensor

    @classmethod
    def start(cls, batch: int, device: torch.device) -> Self:
        """`batch` sequences that have read nothing."""
        nothing, columns = (torch.zeros(shape, dtype=torch.int64, device=device) for shape in ((batch,), (batch, 0)))
        return cls(nothing, nothing.clone(), columns, columns.clone(), columns.bool())

    @property
    def exact(self) -> Tensor:
        """`(B,)` tokens kept exactly."""
        return self.there.sum(1)

    def ahead(self, count: int) -> Tensor:
        """Positions `(B, count)` of the next tokens."""
        return self.seen[:, None] + torch.arange(count, device=self.seen.device)

    def take(self, rows: Tensor) -> Timeline:
        """A copy with these rows."""
        return Timeline(*(getattr(self, field.name).index_select(0, rows) for field in fields(self)))

    def step(self, new: Tensor, newest: Tensor, keep: int, limit: int) -> Step:
        """What happens once the tokens `new (B, T)`, True where there is one, are read in a pass that goes up to `newest ()`: of
        the exact tokens, where there are more than `limit`, the oldest leave until `keep` are left."""
        # padding stands where the token before it does, no further than the pass went
        positions = torch.cat([self.positions, self.seen[:, None] + new.cumsum(1) - 1], 1)
        passes = torch.cat([self.newest, newest.to(self.newest).expand(new.shape)], 1)
        there = torch.cat([self.there, new], 1)
        count = there.sum(1, keepdim=True)
        leaving = there & (there.cumsum(1) <= torch.where(count > limit, count - keep, 0))
        leave, stay = choose(leaving), choose(there & ~leaving)
        after = Timeline(self.seen + new.sum(1), self.origin, stay.of(positions), stay.of(passes), stay.there)
        return Step(leave, leave.of(positions), leave.of(passes), None if bool((there & ~leaving).all()) else stay, after)


class Step(NamedTuple):
    """Which of the exact and the new tokens leave, at which `positions (B, n)`, read in passes up to `newest (B, n)`; which stay,
    None for all; and the state after."""

    leave: Chosen
    positions: Tensor
    newest: Tensor
    stay: Chosen | None
    after: Timeline


def choose(mask: Tensor) -> Chosen:
    """The columns where `mask (B, T)` is True, in their order, padded behind."""
    counts = mask.sum(1)
    most = int(counts.max()) if len(counts) else 0
    index = (~mask).long().argsort(dim=1, stable=True)[:, :most]
    return Chosen(index, torch.arange(most, device=mask.device) < counts[:, None])
