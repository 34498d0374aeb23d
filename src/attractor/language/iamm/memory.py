"""The iterative memory of IAMM: what is associated in a dialogue, utterance by utterance (Yang et al. 2024).

`M_i = [M_{i-1}; Assoc(u_i, s); Assoc(u_i, M_{i-1}); Assoc(u_i, H_{i-1})]` and `H_i = [H_{i-1}; u_i]`, with utterances `u`, the
situation `s`, memory `M` and history `H`; the first utterance is associated with the situation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from attractor.language.iamm.interaction import Association, AssociativeInteraction
from attractor.nn.top_k import largest
from attractor.validation import check_count

Source = Literal["situation", "memory", "history"]
WORDS, MEMORY = 0, 1
"""The relations of the interaction: with words, of the situation and the history alike, and with rows of the memory."""
SITUATION = -1
"""In the place of an utterance's number."""


class Sequences(NamedTuple):
    """Words, or rows that stand for words.

    Attributes:
        rows: `(b, n, dim)`.
        mask: `(b, n)`, False for padding.
        source: `(b, n)`, the number of the utterance that the word stands in, or `SITUATION`.
        place: `(b, n)`, its place there.
        gates: `(b, n)`, of rows; 1 for words.
    """

    rows: Tensor
    mask: Tensor
    source: Tensor
    place: Tensor
    gates: Tensor

    def joined(self, *others: Sequences) -> Sequences:
        return Sequences(*(torch.cat(parts, 1) for parts in zip(self, *others, strict=True)))

    def at(self, places: Tensor) -> Sequences:
        """Those at `places (b, m)`."""
        rows = self.rows.gather(1, places[..., None].expand(*places.shape, self.rows.shape[-1]))
        return Sequences(rows, *(part.gather(1, places) for part in self[1:]))


class Read(NamedTuple):
    """One association of the loop: utterance `number` with the `source`, what was found, and the two sequences."""

    number: int
    source: Source
    found: Association
    own: Sequences
    other: Sequences


class AssociatedMemory(NamedTuple):
    """The memory after the last utterance, and how it came about. A row stands for the word that it belongs to."""

    memory: Sequences
    reads: tuple[Read, ...]


class IterativeMemory(nn.Module):
    """Collects what is associated with each utterance in turn.

    The memory has `2 heads keep` rows after the first utterance and `6 heads keep` more after each further one.

    Args:
        interaction: with two relations, for words and for the memory.
        capacity: most rows that are kept; the ones with the smallest gates are dropped after each utterance. Default: all are kept.

    Raises:
        TypeError, ValueError: no interaction, another number of relations, or a capacity below 1.

    Example:
        >>> memory = IterativeMemory(AssociativeInteraction(16, depth=8, partners=3, keep=2, relations=2))
        >>> utterances, situation = torch.randn(1, 3, 5, 16), torch.randn(1, 4, 16)
        >>> mask, known = torch.ones(1, 3, 5, dtype=torch.bool), torch.ones(1, 4, dtype=torch.bool)
        >>> memory(utterances, mask, situation, known).memory.rows.shape
        torch.Size([1, 56, 16])
    """

    def __init__(self, interaction: AssociativeInteraction, *, capacity: int | None = None):
        super().__init__()
        if not isinstance(interaction, AssociativeInteraction):
            raise TypeError(f"interaction must be an AssociativeInteraction, got {type(interaction).__name__}")
        if interaction.relations != 2:
            raise ValueError(f"interaction must have two relations, for words and for the memory, got {interaction.relations}")
        self.interaction = interaction
        self.capacity = None if capacity is None else check_count("capacity", capacity)

    def forward(self, utterances: Tensor, mask: Tensor, situation: Tensor, situation_mask: Tensor) -> AssociatedMemory:
        """Read a dialogue.

        Args:
            utterances: `(b, U, n, dim)`.
            mask: Boolean `(b, U, n)`, True for words.
            situation: `(b, m, dim)`.
            situation_mask: Boolean `(b, m)`.

        Raises:
            TypeError, ValueError: other shapes, or no utterance; else as the interaction.
        """
        if utterances.dim() != 4 or utterances.shape[1] == 0 or mask.shape != utterances.shape[:3]:
            raise ValueError(
                "utterances must have shape (b, U, n, dim) with U of at least 1, and mask (b, U, n), "
                f"got {tuple(utterances.shape)} and {tuple(mask.shape)}"
            )
        scene = words_of(situation, situation_mask, SITUATION)
        reads: list[Read] = []
        memory, history = None, None
        for number in range(utterances.shape[1]):
            own = words_of(utterances[:, number], mask[:, number], number)
            new = [self._read(number, "situation", own, scene)]
            if memory is not None and history is not None:
                new += [self._read(number, "memory", own, memory), self._read(number, "history", own, history)]
            rows = [rows_of(read) for read in new]
            memory = rows[0].joined(*rows[1:]) if memory is None else memory.joined(*rows)
            memory = memory if self.capacity is None else bounded(memory, self.capacity)
            history = own if history is None else history.joined(own)
            reads += new
        assert memory is not None
        return AssociatedMemory(memory, tuple(reads))

    def _read(self, number: int, source: Source, own: Sequences, other: Sequences) -> Read:
        relation = MEMORY if source == "memory" else WORDS
        return Read(number, source, self.interaction(own.rows, other.rows, own.mask, other.mask, relation=relation), own, other)


def words_of(rows: Tensor, mask: Tensor, source: int) -> Sequences:
    """The words of an utterance, or of the situation."""
    place = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return Sequences(rows, mask, torch.full_like(place, source), place, torch.ones_like(rows[..., 0]))


def rows_of(read: Read) -> Sequences:
    """What a read adds to the memory: first rows of words of the utterance, then of the other side."""
    found = read.found
    half = found.words.shape[1] // 2
    sides = zip((read.own, read.other), found.words.split(half, 1), strict=True)
    source, place = (torch.cat(parts, 1) for parts in zip(*(origins(side, words) for side, words in sides), strict=True))
    return Sequences(found.rows, found.mask, source, place, found.gates)


def origins(side: Sequences, words: Tensor) -> tuple[Tensor, Tensor]:
    """Source and place of what stands at `words (b, r)` of a side."""
    return side.source.gather(1, words), side.place.gather(1, words)


def bounded(memory: Sequences, capacity: int) -> Sequences:
    """The `capacity` rows with the largest gates, in their order; missing rows go first."""
    if memory.mask.shape[1] <= capacity:
        return memory
    return memory.at(largest(memory.gates.masked_fill(~memory.mask, -1), capacity).sort(-1).values)


def both(memories: Sequence[Sequences]) -> tuple[Tensor, Tensor]:
    """Rows and masks of memories, one after the other."""
    return torch.cat([one.rows for one in memories], 1), torch.cat([one.mask for one in memories], 1)
