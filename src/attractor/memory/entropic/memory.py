"""Entropic associative memory (Pineda, Fuentes and Morales 2021; with weights: Hernandez, Morales and Pineda 2024).

All patterns overlap in one table of weights, which keeps none of them. Recognition asks the table whether it holds a cue and needs
no search; retrieval draws a new pattern between the cue and what the table holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.memory.base import Domain, IfPresent, Memory, register
from attractor.memory.entropic.registers import SETTINGS, EntropicRegisters, Recognition, Retrieval, Undefined
from attractor.memory.recall import Recall, Trace
from attractor.validation import check_count, check_finite, check_floating, check_known, check_shape

NUMBERS_PER_BATCH = 2**23


@register("entropic")
class EntropicMemory(Memory):
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
        iota: a cell counts as in memory from this share of the mean weight of the used cells of its column.
        kappa: the mean weight of a cue must reach this share of the mean of those means.
        xi: how many columns may miss, 0 to `n`.
        sigma: standard deviation of retrieval around the cue, as a share of `m`.
        cap: the largest weight; 1 gives a table of bits.
        undefined: `"ignore"`: undefined columns are no evidence; `"miss"`: each one misses, and weighs 0.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> memory = EntropicMemory(4, 8, sigma=0.05)
        >>> ids = memory.store(torch.tensor([[0.0, 2.0, 4.0, 7.0], [1.0, 2.0, 5.0, 7.0]]))
        >>> found = memory.recall(torch.tensor([[1.0, 2.0, 4.0, 7.0], [7.0, 7.0, 0.0, 0.0]]))
        >>> found.accepted.tolist(), float(memory.entropy())
        ([True, False], 0.5)
    """

    counts: Tensor

    def __init__(
        self,
        n: int,
        m: int,
        *,
        iota: float = 0.0,
        kappa: float = 0.0,
        xi: int = 0,
        sigma: float = 0.025,
        cap: int = 1023,
        undefined: Undefined = "ignore",
    ):
        super().__init__()
        self.registers = EntropicRegisters(1, n, m, iota=iota, kappa=kappa, xi=xi, sigma=sigma, cap=cap, undefined=undefined)
        self.dim = self.registers.n
        self.domain = Domain("levels", self.registers.m)
        # patterns stored minus forgotten, and ids given out so far
        self.register_buffer("counts", torch.zeros(2, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.counts[0])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.registers.settings().items())
        return f"{type(self).__name__}({len(self)} patterns, {settings})"

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
        first = int(self.counts[1])
        self.counts += len(patterns)
        return torch.arange(first, first + len(patterns), device=self.counts.device)

    def forget(self, patterns: Tensor, *, known: Tensor | None = None) -> None:
        """Take `patterns (b, n)`, stored ones, out of the table again: exactly, as long as no weight of theirs is at the cap.

        Raises:
            TypeError: ids came instead of patterns.
            ValueError: wrong shape or entries, patterns that are not stored, or cells at the cap; nothing is forgotten then.
        """
        if isinstance(patterns, Tensor) and not patterns.is_floating_point():
            raise TypeError(f"patterns must be the stored patterns, got {patterns.dtype}: a {type(self).__name__} keeps no ids")
        codes = codes_of("patterns", patterns, self.domain, self.dim, known)
        if len(patterns) > len(self):
            raise ValueError(f"patterns must be stored ones, got {len(patterns)} while {len(self)} are stored")
        self.registers.unregister(codes)
        self.counts[0] -= len(patterns)

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

    def entropy(self) -> Tensor:
        """The entropy of the table in bits, a float64 number from 0 to `log2 m`."""
        return self.registers.entropy()[0]

    def merge(self, other: EntropicMemory) -> None:
        """Add what `other` has stored, as if it had been stored here; `other` stays as it is.

        Raises:
            TypeError: `other` is no entropic memory.
            ValueError: its n, m or cap differ; nothing is added then.
        """
        if not isinstance(other, EntropicMemory):
            raise TypeError(f"other must be a {type(self).__name__}, got {type(other).__name__}")
        self.registers.merge(other.registers)
        self.counts += other.counts.to(self.counts.device)

    def configuration(self, folder: Path) -> dict[str, Any]:
        return self.registers.settings()

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        if set(configuration) != set(SETTINGS):
            raise ValueError(f"configuration must hold {sorted(SETTINGS)}, got {sorted(configuration)}")
        return cls(**configuration)

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


def refuse_items(memory: Memory, metadata: object, if_present: str) -> None:
    """Raise `TypeError` for what only a memory of items has."""
    if metadata is not None:
        raise TypeError(f"metadata must be None: a {type(memory).__name__} keeps no items; use a DenseMemory")
    if if_present in ("skip", "raise"):
        raise TypeError(f"if_present must be 'add', got {if_present!r}: a {type(memory).__name__} cannot tell what is stored")
    if if_present != "add":
        raise ValueError(f"if_present must be 'add', got {if_present!r}")


def codes_of(name: str, patterns: Tensor, domain: Domain, width: int, known: Tensor | None) -> Tensor:
    """Whole numbers `(b, width)` of a domain as integers, -1 where they are not known.

    Raises:
        TypeError, ValueError: wrong shape, type or entries, or a row with nothing known.
    """
    check_floating(name, patterns)
    check_shape(name, patterns, width)
    known = check_known(known, patterns)
    trusted = patterns if known is None else torch.where(known, patterns, 0)
    check_finite(name, trusted)
    domain.check(name, trusted)
    return trusted.to(torch.int64) if known is None else torch.where(known, trusted, -1).to(torch.int64)


def split(known: Tensor | None, cues: Tensor, size: int) -> Sequence[Tensor | None]:
    """The mask of each batch of cues."""
    return [None] * len(cues.split(size)) if known is None else known.split(size)
