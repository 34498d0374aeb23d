"""The classic Hopfield network: patterns of -1 and 1 in one matrix of couplings (Hopfield 1982).

`E(s) = -s^T W s / 2`, with `W` symmetric and of zero diagonal. A unit flips where its local field `h_i = sum_j W_ij s_j` has the
other sign, which changes the energy by `2 s_i h_i < 0`. One unit after the other, the energy so never rises and the state comes
to rest; all at once there is no such law, and a state may alternate between two for ever.

The fields are kept and changed by what flips. Units are visited in blocks: inside a block each flip reaches the block only, and
one matrix product then carries all of them to the other units, which gives the same states as one update for each flip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from attractor.memory.base import BIPOLAR, IfPresent, register
from attractor.memory.capacity import CapacityEstimate, warn_over_capacity
from attractor.memory.counting import CountingMemory, check_settings, refuse_items
from attractor.memory.learning_rules import LearningRule, rule_from
from attractor.memory.recall import Recall, Trace
from attractor.validation import check_count, check_finite, check_floating, check_known, check_matrix, check_shape

Update = Literal["asynchronous", "synchronous"]
NUMBERS_PER_BATCH = 2**23
UNITS_PER_BLOCK = 32
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@register("hopfield")
class HopfieldMemory(CountingMemory):
    """A Hopfield network of binary units.

    It keeps couplings, not patterns: `Recall.index`, `score` and `margin` are None. The couplings are part of the `state_dict`.

    Args:
        dim: number of units, the width of a pattern.
        rule: how patterns become couplings: `"hebbian"`, `"pseudo-inverse"`, `"storkey"`, or a `LearningRule`.
        update: `"asynchronous"` visits one unit after the other, in random order; the energy never rises. `"synchronous"` sets
            all units at once: no descent law, and two-cycles come back with `converged` False.

    Raises:
        ValueError: `dim` below 1, unknown `rule` or `update`.

    Example:
        >>> memory = HopfieldMemory(4)
        >>> pattern = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
        >>> ids = memory.store(pattern)
        >>> memory.recall(torch.tensor([[1.0, -1.0, 1.0, 1.0]])).patterns.tolist()
        [[1.0, -1.0, 1.0, -1.0]]
    """

    domain = BIPOLAR
    settings = ("dim", "rule", "update", "dtype")
    learned: Tensor

    def __init__(self, dim: int, *, rule: LearningRule | str = "hebbian", update: Update = "asynchronous"):
        super().__init__()
        self.dim = check_count("dim", dim)
        self.rule = rule if isinstance(rule, LearningRule) else rule_from(rule)
        if update not in ("asynchronous", "synchronous"):
            raise ValueError(f"update must be 'asynchronous' or 'synchronous', got {update!r}")
        self.update: Update = update
        self.register_buffer("learned", torch.zeros(dim, dim))
        self._warned_count = 0

    @property
    def couplings(self) -> Tensor:
        """`W (dim, dim)`, symmetric with a zero diagonal."""
        return self._bare_couplings() * self.rule.scale(self.dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, {self.rule!r}, update={self.update!r})"

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Add patterns to the couplings; call again to add more.

        Args:
            patterns: `(n, dim)` of -1 and 1, float32 or float64; the first ones decide which.
            values, metadata: refused, as there are no items to keep them beside.
            if_present: `"add"` only: a network cannot tell what it has stored.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, NaN or infinity, or an argument that does not apply; nothing is
                stored then.
        """
        refuse_items(self, metadata, if_present, values=values)
        learned = self.rule.learn(self._ready_for(patterns), patterns.detach())
        self.learned, self.counts = learned, self.counts.to(learned.device)
        return self._count_in(patterns)

    def forget(self, patterns: Tensor) -> None:
        """Take `patterns (n, dim)`, stored ones, out of the couplings again.

        Raises:
            TypeError: the rule cannot be undone, or ids came instead of patterns.
            ValueError: wrong shape, dtype or entries, or more patterns than are stored; nothing is forgotten then.
        """
        self._refuse_ids(patterns)
        learned = self.rule.unlearn(self._ready_for(patterns), patterns.detach())
        self._refuse_more_than_stored(patterns)
        self.learned = learned
        self._count_out(patterns)

    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        max_steps: int = 200,
        trace: bool = False,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> Recall:
        """Let the cues fall to rest. A unit whose field is zero stays as it is.

        Args:
            cues: `(b, dim)` of -1 and 1; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: those units never flip, the others start from the sign of the field of
                the known ones, 1 where that is zero. Default: every unit may flip.
            max_steps: most updates of a state; a sweep over all units is one.
            trace: keep the state after each update.
            batch_size: recall this many cues at a time. Default: by a memory budget.
            seed: orders the units, anew for each sweep.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, NaN or infinity where trusted, a row with nothing known, or an
                empty memory.
        """
        self._check_states("cues", cues, known)
        check_count("max_steps", max_steps)
        size = max(1, NUMBERS_PER_BATCH // self.dim) if batch_size is None else check_count("batch_size", batch_size)
        with torch.no_grad():
            parts = []
            for start in range(0, len(cues), size):
                some = slice(start, start + size)
                parts.append(self._recall_batch(cues[some], None if known is None else known[some], max_steps, trace, seed))
        if self._warned_count != len(self):
            self._warned_count = len(self)
            warn_over_capacity(len(self), self.capacity_estimate(), stacklevel=2)
        return Recall.join(parts)

    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, dim)`, differentiable; asynchronous recall never raises it.

        Raises:
            TypeError, ValueError: wrong shape, dtype or entries, NaN or infinity, or an empty memory.
        """
        self._check_states("states", states, None)
        columns = states.T
        return self._energy(columns, self._bare_couplings() @ columns)

    def capacity_estimate(self, *, error_free: bool = False) -> CapacityEstimate:
        """How many random patterns the theory lets this network recall; `error_free` allows no wrong bit."""
        return self.rule.capacity(self.dim, error_free=error_free)

    def configuration(self, folder: Path) -> dict[str, Any]:
        dtype = str(self.learned.dtype).removeprefix("torch.")
        return {"dim": self.dim, "rule": self.rule.name, "update": self.update, "dtype": dtype}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        dtype = check_settings(configuration, cls.settings)["dtype"]
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {sorted(DTYPES)}, got {dtype!r}")
        memory = cls(configuration["dim"], rule=rule_from(configuration["rule"]), update=configuration["update"])
        return memory.to(DTYPES[dtype])

    def _bare_couplings(self) -> Tensor:
        """The couplings without their scale: whole numbers for the Hebbian rule, whose fields are then exact."""
        return self.learned.clone().fill_diagonal_(0)

    def _energy(self, states: Tensor, fields: Tensor) -> Tensor:
        return (states * fields).sum(0) * (-self.rule.scale(self.dim) / 2)

    def _recall_batch(self, cues: Tensor, known: Tensor | None, max_steps: int, keep_trace: bool, seed: int) -> Recall:
        couplings = self._bare_couplings()
        # a field below the rounding of the couplings is a tie
        ties = self.dim * torch.finfo(couplings.dtype).eps * self.learned.abs().amax(1, keepdim=True)
        # a copy: the transpose of a single cue is contiguous as it is
        states, free = cues.T.clone(memory_format=torch.contiguous_format), None if known is None else ~known.T.contiguous()
        if free is not None:
            trusted = states.masked_fill(free, 0)
            states = torch.where(free, 1 - 2 * (couplings @ trusted < -ties).to(states.dtype), states)
        network = Network(couplings, ties, states, couplings @ states, free)
        way = [(states.clone(), self._energy(states, network.fields))]
        steps = torch.full((len(cues),), int(known is not None), device=cues.device)
        unstable = network.unstable().any(0)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(max_steps - int(known is not None)):
            if not bool(unstable.any()):
                break
            active = unstable.nonzero().flatten()
            moving = network.columns(active)
            if self.update == "synchronous":
                moving.flip_at_once()
            else:
                moving.sweep(torch.randperm(self.dim, generator=generator).to(cues.device))
            network.states.index_copy_(1, active, moving.states)
            network.fields.index_copy_(1, active, moving.fields)
            steps[active] += 1
            unstable[active] = moving.unstable().any(0)
            if keep_trace:
                way.append((network.states.clone(), self._energy(network.states, network.fields)))
        energy = self._energy(network.states, network.fields)
        trace = Trace(torch.stack([states.T for states, _ in way]), torch.stack([e for _, e in way])) if keep_trace else None
        accepted = torch.ones_like(unstable)
        return Recall(network.states.T.contiguous(), None, None, None, accepted, energy, steps, ~unstable, trace)

    def _ready_for(self, patterns: Tensor) -> Tensor:
        """What is learned so far, once `patterns` fit it."""
        check_matrix("patterns", patterns, self.dim)
        self.domain.check("patterns", patterns)
        if patterns.dtype not in DTYPES.values():
            raise ValueError(f"patterns must be float32 or float64, got {patterns.dtype}; convert with patterns.float()")
        if int(self.counts[1]) == 0:
            return self.learned.to(patterns)
        self._check_like_learned("patterns", patterns)
        return self.learned

    def _check_states(self, name: str, states: Tensor, known: Tensor | None) -> None:
        check_floating(name, states)
        check_shape(name, states, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        self._check_like_learned(name, states)
        known = check_known(known, states)
        trusted = states if known is None else torch.where(known, states, 1)
        check_finite(name, trusted)
        self.domain.check(name, trusted)

    def _check_like_learned(self, name: str, given: Tensor) -> None:
        if given.dtype != self.learned.dtype or given.device != self.learned.device:
            learned = f"{self.learned.dtype} on {self.learned.device}"
            raise ValueError(f"{name} must be {learned} like the stored patterns, got {given.dtype} on {given.device}")


@dataclass
class Network:
    """`b` copies of a network in motion: a column is a copy.

    Attributes:
        couplings: `(d, d)`.
        ties: `(d, 1)`, the fields that count as zero.
        states, fields: `(d, b)`.
        free: `(d, b)` True where a unit may flip; None for everywhere.
    """

    couplings: Tensor
    ties: Tensor
    states: Tensor
    fields: Tensor
    free: Tensor | None

    def columns(self, index: Tensor) -> Network:
        """Some of the copies."""
        free = None if self.free is None else self.free.index_select(1, index)
        return Network(self.couplings, self.ties, self.states.index_select(1, index), self.fields.index_select(1, index), free)

    def unstable(self) -> Tensor:
        """Which units stand against their field, `(d, b)`."""
        against = self.states * self.fields < -self.ties
        return against if self.free is None else against & self.free

    def flip_at_once(self) -> None:
        change = -2 * self.states * self.unstable()
        self.states += change
        self.fields.addmm_(self.couplings, change)

    def sweep(self, order: Tensor) -> None:
        """Visit the units in `order` and flip each that stands against its field."""
        for units in order.split(UNITS_PER_BLOCK):
            states, fields, ties = self.states[units], self.fields[units], self.ties[units]
            fixed = None if self.free is None else ~self.free[units]
            against = states * fields < -ties
            # without a first flip there is none in the block
            if not bool((against if fixed is None else against.masked_fill(fixed, False)).any()):
                continue
            rows = self.couplings[units]
            flipped = -2 * states if fixed is None else (-2 * states).masked_fill(fixed, 0)
            change = torch.zeros_like(states)
            visits = zip(states, fields, -ties, flipped, change, rows[:, units], strict=True)
            for state, field, limit, step, made, reach in visits:
                torch.where(state * field < limit, step, made, out=made)
                fields.addr_(reach, made)
            self.states[units] = states + change
            self.fields.addmm_(rows.T, change)
