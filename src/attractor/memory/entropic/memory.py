"""Entropic associative memory (Pineda, Fuentes and Morales 2021; with weights: Hernandez, Morales and Pineda 2024).

All patterns overlap in one table of weights, which keeps none of them. Recognition asks the table whether it holds a cue and needs
no search; retrieval draws a new pattern between the cue and what the table holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from attractor.memory.base import Domain, IfPresent, register
from attractor.memory.counting import refuse_items
from attractor.memory.entropic.codes import codes_of
from attractor.memory.entropic.recognition import Recognition
from attractor.memory.entropic.registers import EntropicRegisters, Retrieval, Settings
from attractor.memory.entropic.table import TableMemory
from attractor.memory.recall import Recall, Trace
from attractor.validation import check_count, check_floating, check_shape

NUMBERS_PER_BATCH = 2**23


@register("entropic")
class EntropicMemory(TableMemory):
    """The entropic associative memory, with weights.

    Patterns are whole numbers from 0 to `m - 1`. Real ones come through an encoder: `Encoded(EntropicMemory(784, 16),
    Quantise(16))` for pixels in [0, 1], and `entropic_system` for the codes of an encoder of images.

    It keeps counts, not patterns: `Recall.index`, `score` and `margin` are None, and `accepted` says what was recognised. There is
    no energy. The operations of the paper, on integers with -1 for undefined columns, are `recognise`, `retrieve` and `entropy`.
    A retrieval draws each column by itself: it resembles the cue and what is stored, is in general no stored pattern, and is not
    nearer to one than the cue was. Patterns of many values that are seldom alike need a larger `xi` or fewer levels.

    Args:
        n: width of a pattern, columns.
        m: number of levels, rows.
        iota: a cell counts as in memory from this share of the mean weight of the used cells of its column. Default: 0.
        kappa: the mean weight of a cue must reach this share of the mean of those means. Default: 0.
        xi: how many columns may miss, 0 to `n`. Default: 0.
        sigma: standard deviation of retrieval around the cue, as a share of `m`. None draws as the table of bits of 2021 does,
            which has no width: by a triangle over the run of used cells around the cue. Default: 0.025.
        cap: the largest weight; 1 gives a table of bits. Default: 1023.
        undefined: `"ignore"`: undefined columns are no evidence, and means run over the defined ones; `"miss"`: each one misses,
            and weighs 0. Default: `"ignore"`.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> memory = EntropicMemory(4, 8, sigma=0.05)
        >>> ids = memory.store(torch.tensor([[0.0, 2.0, 4.0, 7.0], [1.0, 2.0, 5.0, 7.0]]))
        >>> found = memory.recall(torch.tensor([[1.0, 2.0, 4.0, 7.0], [7.0, 7.0, 0.0, 0.0]]))
        >>> found.accepted.tolist(), float(memory.entropy())
        ([True, False], 0.5)
    """

    settings = ("n", "m", *Settings.__annotations__)

    def __init__(self, n: int, m: int, **settings: Unpack[Settings]):
        registers = EntropicRegisters(1, n, m, **settings)
        super().__init__(registers, registers.n, Domain("levels", registers.m))

    @property
    def weights(self) -> Tensor:
        """The table `(n, m)`, int32."""
        return self.registers.weights[0]

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
        *,
        known: Tensor | None = None,
    ) -> Tensor:
        """Register patterns; call again to add more. Their order does not matter.

        Args:
            patterns: `(b, n)` of whole numbers from 0 to `m - 1`, floating point.
            values: refused; `EntropicRelation` stores pairs.
            metadata: refused, as there are no items to keep it beside.
            if_present: `"add"` only: a table cannot tell what is in it.
            known: `(b, n)`, True where a pattern is defined; it is registered there only.

        Returns:
            running numbers `(b,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity, or an argument that does not apply; nothing is stored
                then.
        """
        if values is not None:
            raise TypeError(f"values must be None: a {type(self).__name__} recalls patterns; EntropicRelation stores pairs")
        refuse_items(self, metadata, if_present)
        self.registers.register(codes_of("patterns", patterns, self.domain, self.dim, known))
        return self._count_in(patterns)

    def forget(self, patterns: Tensor, *, known: Tensor | None = None) -> None:
        """Take `patterns (b, n)`, stored ones, out of the table again: exactly, as long as no weight of theirs is at the cap.

        Raises:
            TypeError: ids came instead of patterns.
            ValueError: wrong shape or entries, patterns that are not stored, or cells at the cap; nothing is forgotten then.
        """
        self._refuse_ids(patterns)
        codes = codes_of("patterns", patterns, self.domain, self.dim, known)
        self._refuse_more_than_stored(patterns)
        self.registers.unregister(codes)
        self._count_out(patterns)

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        deterministic: bool = False,
        trace: bool = False,
        batch_size: int | None = None,
    ) -> Recall:
        """Recognise the cues, and retrieve patterns like those that are accepted.

        A column that holds nothing stays as the cue has it. What is unknown of a refused cue, or of such a column, comes back as
        the level of that column's largest weight.

        Args:
            cues: `(b, n)` of whole numbers from 0 to `m - 1`; what stands at unknown entries is never read.
            known: `(b, n)`, True where a cue is trusted. Known entries never change, the others are drawn by their weights.
                Default: all entries are evidence, and all are drawn.
            generator: of the draws. Default: a new one with seed 0, so that the same call gives the same patterns.
            deterministic: take the most probable level of each column instead.
            trace: keep the state before and after the retrieval, or after it where a mask was given.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity where trusted, a row with nothing known, or an empty
                memory.
        """
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        codes = codes_of("cues", cues, self.domain, self.dim, known)
        size = max(1, NUMBERS_PER_BATCH // self.dim) if batch_size is None else check_count("batch_size", batch_size)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        parts = []
        for some, given, mask in zip(codes.split(size), cues.split(size), split(known, cues, size), strict=True):
            found = self.registers.retrieve(some, generator=generator, deterministic=deterministic)
            parts.append(self._recall(found, given, mask, trace))
        return Recall.join(parts)

    def recognise(self, codes: Tensor) -> Recognition:
        """What the table says of objects, `(b,)` each; without any stored, it accepts none.

        Args:
            codes: `(b, n)`, an integer tensor, -1 where undefined.

        Raises:
            TypeError, ValueError: wrong shape, type or values.

        Example:
            >>> memory = EntropicMemory(3, 4, xi=1)
            >>> ids = memory.store(torch.tensor([[0.0, 1.0, 2.0]]))
            >>> memory.recognise(torch.tensor([[0, 1, 2], [0, 1, 3], [0, 3, 3]])).misses.tolist()
            [0, 1, 2]
        """
        found = self.registers.recognise(codes)
        return Recognition(*(each[:, 0] for each in found))

    def retrieve(self, codes: Tensor, *, generator: torch.Generator | None = None, deterministic: bool = False) -> Retrieval:
        """Objects like the cues, with columns drawn anew whether they are defined or not.

        Args:
            codes: `(b, n)`, an integer tensor, -1 where undefined.
            generator, deterministic: as for `recall`.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        return self.registers.retrieve(codes, generator=generator, deterministic=deterministic)

    def _recall(self, found: Retrieval, cues: Tensor, known: Tensor | None, keep_trace: bool) -> Recall:
        """What was retrieved in place of the cues, but where they are known."""
        held = cues if known is None else torch.where(known, cues, self.weights.argmax(-1).to(cues))
        patterns = torch.where(found.codes < 0, held, found.codes.to(cues.dtype))
        patterns = patterns if known is None else torch.where(known, cues, patterns)
        trace = None
        if keep_trace:
            trace = Trace(torch.stack([cues, patterns]) if known is None else patterns[None], None)
        accepted = found.accepted
        return Recall(patterns, None, None, None, accepted, None, accepted.long(), torch.ones_like(accepted), trace)


def split(known: Tensor | None, cues: Tensor, size: int) -> Sequence[Tensor | None]:
    """The mask of each batch of cues."""
    return [None] * len(cues.split(size)) if known is None else known.split(size)
