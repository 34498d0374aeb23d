"""Sparse distributed memory: patterns of -1 and 1 in the counters of many fixed locations (Kanerva 1988).

A location is active for a cue within a Hamming radius r of its address. Storing adds a pattern to the counters of all locations
that it activates; a read sums the counters of the locations that the cue activates and takes signs, and reading again with the
answer converges where the cue was near enough. With M locations, a share p of them active and T stored patterns the signal of a bit
is `p M`, and the noise of the other patterns has at least the variance `T p^2 M`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.memory.base import BIPOLAR, IfPresent, register
from attractor.memory.counting import CountingMemory, check_settings, refuse_items
from attractor.memory.recall import Recall, Trace
from attractor.memory.sparse_distributed.locations import active_blocks, check_held, read, sums
from attractor.memory.sparse_distributed.radius import radii_for, radius_for
from attractor.validation import check_count, check_finite, check_floating, check_known, check_matrix, check_positive, check_shape

NUMBERS_PER_BATCH = 2**21


@register("sparse_distributed")
class SparseDistributedMemory(CountingMemory):
    """Kanerva's sparse distributed memory.

    It keeps sums, not patterns: `Recall.index`, `score` and `margin` are None. Addresses and counters are part of the `state_dict`.
    There is no energy. Patterns that resemble each other, as images do, activate the same locations and blend: it is made for
    patterns that are about as far from each other as random ones.

    Args:
        dim: width of a pattern.
        locations: M.
        activation: p, the share of random locations that a cue activates; decides the radius.
        value_dim: width of the values that are stored under the patterns and read out in their place. Default: a pattern is its own
            value, and is read again until it no longer changes.
        bound: largest size of a counter, after each stored pattern. What was stored cannot be forgotten then. Default: none.
        seed: of the random addresses.

    Attributes:
        addresses: `(locations, dim)` of -1 and 1, int8.
        counters: `(locations, dim or value_dim)`, int32.

    Raises:
        TypeError, ValueError: a width, number or bound below 1, a negative seed, or an activation that is not in (0, 1].

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> patterns = torch.randint(0, 2, (20, 128), generator=generator) * 2.0 - 1
        >>> memory = SparseDistributedMemory(128, activation=0.01)
        >>> ids = memory.store(patterns)
        >>> cues = patterns.clone()
        >>> cues[:, :10] *= -1
        >>> torch.equal(memory.recall(cues).patterns, patterns)
        True
    """

    domain = BIPOLAR
    settings = ("dim", "locations", "activation", "value_dim", "bound")
    addresses: Tensor
    counters: Tensor

    def __init__(
        self,
        dim: int,
        *,
        locations: int = 10_000,
        activation: float = 0.003,
        value_dim: int | None = None,
        bound: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.dim, self.locations = check_count("dim", dim), check_count("locations", locations)
        self.value_dim = None if value_dim is None else check_count("value_dim", value_dim)
        self.bound = None if bound is None else check_count("bound", bound)
        self.activation = check_positive("activation", activation)
        self.radius = radius_for(self.dim, self.activation)
        generator = torch.Generator().manual_seed(check_count("seed", seed, 0))
        addresses = torch.randint(0, 2, (locations, dim), generator=generator, dtype=torch.int8) * 2 - 1
        self.register_buffer("addresses", addresses)
        self.register_buffer("counters", torch.zeros(locations, value_dim or dim, dtype=torch.int32))

    def __repr__(self) -> str:
        values = "" if self.value_dim is None else f", value_dim={self.value_dim}"
        return (
            f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, {self.locations} locations, "
            f"activation={self.activation:g}, radius={self.radius}{values})"
        )

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Add patterns, or values under patterns, to the counters; call again to add more.

        For a sequence, make the memory with `value_dim=dim` and store each pattern's successor as its value.

        Args:
            patterns: `(n, dim)` of -1 and 1, floating point.
            values: `(n, value_dim)` of -1 and 1, for a memory with a `value_dim` only.
            metadata: refused, as there are no items to keep it beside.
            if_present: `"add"` only: sums cannot tell what is in them.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity, values missing or not wanted, or an argument that does
                not apply; nothing is stored then.
        """
        refuse_items(self, metadata, if_present)
        self._write(patterns, self._check_values(patterns, values))
        return self._count_in(patterns)

    def forget(self, patterns: Tensor, values: Tensor | None = None) -> None:
        """Take `patterns (n, dim)`, stored ones, and the values stored under them, out of the counters again: exactly.

        Raises:
            TypeError: the counters have a bound, or ids came instead of patterns.
            ValueError: wrong shape or entries, or more patterns than are stored; nothing is forgotten then.
        """
        self._refuse_ids(patterns)
        if self.bound is not None:
            raise TypeError(f"patterns cannot be forgotten by counters with a bound, {self.bound}: what it cut off is lost")
        values = self._check_values(patterns, values)
        self._refuse_more_than_stored(patterns)
        self._write(patterns, -values)
        self._count_out(patterns)

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        max_steps: int = 20,
        trace: bool = False,
        batch_size: int | None = None,
    ) -> Recall:
        """Read with the cues, and again with what was read until it no longer changes; values are read once.

        A bit whose sum is zero stays as it is; one of a value is then 1. A cue that activates no location comes back as given (its
        value is 1 everywhere) with `accepted` False; what is unknown of it is then 1, and is not read with.

        Args:
            cues: `(b, dim)` of -1 and 1; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted. The first read compares known entries only, within the radius of the
                same activation; known entries never change.
            max_steps: most reads. A state is at rest when a read has not changed it.
            trace: keep the state after each read.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity where trusted, a row with nothing known, or an empty
                memory.
        """
        self._check_cues(cues, known)
        check_count("max_steps", max_steps)
        size = max(1, NUMBERS_PER_BATCH // self.dim) if batch_size is None else check_count("batch_size", batch_size)
        masks = [None] * len(cues.split(size)) if known is None else known.split(size)
        walk = self._associate if self.value_dim is None else self._look_up
        parts = [walk(some.float(), mask, max_steps, trace) for some, mask in zip(cues.split(size), masks, strict=True)]
        found = Recall.join(parts)
        way = None if found.trace is None else Trace(found.trace.states.to(cues.dtype), None)
        rest = (found.accepted, None, found.steps, found.converged, way)
        return Recall(found.patterns.to(cues.dtype), None, None, None, *rest)

    def replay(self, cues: Tensor, steps: int) -> Tensor:
        """The states `(b, steps, dim)` after each of `steps` steps along stored sequences, from `cues (b, dim)` on.

        A walk that comes to where no location is active stays there: from then on its states are equal.

        Raises:
            TypeError: the memory has no values of the width of its patterns.
            ValueError: as `recall`.

        Example:
            >>> patterns = torch.randint(0, 2, (10, 128), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
            >>> memory = SparseDistributedMemory(128, locations=2000, activation=0.01, value_dim=128)
            >>> ids = memory.store(patterns[:-1], patterns[1:])
            >>> torch.equal(memory.replay(patterns[:1], steps=9)[0], patterns[1:])
            True
        """
        if self.value_dim != self.dim:
            raise TypeError(f"value_dim must be dim = {self.dim} to follow sequences, got {self.value_dim}")
        states = [cues]
        for _ in range(check_count("steps", steps)):
            found = self.recall(states[-1])
            assert found.accepted is not None
            states.append(torch.where(found.accepted[:, None], found.patterns, states[-1]))
        return torch.stack(states[1:], 1)

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        check_settings(configuration, cls.settings)
        locations, dim = check_count("locations", configuration["locations"]), check_count("dim", configuration["dim"])
        width = check_count("value_dim", configuration["value_dim"] or dim)
        check_held(folder, locations, dim, width)
        return cls(**configuration)

    def _associate(self, states: Tensor, known: Tensor | None, max_steps: int, keep_trace: bool) -> Recall:
        """Reads of `states (b, dim)` until they are at rest."""
        steps = torch.full((len(states),), int(known is not None), device=states.device)
        converged, accepted = torch.zeros_like(steps, dtype=torch.bool), None
        if known is not None:
            found, accepted = self._read(states, known)
            states = torch.where(known, states, torch.where(found < 0, -1.0, 1.0))
            # the unknown entries of what reached no location are no answer to read on with
            converged = ~accepted
        way = [states]
        for _ in range(max_steps - int(known is not None)):
            active = (~converged).nonzero().flatten()
            if len(active) == 0:
                break
            before = states[active]
            found, reached = self._read(before, None)
            accepted = reached if accepted is None else accepted
            held = found == 0 if known is None else (found == 0) | known[active]
            after = torch.where(held, before, found.sign().float())
            changed = (after != before).any(-1)
            steps[active] += changed
            converged[active] = ~changed
            states = states.index_copy(0, active, after)
            way.append(states)
        assert accepted is not None
        kept = Trace(torch.stack(way), None) if keep_trace else None
        return Recall(states, None, None, None, accepted, None, steps, converged, kept)

    def _look_up(self, cues: Tensor, known: Tensor | None, max_steps: int, keep_trace: bool) -> Recall:
        """One read of the values under `cues (b, dim)`."""
        found, reached = self._read(cues, known)
        values = torch.where(found < 0, -1.0, 1.0)
        trace = Trace(values[None], None) if keep_trace else None
        once = reached.new_ones(len(cues), dtype=torch.int64)
        return Recall(values, None, None, None, reached, None, once, torch.ones_like(reached), trace)

    def _read(self, cues: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """The sums `(b, m)` of the counters of active locations, and whether there are any, `(b,)`."""
        return read(self.addresses, self.counters, cues, known, radii_for(cues, known, self.activation))

    @torch.no_grad()
    def _write(self, patterns: Tensor, values: Tensor) -> None:
        keys, values = patterns.detach().float(), values.detach()
        for block, active in active_blocks(self.addresses, keys, None, radii_for(keys, None, self.activation)):
            counters = self.counters[block]
            if self.bound is None:
                counters += sums(active.T, values).to(counters.dtype)
                continue
            # a bound makes the order matter: one pattern after the other, however many come at once
            for chosen, value in zip(active, values.to(counters.dtype), strict=True):
                counters[chosen] = (counters[chosen] + value).clamp_(-self.bound, self.bound)

    def _check_values(self, patterns: Tensor, values: Tensor | None) -> Tensor:
        """What is to be added under `patterns`, once both are as they should be."""
        self.domain.check("patterns", check_matrix("patterns", patterns, self.dim))
        if self.value_dim is None:
            if values is not None:
                raise TypeError(f"values must be None: this {type(self).__name__} has no value_dim")
            return patterns
        if values is None:
            raise ValueError(f"values must be given, of width {self.value_dim}, got None")
        self.domain.check("values", check_matrix("values", values, self.value_dim))
        if len(values) != len(patterns):
            raise ValueError(f"values must be one for each of {len(patterns)} patterns, got {len(values)}")
        return values

    def _check_cues(self, cues: Tensor, known: Tensor | None) -> None:
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        known = check_known(known, cues)
        trusted = cues if known is None else torch.where(known, cues, 1)
        check_finite("cues", trusted)
        self.domain.check("cues", trusted)
