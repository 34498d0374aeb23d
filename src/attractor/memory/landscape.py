"""The energy landscape of a dense memory: patterns, similarity, separation and state, with nothing left to choose.

`E(x) = A(x) - Psi(s(x))` with the scores `s_mu(x)` of the state against the patterns, the potential `Psi` of the separation, and
`A(x) = K(x, x) / 2`, half the score of the state with itself, for a continuous state under a dot product or a kernel, and zero
otherwise (Euclidean scores hold it already).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.memory.states import Binary, Continuous, Direction, State
from attractor.read import Dot, Kernel, Linear, Read, ReadOut, Separation, Similarity


def state_in_motion(similarity: Similarity, state: State) -> State:
    """How the state moves: under a similarity of directions it is a direction, under an affine kernel it moves by its features."""
    if isinstance(similarity, Kernel) and similarity.affine is not None:
        return ByFeatures(similarity.affine)
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
        if isinstance(self.similarity, Dot | Kernel) and isinstance(self.state, Continuous):
            return self.similarity.paired(states, states) / 2 - potential
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


class ByFeatures(Continuous):
    """A state whose features `W x + b` step to those of the read-out.

    Without a mask that is the read-out itself. With entries fixed at `x_K`, the others minimise `|W (x - r)|` for the read-out
    `r`, `x_U = r_U - W_U^+ W_K (x_K - r_K)`: the step that the energy `|Phi(x)|^2 / 2 - Psi` never rises along.
    """

    def __init__(self, feature_map: Linear):
        self.weight = feature_map.weight
        self.inverses: dict[bytes, Tensor] = {}

    def fill(self, cues: Tensor, known: Tensor, read_out: Tensor) -> Tensor:
        return Continuous().fill(cues, known, read_out)

    def move(self, states: Tensor, read_out: Tensor, known: Tensor | None) -> Tensor:
        if known is None:
            return super().move(states, read_out, known)
        weight = self.weight.to(read_out.dtype)
        gap = torch.where(known, states - read_out, 0) @ weight.T
        masks, group = known.unique(dim=0, return_inverse=True)
        closed = torch.zeros_like(read_out)
        for index, mask in enumerate(masks):
            rows = group == index
            closed[rows] = gap[rows] @ self.inverse(weight, mask).T
        return torch.where(known, states, (read_out - closed).to(states.dtype))

    def inverse(self, weight: Tensor, known: Tensor) -> Tensor:
        """`W_U^+ (d, D)`, zero in the rows of known entries."""
        key = known.cpu().numpy().tobytes()
        if key not in self.inverses:
            # directions that the map nearly loses would turn rounding into motion
            self.inverses[key] = torch.linalg.pinv(torch.where(known, 0, weight), rtol=torch.finfo(weight.dtype).eps ** 0.5)
        return self.inverses[key]
