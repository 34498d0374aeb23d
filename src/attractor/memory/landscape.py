"""The energy landscape of a dense memory: patterns, similarity, separation and state, with nothing left to choose.

`E(x) = A(x) - Psi(s(x))` with the scores `s_mu(x)` of the state against the patterns, the potential `Psi` of the separation, and
`A(x) = |x|^2 / 2` for a dot product with a continuous state, zero otherwise (Euclidean scores hold it already).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.memory.states import Binary, Continuous, Direction, State
from attractor.read import Dot, Read, ReadOut, Separation, Similarity
from attractor.read.similarity import widened


def state_in_motion(similarity: Similarity, state: State) -> State:
    """How the state moves: under a similarity of directions it is a direction."""
    return Direction() if similarity.unit and not isinstance(state, Binary) else state


@dataclass(frozen=True, eq=False)
class Landscape:
    """What recall descends on.

    Attributes:
        bank: the patterns.
        similarity, separation: how a state becomes weights on them; the inverse temperature is a number.
        state: how the state moves.
    """

    bank: Bank
    similarity: Similarity
    separation: Separation
    state: State

    def question(self, states: Tensor, known: Tensor | None = None, project: Literal["patterns", "values"] = "patterns") -> Read:
        """What is asked of the bank for `states (b, d)`."""
        seen = self.state.view(states if known is None else torch.where(known, states, 0))
        return Read(self.similarity, self.separation, seen, known, project)

    def read(self, states: Tensor, known: Tensor | None = None, project: Literal["patterns", "values"] = "patterns") -> ReadOut:
        """The answer: read-out, potential, and the two best rows."""
        read = self.question(states, known, project)
        return read.finish(self.bank.fold(read))

    def energy_at(self, states: Tensor, potential: Tensor) -> Tensor:
        """The energy `(b,)` of states whose potential is known."""
        if isinstance(self.similarity, Dot) and isinstance(self.state, Continuous):
            return widened(states).square().sum(-1) / 2 - potential
        return -potential

    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, d)`."""
        return self.energy_at(states, self.read(states).potential)

    def projected(self, cues: Tensor, states: Tensor, known: Tensor | None) -> Tensor:
        """What is given back for `states` at rest: values, or the patterns in the units of the cues."""
        directions = isinstance(self.state, Direction)
        if self.bank.value_dim is not None or (directions and known is None and self.separation.normalised):
            return self.read(states, project="values").values.to(cues.dtype)
        if not directions or known is not None:
            return states
        along = (cues * states).sum(-1, keepdim=True)
        return states * along.where(along > 0, cues.norm(dim=-1, keepdim=True))
