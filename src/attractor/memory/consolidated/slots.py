"""Slots of merged key-value pairs: the state of a consolidated memory (He et al. 2024, CAMELoT).

A slot holds the mean key `K`, the mean value `V` and the mean position `p` of the `c` tokens merged in it. A slot with `c = 0` is
empty. All tensors may have leading dimensions `(...)`, of sequences, layers and heads, and every entry of those is a store of its
own. Keys, values and positions are running means and stay in float32 or better: in bfloat16 a mean of 1,500 tokens is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, Self, get_args

import torch
from torch import Tensor

from attractor.validation import check_count

Measure = Literal["cosine", "dot", "l2"]
MEASURES = get_args(Measure)


@dataclass(eq=False)
class Slots:
    """`M` slots for each entry of the leading dimensions.

    Attributes:
        keys: `(..., M, D)`, mean key of each slot.
        values: `(..., M, E)`, mean value.
        counts: `(..., M)` int64, how many tokens a slot stands for; 0 is empty.
        last: `(..., M)` int64, running number of the token that changed the slot last.
        positions: `(..., M)`, mean position.
        written: `(...)` int64, tokens written so far.
        threshold: `(...)`, R: a token merges where its similarity to the best slot is above it. Infinite: tokens never merge.
        centre: `(..., D)`, mean of all keys written, where the rule of writing asks for it.
        pinned: the first so many tokens stay as they are: never merged with, never replaced.

    Example:
        >>> slots = Slots.empty((2,), slots=4, key_dim=3, value_dim=5)
        >>> slots.keys.shape, slots.used.tolist()
        (torch.Size([2, 4, 3]), [0, 0])
    """

    keys: Tensor
    values: Tensor
    counts: Tensor
    last: Tensor
    positions: Tensor
    written: Tensor
    threshold: Tensor
    centre: Tensor
    pinned: int = 0

    @classmethod
    def empty(
        cls,
        lead: tuple[int, ...],
        slots: int,
        key_dim: int,
        value_dim: int,
        *,
        threshold: float | None = None,
        pinned: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Self:
        """`slots` empty slots for each entry of the leading dimensions `lead`; `threshold=None` never merges.

        Raises:
            TypeError, ValueError: a number or width below 1, no slot that is not pinned, or a threshold that is not finite.
        """
        for name, count in (("slots", slots), ("key_dim", key_dim), ("value_dim", value_dim)):
            check_count(name, count)
        check_count("pinned", pinned, 0)
        if pinned >= slots:
            raise ValueError(f"pinned must be below the {slots} slots, got {pinned}")
        if threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"threshold must be finite, or None to never merge, got {threshold!r}")
        zeros, nothing = torch.zeros(*lead, slots, dtype=dtype, device=device), torch.zeros(lead, dtype=torch.int64, device=device)
        return cls(
            keys=zeros.new_zeros(*lead, slots, key_dim),
            values=zeros.new_zeros(*lead, slots, value_dim),
            counts=torch.zeros_like(zeros, dtype=torch.int64),
            last=torch.full_like(zeros, -1, dtype=torch.int64),
            positions=zeros,
            written=nothing,
            threshold=torch.full_like(nothing, math.inf if threshold is None else threshold, dtype=dtype),
            centre=zeros.new_zeros(*lead, key_dim),
            pinned=pinned,
        )

    @property
    def lead(self) -> torch.Size:
        """The leading dimensions."""
        return self.written.shape

    @property
    def occupied(self) -> Tensor:
        """`(..., M)` Boolean, which slots hold something."""
        return self.counts > 0

    @property
    def used(self) -> Tensor:
        """`(...)` how many slots hold something."""
        return self.occupied.sum(-1)

    @property
    def ages(self) -> Tensor:
        """`(..., M)` tokens written since the last change of each slot; -1 for an empty slot."""
        return torch.where(self.occupied, self.written[..., None] - 1 - self.last, -1)

    @property
    def evicted(self) -> Tensor:
        """`(...)` tokens written that are in no slot: replaced, or dropped."""
        return self.written - self.counts.sum(-1)

    @property
    def movable(self) -> Tensor:
        """`(..., M)` which slots tokens may merge with: occupied and not pinned."""
        index = torch.arange(self.counts.shape[-1], device=self.counts.device)
        return self.occupied & (index >= self.pinned)

    def similarity(self, keys: Tensor, measure: Measure = "cosine", *, centred: bool = False) -> Tensor:
        """Similarity `(..., T, M)` of `keys (..., T, D)` to every slot: cosine, dot product or minus the squared distance.

        `centred` takes the mean of all keys written from both sides first.
        """
        ours, theirs = self.keys, keys.to(self.keys.dtype)
        if centred:
            ours, theirs = ours - self.centre[..., None, :], theirs - self.centre[..., None, :]
        return compared(theirs, ours, measure)

    def flat(self) -> Slots:
        """The same memory seen with one leading dimension `(N,)`: what is written there is written here."""
        count = self.written.numel()
        return self.map(lambda value: value.view(count, *value.shape[len(self.lead) :]))

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "pinned"}

    def take(self, rows: Tensor) -> Slots:
        """A copy with `rows (n,)` of the first leading dimension."""
        return self.map(lambda value: value.index_select(0, rows))

    def map(self, change: Callable[[Tensor], Tensor]) -> Slots:
        """The slots with every tensor changed."""
        return self.filled({name: change(value) for name, value in self.tensors().items()})

    def moved(self, change: Callable[[Tensor], Tensor]) -> Slots:
        """The slots as the `.to(...)` of a module changes them, in float32 or better whatever is asked for."""

        def kept(value: Tensor) -> Tensor:
            after = change(value)
            wide = torch.promote_types(after.dtype, torch.float32) if after.is_floating_point() else after.dtype
            return after if after.dtype == wide else value.to(after.device, wide)

        return self.map(kept)

    def filled(self, tensors: Mapping[str, Tensor]) -> Slots:
        """Slots with these tensors, by name."""
        return Slots(**tensors, pinned=self.pinned)


def check_measure(measure: str) -> None:
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {MEASURES}, got {measure!r}")


def compared(theirs: Tensor, ours: Tensor, measure: Measure) -> Tensor:
    """Similarity `(..., T, M)` of `theirs (..., T, D)` to `ours (..., M, D)`."""
    scores = theirs @ ours.mT
    if measure == "dot":
        return scores
    squares, given = ours.square().sum(-1)[..., None, :], theirs.square().sum(-1, keepdim=True)
    if measure == "l2":
        return 2 * scores - squares - given
    return scores / (squares.sqrt() * given.sqrt()).clamp_min(torch.finfo(scores.dtype).tiny)
