"""The slots of CAMELoT as a memory by itself (He et al. 2024).

Patterns that resemble a slot merge into its mean, others take an empty slot or the one unchanged for longest. A read is one step of
a dense associative memory over the slots, each of which counts as many times as patterns were merged in it:
 `E(q) = -1/beta log sum_mu c_mu exp(beta q . K_mu)`, `read(q) = sum_mu p_mu V_mu`, `p = softmax(beta K q + log c)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor

from attractor.memory.base import IfPresent, Memory, register
from attractor.memory.consolidated.slots import Measure, Slots, check_measure
from attractor.memory.consolidated.threshold import check_threshold
from attractor.memory.consolidated.writing import WriteRule, write
from attractor.memory.counting import check_settings, refuse_items
from attractor.memory.recall import Recall
from attractor.read.block import Block
from attractor.read.fold import Read, ReadOut
from attractor.read.separation import SoftMax
from attractor.read.similarity import Dot, widened
from attractor.validation import (
    check_count,
    check_finite,
    check_floating,
    check_known,
    check_like,
    check_matrix,
    check_positive,
    check_shape,
)

SETTINGS = ("dim", "slots", "threshold", "measure", "beta", "chunk")
SCORES_AT_ONCE = 2**22


@register("consolidated")
class ConsolidatedMemory(Memory):
    """A memory of a fixed number of slots in which similar patterns merge.

    It keeps means, not patterns: `Recall.index`, `score` and `margin` are None, and nothing can be taken out again. Store as much
    as you like, in as many calls as you like: when the slots are full, the one that changed least recently makes room. Lengths
    count in a read, as in attention: give patterns of about the same length, or unit vectors.

    Args:
        dim: width of a pattern.
        slots: M, how many slots.
        threshold: R, a pattern merges where its similarity to the best slot is above it: a number, in (-1, 1) for cosines and
            below 0 for `"l2"`; `"auto:0.5"` for one by which half of the first patterns would have merged; None to never merge.
        measure: similarity of a pattern with a slot when it is stored: `"cosine"`, `"dot"` or `"l2"`, minus the squared distance.
        beta: inverse temperature of a read.
        chunk: patterns that are compared with the slots at once. 1 stores one after the other; more is faster, and can differ where
            patterns of one chunk meet: they resemble each other or one slot, one replaces the slot that a later one matches, or
            more are novel than there are slots to replace.

    Raises:
        TypeError, ValueError: a width, number or chunk below 1, a threshold or measure that there is not.

    Example:
        >>> patterns = torch.nn.functional.normalize(torch.randn(3, 16, generator=torch.Generator().manual_seed(0)), dim=1)
        >>> memory = ConsolidatedMemory(16, slots=8, beta=50.0, chunk=1)
        >>> ids = memory.store(patterns.repeat(4, 1))
        >>> memory.counts.tolist(), len(memory)
        ([4, 4, 4, 0, 0, 0, 0, 0], 12)
        >>> bool(torch.allclose(memory.recall(patterns).patterns, patterns, atol=1e-3))
        True
    """

    def __init__(
        self,
        dim: int,
        *,
        slots: int = 512,
        threshold: float | str | None = 0.95,
        measure: Measure = "cosine",
        beta: float = 1.0,
        chunk: int = 32,
    ):
        super().__init__()
        check_measure(measure)
        self.dim, self.slots = check_count("dim", dim), check_count("slots", slots)
        self.threshold, self.measure = threshold, measure
        self.beta = check_positive("beta", beta)
        self.chunk = check_count("chunk", chunk)
        chosen = check_threshold(threshold, measure)
        if chosen.rate is not None and self.slots < 2:
            raise ValueError(f"slots must be at least 2 for the threshold {threshold!r}, got {slots}: it compares first patterns")
        self._limit = chosen.value
        self._rule = WriteRule(measure, chunk=self.chunk, compares=chosen.compares, rate=chosen.rate)
        self._held: Slots | None = None
        # whether values were stored beside the patterns
        self._paired = False

    def __len__(self) -> int:
        return 0 if self._held is None else int(self._held.counts.sum())

    def __repr__(self) -> str:
        used = 0 if self._held is None else int(self._held.used)
        return (
            f"{type(self).__name__}({len(self)} patterns in {used} of {self.slots} slots, dim={self.dim}, "
            f"threshold={self.threshold!r}, measure={self.measure!r}, beta={self.beta:g})"
        )

    @property
    def keys(self) -> Tensor:
        """Mean patterns `(slots, dim)`; zero where a slot is empty."""
        return self._slots().keys

    @property
    def values(self) -> Tensor:
        """Mean values `(slots, e)`, the mean patterns where no values were stored."""
        return self._slots().values

    @property
    def counts(self) -> Tensor:
        """How many patterns each slot stands for, `(slots,)` int64."""
        return self._slots().counts

    @property
    def ages(self) -> Tensor:
        """Patterns stored since each slot changed, `(slots,)` int64; -1 for an empty one."""
        return self._slots().ages

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Merge patterns into the slots, or let them replace the oldest ones; call again to store more.

        Args:
            patterns: `(n, dim)`.
            values: `(n, e)`, read out in place of the patterns; always or never.
            metadata: refused, as there are no items to keep it beside.
            if_present: `"add"` only: what is there already merges.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity, values missing or not wanted, another precision or
                device than before, or an argument that does not apply; nothing is stored then.
        """
        refuse_items(self, metadata, if_present)
        check_matrix("patterns", patterns, self.dim)
        held = self._held
        if held is not None:
            check_like("patterns", widened(patterns[:0]), held.keys.dtype, held.keys.device)
        rows = patterns if values is None else self._check_values(patterns, values)
        if held is not None and self._paired != (values is not None):
            raise ValueError(
                f"values must be given {'with every pattern' if self._paired else 'from the first pattern on or never'}"
            )
        held = self._empty(patterns, rows.shape[1]) if held is None else held
        first = int(held.written)
        numbers = torch.arange(first, first + len(patterns), device=patterns.device)
        write(held, patterns.detach(), rows.detach(), numbers, rule=self._rule)
        self._held, self._paired = held, values is not None
        return numbers

    def forget(self, ids: Tensor) -> None:
        """Refused: what is merged cannot be taken apart.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"a {type(self).__name__} cannot forget: what is merged in its slots cannot be taken apart")

    @torch.no_grad()
    def recall(self, cues: Tensor, known: Tensor | None = None, *, batch_size: int | None = None) -> Recall:
        """One read with each cue.

        Args:
            cues: `(b, dim)`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: only those entries are compared, and without values they stay.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Returns:
            The read-outs; the energy is that of what was read, or of the cue where values are read.

        Raises:
            TypeError, ValueError: wrong shape, NaN or infinity where trusted, a row with nothing known, or an empty memory.
        """
        held = self._check_cues("cues", cues, known)
        size = max(1, SCORES_AT_ONCE // self.slots) if batch_size is None else check_count("batch_size", batch_size)
        masks = [None] * len(cues.split(size)) if known is None else known.split(size)
        return Recall.join([self._recall(held, some, mask) for some, mask in zip(cues.split(size), masks, strict=True)])

    def energy(self, states: Tensor) -> Tensor:
        """`-1/beta log sum_mu c_mu exp(beta q . K_mu)` of `states (b, dim)`.

        Raises:
            TypeError, ValueError: as `recall`.
        """
        return -self._read(self._check_cues("states", states, None), states, None).potential

    @torch.no_grad()
    def assign(self, patterns: Tensor) -> tuple[Tensor, Tensor]:
        """Which slot each of `patterns (n, dim)` is most similar to, `(n,)`, and how similar, `(n,)`; nothing is stored.

        Raises:
            TypeError, ValueError: wrong shape, NaN or infinity, or an empty memory.
        """
        check_matrix("patterns", patterns, self.dim)
        held = self._check_cues("patterns", patterns, None)
        scores = held.similarity(patterns, self.measure).masked_fill(~held.occupied, -torch.inf)
        best, slot = scores.max(-1)
        return slot, best

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        return cls(**check_settings(configuration, SETTINGS))

    def contents(self) -> dict[str, Tensor]:
        if self._held is None:
            return {}
        return self._held.tensors() | {"paired": torch.tensor(self._paired)}

    def restore(self, contents: dict[str, Tensor]) -> None:
        if not contents:
            return
        paired = contents.get("paired")
        width = contents["values"].shape[-1] if contents.get("values", torch.empty(0)).dim() == 2 else self.dim
        example = contents.get("keys", torch.empty(0))
        empty = self._empty(example, width) if example.is_floating_point() else None
        expected = {} if empty is None else empty.tensors()
        given = {name: value for name, value in contents.items() if name != "paired"}
        same = set(given) == set(expected) and all(
            given[name].shape == value.shape and given[name].dtype == value.dtype for name, value in expected.items()
        )
        if paired is None or paired.dtype != torch.bool or empty is None or not same:
            raise ValueError(f"contents must be the tensors of {self.slots} slots of width {self.dim}, got {sorted(contents)}")
        self._held, self._paired = empty.filled(given), bool(paired)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ConsolidatedMemory:
        super()._apply(fn, recurse)
        if self._held is not None:
            self._held = self._held.moved(fn)
        return self

    def _slots(self) -> Slots:
        return self._empty(torch.empty(0), self.dim) if self._held is None else self._held

    def _empty(self, like: Tensor, width: int) -> Slots:
        kind = {"dtype": torch.promote_types(like.dtype, torch.float32), "device": like.device}
        return Slots.empty((), self.slots, self.dim, width, threshold=self._limit, **cast(Any, kind))

    def _recall(self, held: Slots, cues: Tensor, known: Tensor | None) -> Recall:
        found = self._read(held, cues, known)
        if self._paired:
            patterns, energy = found.values.to(cues.dtype), -found.potential
        else:
            patterns = found.values.to(cues.dtype)
            patterns = patterns if known is None else torch.where(known, cues, patterns)
            energy = -self._read(held, patterns, None).potential
        every = torch.ones(len(cues), dtype=torch.bool, device=cues.device)
        return Recall(patterns, None, None, None, every, energy, every.long(), every.clone())

    def _read(self, held: Slots, cues: Tensor, known: Tensor | None) -> ReadOut:
        """One read of the occupied slots; `log c` is one more entry of a key, which every cue knows to be 1."""
        there = held.occupied.nonzero().flatten()
        keys, weight = held.keys[there], held.counts[there].to(held.keys.dtype).log() / self.beta
        block = Block(there, torch.cat([keys, weight[:, None]], 1), held.values[there])
        one = cues.new_ones(len(cues), 1).to(keys.dtype)
        asked = torch.cat([cues.to(keys.dtype), one], 1)
        trusted = None if known is None else torch.cat([known, one > 0], 1)
        read = Read(Dot(), SoftMax(self.beta), asked, trusted, project="values")
        return read.finish(read.fold([block]))

    def _check_values(self, patterns: Tensor, values: Tensor) -> Tensor:
        check_matrix("values", values, self._held.values.shape[1] if self._held is not None and self._paired else None)
        check_like("values", values, patterns.dtype, patterns.device)
        if len(values) != len(patterns):
            raise ValueError(f"values must be one for each of {len(patterns)} patterns, got {len(values)}")
        return values

    def _check_cues(self, name: str, cues: Tensor, known: Tensor | None) -> Slots:
        check_floating(name, cues)
        check_shape(name, cues, self.dim)
        if self._held is None:
            raise ValueError("the memory is empty: store patterns first")
        known = check_known(known, cues)
        check_finite(name, cues if known is None else torch.where(known, cues, 0))
        return self._held
