"""The iterative memory of IAMM: what is associated in a dialogue, utterance by utterance (Yang et al. 2024).

`M_i = [M_{i-1}; Assoc(u_i, s); Assoc(u_i, M_{i-1}); Assoc(u_i, H_{i-1})]` and `H_i = [H_{i-1}; u_i]`, with utterances `u`, the
situation `s`, memory `M` and history `H`; the first utterance is associated with the situation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from attractor.language.iamm.config import IAMMConfig
from attractor.language.iamm.interaction import Association, AssociativeInteraction, checked
from attractor.nn.top_k import largest
from attractor.validation import check_count, finite

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

    def span(self, start: int, stop: int) -> Sequences:
        """Those from `start` to `stop`, without a copy."""
        return Sequences(*(part[:, start:stop] for part in self))

    @property
    def origin(self) -> Origin:
        return Origin(self.mask, self.source, self.place)


class Origin(NamedTuple):
    """What stands where in a sequence: its `mask`, `source` and `place`, without the rows."""

    mask: Tensor
    source: Tensor
    place: Tensor


class Read(NamedTuple):
    """One association of the loop: utterance `number` with the `source`, what was found, and what the two sequences stand for."""

    number: int
    source: Source
    found: Association
    own: Origin
    other: Origin


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
            The history, and what is told of each read, still grow with the dialogue.

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

    def forward(
        self, utterances: Tensor, mask: Tensor | None, situation: Tensor, situation_mask: Tensor | None = None
    ) -> AssociatedMemory:
        """Read a dialogue.

        Args:
            utterances: `(b, U, n, dim)`.
            mask: Boolean `(b, U, n)`, True for words. None: all are words.
            situation: `(b, m, dim)`.
            situation_mask: Boolean `(b, m)`. Default: all are words.

        Raises:
            TypeError: no tensors, or a mask that is not Boolean.
            ValueError: other shapes, another precision or device than the weights', words that are not finite, or too large for
                finite scores.
        """
        weight = self.interaction.query
        utterances, mask = checked("utterances", utterances, mask, weight, mask_name="mask", utterances=True)
        situation, situation_mask = checked("situation", situation, situation_mask, weight)
        if len(situation) != len(utterances):
            raise ValueError(f"situation must have as many dialogues as utterances, {len(utterances)}, got {len(situation)}")
        found = self.collect(utterances, mask, situation, situation_mask)
        if not finite(found.memory.rows):
            raise ValueError(
                f"utterances and situation must have finite scores with these weights in {weight.dtype}, scale them down"
            )
        return found

    def collect(self, utterances: Tensor, mask: Tensor, situation: Tensor, situation_mask: Tensor) -> AssociatedMemory:
        """The same without checks, of words that are zero at padding."""
        scene = words_of(situation[:, None], situation_mask[:, None], SITUATION)
        said, length = words_of(utterances, mask), mask.shape[2]
        reads: list[Read] = []
        memory = None
        for number in range(mask.shape[1]):
            history, own = said.span(0, number * length), said.span(number * length, (number + 1) * length)
            new = [self._read(number, "situation", own, scene)]
            if memory is not None:
                new += [self._read(number, "memory", own, memory), self._read(number, "history", own, history)]
            rows = [rows_of(read) for read in new]
            memory = rows[0].joined(*rows[1:]) if memory is None else memory.joined(*rows)
            memory = memory if self.capacity is None else bounded(memory, self.capacity)
            reads += new
        assert memory is not None
        return AssociatedMemory(memory, tuple(reads))

    def _read(self, number: int, source: Source, own: Sequences, other: Sequences) -> Read:
        relation = MEMORY if source == "memory" else WORDS
        found = self.interaction.associate(own.rows, other.rows, own.mask, other.mask, relation)
        return Read(number, source, found, own.origin, other.origin)


def words_of(rows: Tensor, mask: Tensor, first: int = 0) -> Sequences:
    """The words of texts `(b, U, n, dim)`, one text after the other; their sources are numbered from `first`."""
    count, length = mask.shape[1:]
    source = torch.arange(first, first + count, device=mask.device).repeat_interleave(length)
    place = torch.arange(length, device=mask.device).repeat(count)
    words, flat = rows.flatten(1, 2), mask.flatten(1)
    return Sequences(words, flat, source.expand_as(flat), place.expand_as(flat), torch.ones_like(words[..., 0]))


def rows_of(read: Read) -> Sequences:
    """What a read adds to the memory: first rows of words of the utterance, then of the other side."""
    found = read.found
    half = found.words.shape[1] // 2
    sides = zip((read.own, read.other), found.words.split(half, 1), strict=True)
    source, place = (torch.cat(parts, 1) for parts in zip(*(origins(side, words) for side, words in sides), strict=True))
    return Sequences(found.rows, found.mask, source, place, found.gates)


def origins(side: Origin, words: Tensor) -> tuple[Tensor, Tensor]:
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


def memory_of(config: IAMMConfig, partners: int, generator: torch.Generator) -> IterativeMemory:
    interaction = AssociativeInteraction(
        config.dim,
        heads=config.heads,
        depth=config.depth,
        partners=partners,
        keep=config.keep,
        relations=2,
        selection=config.selection,
        generator=generator,
    )
    return IterativeMemory(interaction, capacity=config.capacity)
