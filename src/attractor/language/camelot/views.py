"""What a layer remembers, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from attractor.language.camelot.reading import LayerReader


@dataclass(frozen=True, eq=False)
class SlotView:
    """The slots of one layer; copies. `H` is the number of key-value heads, 1 where the heads of a layer share their slots.

    Attributes:
        keys: `(B, H, M, D)`, mean keys, not rotated.
        values: `(B, H, M, E)`, mean values.
        counts: `(B, H, M)`, how many tokens each slot stands for; 0 is empty.
        ages: `(B, H, M)`, tokens written since the slot changed; -1 where it is empty.
        positions: `(B, H, M)`, mean position of its tokens in the text.
        written: `(B, H)`, tokens that have left the recent ones.
        threshold: `(B, H)`, the similarity above which tokens merge; infinite where they do not, or not yet.
        recent: tokens that are kept exactly, of the longest sequence.
        read: `(B, heads, M)`, the share of its attention that a mean token of the last pass gave each slot; None where the session
            does not watch, or nothing has been read yet.
    """

    keys: Tensor
    values: Tensor
    counts: Tensor
    ages: Tensor
    positions: Tensor
    written: Tensor
    threshold: Tensor
    recent: int
    read: Tensor | None


def slot_view(reader: LayerReader) -> SlotView:
    """What the layer of a reader remembers.

    Raises:
        ValueError: it has no slots, or none yet.
    """
    group = reader.group
    if group.slots is None:
        raise ValueError(
            f"layer {reader.layer.index} has no slots"
            + (" yet: every token is recent" if group.merges else ", by the settings or as its sliding window would see none")
        )
    slots = group.part(reader.place)
    recent = 0 if group.keys is None else group.keys.shape[2]
    return SlotView(
        keys=slots.keys.clone(),
        values=slots.values.clone(),
        counts=slots.counts.clone(),
        ages=slots.ages,
        positions=slots.positions.clone(),
        written=slots.written.clone(),
        threshold=slots.threshold.clone(),
        recent=recent,
        read=None if reader.read is None else reader.read.clone(),
    )
