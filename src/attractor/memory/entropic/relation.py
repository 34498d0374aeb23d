"""Hetero-associative entropic memory: pairs in a table of four dimensions (Morales and Pineda 2024).

A pair of objects, `a` of `n` columns and `m` rows, and `b` of `p` columns and `q` rows, is registered in every plane `(i, j)`,
which makes the table a register of `n p` columns and `m q` rows:

    R[i, j, a_i, b_j] <- min(cap, R[i, j, a_i, b_j] + 1)

Retrieval of `b` from `a` starts from the projection of `a`, a table `(p, q)`: the sum of `R[i, :, a_i, :]` over `i` where all of
these are in memory, and 0 elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from attractor.memory.base import Domain, IfPresent, register
from attractor.memory.counting import refuse_items
from attractor.memory.entropic.codes import check_codes, codes_of
from attractor.memory.entropic.projection import Method, Projector, check_method, choose
from attractor.memory.entropic.recognition import Recognition, column_means
from attractor.memory.entropic.registers import EntropicRegisters, Thresholds
from attractor.memory.entropic.table import TableMemory
from attractor.memory.recall import Recall
from attractor.validation import check_count

NUMBERS_AT_ONCE = 2**22


@register("entropic_relation")
class EntropicRelation(TableMemory):
    """Objects stored as values under other objects, all in one table of `n p m q` weights.

    As `EntropicMemory` it keeps counts: `Recall.index`, `score` and `margin` are None, there is no energy, and `accepted` says what
    was recognised. What is recalled are values.

    Args:
        n, p: width of a pattern, and of a value.
        m, q: their numbers of levels.
        iota, kappa, cap, undefined: as for `EntropicMemory`, of the planes.
        xi: how many planes may miss: of all `n p` for `recognise`, of the `n` at one cell of a projection for a recall.
        memory_limit: the largest table, in bytes.

    Raises:
        TypeError, ValueError: an argument is out of range, or the table exceeds the limit.

    Example:
        >>> memory = EntropicRelation(3, 2, 4, 4)
        >>> patterns, values = torch.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
        >>> ids = memory.store(patterns, values)
        >>> memory.recall(patterns).patterns.tolist()
        [[3.0, 0.0], [1.0, 1.0]]
    """

    settings = ("n", "p", "m", "q", *Thresholds.__annotations__, "memory_limit")

    def __init__(
        self,
        n: int,
        p: int,
        m: int,
        q: int,
        *,
        memory_limit: int = 2**30,
        **settings: Unpack[Thresholds],
    ):
        for name, size in (("n", n), ("p", p), ("m", m), ("q", q)):
            check_count(name, size)
        needed = 4 * n * p * m * q
        if needed > check_count("memory_limit", memory_limit):
            raise ValueError(
                f"n, p, m and q must give a table of at most memory_limit = {memory_limit} bytes, "
                f"{n} x {p} x {m} x {q} weights need {needed}"
            )
        super().__init__(EntropicRegisters(1, n * p, m * q, **settings), n, Domain("levels", m))
        self.n, self.p, self.m, self.q, self.memory_limit = n, p, m, q, memory_limit
        self.value_domain = Domain("levels", q)

    @property
    def weights(self) -> Tensor:
        """The table `(n, p, m, q)`, int32."""
        return self.registers.weights.view(self.n, self.p, self.m, self.q)

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Register pairs; call again to add more.

        Args:
            patterns: `(b, n)` of whole numbers from 0 to `m - 1`, floating point.
            values: `(b, p)` of whole numbers from 0 to `q - 1`, floating point.
            metadata: refused, as there are no items to keep it beside.
            if_present: `"add"` only: a table cannot tell what is in it.

        Returns:
            running numbers `(b,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or entries, or an argument that does not apply; nothing is stored then.
        """
        refuse_items(self, metadata, if_present)
        for some in self._pairs(*self._check_pairs(patterns, values)):
            self.registers.register(some)
        return self._count_in(patterns)

    def forget(self, patterns: Tensor, values: Tensor | None = None) -> None:
        """Take stored pairs out again: exactly, as long as no weight of theirs is at the cap.

        Raises:
            TypeError, ValueError: wrong shape or entries, pairs that are not stored, or cells at the cap; nothing is forgotten
                then.
        """
        self._refuse_ids(patterns)
        codes, answers = self._check_pairs(patterns, values)
        self._refuse_more_than_stored(patterns)
        # all at once, so that a refusal leaves the table as it was
        self.registers.unregister(torch.cat(list(self._pairs(codes, answers))))
        self._count_out(patterns)

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        method: Method = "search-and-test",
        samples: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
    ) -> Recall:
        """Values for the cues that are accepted; 0 throughout for the others.

        Args:
            cues: `(b, n)` of whole numbers from 0 to `m - 1`; what stands at unknown entries is never read.
            known: `(b, n)`, True where a cue is trusted.
            method: `"random"` draws each column of the value by the projection. `"sample-and-test"` draws several values and takes
                the one whose own projection lies nearest to the cue. `"search-and-test"` moves that one on, one column by one row
                at a time, as long as it comes nearer.
            samples: how many are drawn to be tested. Default: `2 max(n, p) - 1`.
            generator: of the draws. Default: a new one with seed 0.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Returns:
            The values, `patterns (b, p)`, with how often each was chosen or moved as `steps`.

        Raises:
            TypeError, ValueError: wrong shape or entries, a row with nothing known, an unknown method, or an empty memory.
        """
        check_method(method)
        count = 1 if method == "random" else check_count("samples", 2 * max(self.n, self.p) - 1 if samples is None else samples)
        if len(self) == 0:
            raise ValueError("the memory is empty: store pairs first")
        codes = codes_of("cues", cues, self.domain, self.dim, known)
        # a search tries all moves of one row in one column at once
        tested = max(count, 2 * self.p) if method == "search-and-test" else count
        size = max(1, NUMBERS_AT_ONCE // (tested * max(self.n * self.m, self.p * self.q)))
        size = size if batch_size is None else check_count("batch_size", batch_size)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        projector = Projector(self.weights, self.registers.iota, self.registers.xi, self.registers.undefined)
        parts = []
        for some in codes.split(size):
            projection = projector.forward(some)
            accepted = self._accepted(projection, some)
            uniforms = torch.rand(len(some), count, self.p, generator=generator, device=generator.device).to(codes.device)
            chosen, steps = choose(projector, projection, some, uniforms, method)
            values = torch.where(accepted[:, None], chosen, 0).to(cues.dtype)
            steps = torch.where(accepted, steps, 0)
            parts.append(Recall(values, None, None, None, accepted, None, steps, torch.ones_like(accepted)))
        return Recall.join(parts)

    def recognise(self, codes: Tensor, values: Tensor) -> Recognition:
        """What the table says of pairs, `(b,)` each.

        Args:
            codes: `(b, n)`, an integer tensor, -1 where undefined.
            values: `(b, p)`, likewise.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        pairs = check_codes("codes", codes, self.n, self.m), check_codes("values", values, self.p, self.q)
        if len(codes) != len(values):
            raise ValueError(f"values must be one for each of {len(codes)} codes, got {len(values)}")
        parts = [self.registers.recognise(some) for some in self._pairs(*pairs)]
        return Recognition(*(torch.cat(each)[:, 0] for each in zip(*parts, strict=True)))

    def project(self, codes: Tensor) -> Tensor:
        """The projections `(b, p, q)` of `codes (b, n)`, an integer tensor, -1 where undefined; float32.

        Raises:
            TypeError, ValueError: wrong shape, type or values.
        """
        codes = check_codes("codes", codes, self.n, self.m)
        return Projector(self.weights, self.registers.iota, self.registers.xi, self.registers.undefined).forward(codes)

    def reversed(self) -> EntropicRelation:
        """A copy that recalls patterns from values."""
        settings = self._settings()
        for one, other in (("n", "p"), ("m", "q")):
            settings[one], settings[other] = settings[other], settings[one]
        copy = type(self)(**settings).to(self.counts.device)
        copy.registers.weights = self.weights.permute(1, 0, 3, 2).reshape(self.registers.weights.shape).contiguous()
        copy.counts = self.counts.clone()
        return copy

    def _accepted(self, projection: Tensor, codes: Tensor) -> Tensor:
        """Whether no column of `projection (b, p, q)` is empty, and its strongest value is not too weak."""
        best = projection.amax(-1).double()
        trusted = (codes >= 0).to(best) if self.registers.undefined == "ignore" else torch.ones_like(codes, dtype=best.dtype)
        means = column_means(self.weights.flatten(2)).mean(-1).to(best)
        return (best > 0).all(-1) & (best.mean(-1) >= self.registers.kappa * (trusted @ means))

    def _pairs(self, codes: Tensor, values: Tensor) -> list[Tensor]:
        """Pairs as objects of `n p` columns, some after the others; undefined where one of the two is."""
        size = max(1, NUMBERS_AT_ONCE // (self.n * self.p))
        return [self._joint(a, b) for a, b in zip(codes.split(size), values.split(size), strict=True)]

    def _joint(self, codes: Tensor, values: Tensor) -> Tensor:
        joint = codes[:, :, None] * self.q + values[:, None]
        return torch.where((codes < 0)[:, :, None] | (values < 0)[:, None], -1, joint).flatten(1)

    def _check_pairs(self, patterns: Tensor, values: Tensor | None) -> tuple[Tensor, Tensor]:
        codes = codes_of("patterns", patterns, self.domain, self.n, None)
        if values is None:
            raise ValueError(f"values must be given, of width {self.p}, got None")
        answers = codes_of("values", values, self.value_domain, self.p, None)
        if len(values) != len(patterns):
            raise ValueError(f"values must be one for each of {len(patterns)} patterns, got {len(values)}")
        return codes, answers
