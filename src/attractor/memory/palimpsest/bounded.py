"""Synapses with a few states, weak or strong, that move by chance at each pattern: the cascade, and any other chain of states.

The cascade is that of Fusi, Drew and Abbott, "Cascade models of synaptically stored memories", Neuron 2005. Two synapses that share
a neuron see events that go together, so their states do: the covariances follow from the chain of both states at once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.statistics import ROUNDING, WeightStatistics, check_inside, effects, two_by_two
from attractor.validation import check_count, check_number

EVENTS = {
    "pre": [[0.0, -1.0], [0.0, 1.0]],
    "post": [[0.0, 0.0], [-1.0, 1.0]],
    "xor": [[1.0, -1.0], [-1.0, 1.0]],
}
Events = str | Sequence[Sequence[float]] | Tensor


class Bounded(Plasticity):
    """Synapses of `s` states: the first half weak (weight 0), the second half strong (weight 1).

    They start in the distribution at which the patterns leave them.

    Args:
        events: `"pre"` gated, `"post"` gated, `"xor"`, or a 2 x 2 table `[neuron behind][neuron before]` of 1 (potentiate), -1
            (depress) and 0 (nothing).
    """

    ageless = False
    undoable = False

    def __init__(self, events: Events):
        if isinstance(events, str):
            if events not in EVENTS:
                raise ValueError(f"events must be one of {', '.join(EVENTS)} or a 2 x 2 table, got {events!r}")
            self.events: str | list[list[float]] = events
        else:
            table = two_by_two("events", events)
            if not {1.0, -1.0} <= set(table.flatten().tolist()) <= {-1.0, 0.0, 1.0}:
                raise ValueError(f"events must hold 1 and -1, and 0 for nothing, got {table.tolist()}")
            self.events = table.tolist()

    @abstractmethod
    def moves(self, f: float) -> tuple[Tensor, Tensor]:
        """The chances `(s, s)`, `[new][old]`, at a potentiation and at a depression."""

    @property
    def event_table(self) -> Tensor:
        """`(2, 2)` of 1, -1 and 0."""
        return torch.tensor(EVENTS[self.events] if isinstance(self.events, str) else self.events, dtype=torch.float64)

    def chain(self, f: float) -> Tensor:
        """The chances `(2, 2, s, s)` to move, by the states of the two neurons."""
        up, down = self.moves(f)
        stay = torch.eye(len(up), dtype=torch.float64)
        by_event = torch.stack([down, stay, up])
        return by_event[self.event_table.long() + 1]

    def stationary(self, f: float) -> Tensor:
        """The distribution `(s,)` of states at which the patterns leave it."""
        mean = averaged(self.chain(f), f)
        states = len(mean)
        system = torch.cat([mean - torch.eye(states, dtype=torch.float64), torch.ones(1, states, dtype=torch.float64)])
        target = torch.zeros(states + 1, 1, dtype=torch.float64)
        target[-1] = 1
        return torch.linalg.lstsq(system, target).solution[:, 0].clamp_min(0)

    def mean_weights(self, f: float, ages: Tensor) -> Tensor:
        """The mean weight `(n, 2, 2)` of a synapse by the states of its neurons in a pattern of each of `ages (n,)`."""
        chain, rest = self.chain(f), self.stationary(f)
        mean, readout = averaged(chain, f), strong(len(rest))
        after = []
        for _ in range(int(ages.max()) + 1):
            after.append(readout)
            readout = readout @ mean
        return torch.einsum("as,ijs->aij", torch.stack(after)[ages], chain @ rest)

    def covariances(self, f: float, stored: int) -> dict[str, float]:
        """Of the weights of two synapses after `stored` patterns, by what they share: `post`, `pre`, `chain` or `reciprocal`."""
        chain, rest = self.chain(f), self.stationary(f)
        readout, chance = strong(len(rest)), torch.tensor([1 - f, f], dtype=torch.float64)
        onto, out_of = torch.einsum("j,ijst->ist", chance, chain), torch.einsum("i,ijst->jst", chance, chain)
        shared = {"post": (onto, onto), "pre": (out_of, out_of), "chain": (onto, out_of)}
        both = {name: paired(chance, one, other) for name, (one, other) in shared.items()}
        weights = torch.outer(chance, chance).flatten()
        both["reciprocal"] = paired(weights, chain.flatten(0, 1), chain.transpose(0, 1).flatten(0, 1))
        start, reading = torch.kron(rest, rest), torch.kron(readout, readout)
        square = float(readout @ rest) ** 2
        return {name: float(reading @ torch.linalg.matrix_power(joint, stored) @ start) - square for name, joint in both.items()}

    def initial(self, shape: Sequence[int], f: float, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(self.stationary(f), prod(shape), replacement=True, generator=generator)
        return drawn.to(torch.int8).view(*shape)

    def write(self, state: Tensor, patterns: Tensor, f: float, seeds: Sequence[int]) -> Tensor:
        # by event and old state: the chance to end at most at each new one
        limits = torch.stack([move.cumsum(0).T for move in reversed(self.moves(f))]).to(torch.float32)
        kinds = self.event_table.long()
        for pattern, seed in zip(patterns.long().unbind(-2), seeds, strict=True):
            event = kinds[pattern[..., :, None], pattern[..., None, :]]
            moving = event != 0
            old = state[moving].long()
            drawn = torch.rand(len(old), generator=torch.Generator().manual_seed(seed))
            bounds = limits[(event[moving] > 0).long(), old]
            new = (drawn[:, None] >= bounds).sum(-1).clamp_max(limits.shape[-1] - 1)
            state = state.masked_scatter(moving, new.to(torch.int8))
        return state

    def undo(self, state: Tensor, patterns: Tensor, f: float) -> Tensor:
        raise TypeError("bounded synapses cannot be put back")

    def weights(self, state: Tensor, seed: int) -> Tensor:
        return (state >= len(self.moves(0.5)[0]) // 2).double()

    def load(self, stored: int) -> float:
        return stored - 1

    def statistics(self, f: float, stored: int, ages: Tensor | None) -> WeightStatistics:
        found = self.covariances(f, stored)
        strength = float(self.stationary(f) @ strong(len(self.stationary(f))))
        if ages is None:
            mean, post, pre, both = (torch.full((1,), value, dtype=torch.float64) for value in (strength, 0.0, 0.0, 0.0))
        else:
            mean, post, pre, both = effects(self.mean_weights(f, ages), f)
        # what the given pattern explains is no variance any more
        onto, out_of = (found["post"] - post**2).clamp_min(0), (found["pre"] - pre**2).clamp_min(0)
        most = (onto * out_of).sqrt()
        chain = (found["chain"] - post * pre).clamp(-most, most)
        symmetric = found["reciprocal"] - 2 * post * pre - both**2 - 2 * chain
        symmetric = symmetric.where(symmetric > ROUNDING, 0)
        total = strength * (1 - strength) - post**2 - pre**2 - both**2
        return WeightStatistics(mean, post, pre, both, onto, out_of, chain, symmetric, total - onto - out_of - symmetric)


class Cascade(Bounded):
    """The cascade: deeper states are harder to leave.

    Potentiation takes the weak state of level `k` to the strong one of level 1 with the chance `chi^(k-1)` (the last level:
    `chi^(n-1) / (1 - chi)`) and the strong state of level `k` one level deeper with `chi^k / (1 - chi)`, at most 1; depression is
    the mirror image. Where one event is rarer than the other, its steps deeper are the more likely, by that ratio.

    Args:
        events: as for every bounded synapse.
        levels: `n`, of each strength.
        chi: the ratio of chances from level to level.

    Example:
        >>> Cascade("pre").stationary(0.5).sum().round(decimals=6).item()
        1.0
    """

    def __init__(self, events: Events = "pre", *, levels: int = 5, chi: float = 0.5):
        super().__init__(events)
        self.levels = check_count("levels", levels)
        self.chi = check_inside("chi", chi)

    def __repr__(self) -> str:
        return f"Cascade({self.events!r}, levels={self.levels}, chi={self.chi})"

    def moves(self, f: float) -> tuple[Tensor, Tensor]:
        chance = torch.tensor([1 - f, f], dtype=torch.float64)
        rate = torch.outer(chance, chance)
        up, down = (float(rate[self.event_table == sign].sum()) for sign in (1, -1))
        return self._potentiation(down / up), swapped(self._potentiation(up / down))

    def configuration(self) -> dict[str, Any]:
        return {"kind": "cascade", "events": self.events, "levels": self.levels, "chi": self.chi}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Cascade:
        return cls(configuration["events"], levels=configuration["levels"], chi=configuration["chi"])

    def _potentiation(self, ratio: float) -> Tensor:
        n, chi = self.levels, self.chi
        move = torch.eye(2 * n, dtype=torch.float64)
        for level in range(n):
            leave = min(1.0, chi**level if level < n - 1 else chi**level / (1 - chi))
            move[level, level] = 1 - leave
            move[n, level] = leave
            if level < n - 1:
                deeper = min(1.0, ratio * chi ** (level + 1) / (1 - chi))
                move[n + level, n + level] = 1 - deeper
                move[n + level + 1, n + level] = deeper
        return move


class MarkovSynapse(Bounded):
    """Bounded synapses by their chances to move.

    Args:
        events: as for every bounded synapse.
        potentiation: `(s, s)`, `[new][old]`, columns that sum to 1; `s` is even.
        depression: the same.

    Raises:
        ValueError: other shapes, negative chances, or columns that do not sum to 1.

    Example:
        >>> MarkovSynapse.two_state("xor", potentiation=0.5, depression=0.25).stationary(0.5)
        tensor([0.3333, 0.6667], dtype=torch.float64)
    """

    def __init__(
        self,
        events: Events,
        *,
        potentiation: Sequence[Sequence[float]] | Tensor,
        depression: Sequence[Sequence[float]] | Tensor,
    ):
        super().__init__(events)
        self.potentiation, self.depression = (
            stochastic(name, move) for name, move in (("potentiation", potentiation), ("depression", depression))
        )
        if self.potentiation.shape != self.depression.shape:
            raise ValueError(
                "depression must have the shape of potentiation "
                f"{tuple(self.potentiation.shape)}, got {tuple(self.depression.shape)}"
            )

    @classmethod
    def two_state(cls, events: Events, *, potentiation: float, depression: float) -> MarkovSynapse:
        """Synapses that are weak or strong, and move with these chances."""
        for name, chance in (("potentiation", potentiation), ("depression", depression)):
            check_number(name, chance)
            if not 0 < chance <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {chance!r}")
        up, down = potentiation, depression
        return cls(events, potentiation=[[1 - up, 0.0], [up, 1.0]], depression=[[1.0, down], [0.0, 1 - down]])

    def __repr__(self) -> str:
        return f"MarkovSynapse({self.events!r}, {len(self.potentiation)} states)"

    def moves(self, f: float) -> tuple[Tensor, Tensor]:
        return self.potentiation, self.depression

    def configuration(self) -> dict[str, Any]:
        return {
            "kind": "markov",
            "events": self.events,
            "potentiation": self.potentiation.tolist(),
            "depression": self.depression.tolist(),
        }

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> MarkovSynapse:
        return cls(configuration["events"], potentiation=configuration["potentiation"], depression=configuration["depression"])


def stochastic(name: str, move: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """Chances in float64."""
    given = torch.as_tensor(move, dtype=torch.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.shape[0] % 2 or not len(given):
        raise ValueError(f"{name} must be a square table of an even number of states, got shape {tuple(given.shape)}")
    if not bool((given >= 0).all()) or not torch.allclose(given.sum(0), torch.ones(len(given), dtype=torch.float64)):
        raise ValueError(f"{name} must hold chances whose columns sum to 1, got columns of {given.sum(0).tolist()}")
    return given


def swapped(move: Tensor) -> Tensor:
    """The mirror image: weak for strong."""
    half = len(move) // 2
    return move.roll((half, half), (0, 1))


def strong(states: int) -> Tensor:
    """The weight of each state."""
    return (torch.arange(states) >= states // 2).double()


def averaged(chain: Tensor, f: float) -> Tensor:
    """The mean of `(2, 2, s, s)` over random neurons."""
    chance = torch.tensor([1 - f, f], dtype=torch.float64)
    return torch.einsum("i,j,ijst->st", chance, chance, chain)


def paired(chance: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """The mean chances of two synapses together, `(s^2, s^2)`."""
    return sum((weight * torch.kron(a, b) for weight, a, b in zip(chance, one, other, strict=True)), torch.zeros(()))
