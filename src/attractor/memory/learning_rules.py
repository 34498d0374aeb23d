"""Learning rules of the classic Hopfield network: how patterns `xi` of -1 and 1 become couplings `W (d, d)`.

* `Hebbian`: `W = (1/d) sum_mu xi_mu xi_mu^T` (Hopfield 1982).
* `PseudoInverse`: `W = P`, the projection onto the span of the patterns, also called the projection rule (Personnaz, Guyon and
  Dreyfus 1985): linearly independent patterns are fixed points exactly.
* `Storkey`: `W_ij += (xi_i xi_j - xi_i h_ji - h_ij xi_j) / d` for one pattern after the other, with the field
  `h_ij = sum_(k != i, j) W_ik xi_k` of all units but two (Storkey 1997).

All of them set the diagonal of `W` to zero.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from attractor.memory.capacity import CapacityEstimate


class LearningRule(ABC):
    """Turns patterns into a symmetric matrix, `learned (d, d)`, which is all that the network keeps.

    The couplings are `scale(d)` times what is learned, with a zero diagonal.
    """

    name: ClassVar[str]

    @abstractmethod
    def learn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        """What is learned once `patterns (n, d)` are added."""

    def unlearn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        """What is learned once `patterns (n, d)` are taken away.

        Raises:
            TypeError: the rule cannot be undone.
        """
        raise TypeError(f"{self!r} cannot forget: what a pattern added depends on the others; use rule='hebbian'")

    def scale(self, dim: int) -> float:
        return 1.0

    @abstractmethod
    def capacity(self, dim: int, *, error_free: bool = False) -> CapacityEstimate:
        """How many random patterns of width `dim` are recalled; `error_free` allows no wrong bit."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Hebbian(LearningRule):
    """The outer products of the patterns. They are kept as sums of whole numbers, so that ties are exact and `unlearn` is, too."""

    name = "hebbian"

    def learn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        return learned.addmm(patterns.T, patterns)

    def unlearn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        return learned.addmm(patterns.T, patterns, alpha=-1)

    def scale(self, dim: int) -> float:
        return 1 / dim

    def capacity(self, dim: int, *, error_free: bool = False) -> CapacityEstimate:
        if not error_free:
            return CapacityEstimate(0.138 * dim, "0.138 d, a few wrong bits allowed", "Amit, Gutfreund and Sompolinsky 1985")
        patterns = dim / (2 * math.log(dim)) if dim > 1 else 1.0
        return CapacityEstimate(patterns, "d / (2 ln d), no wrong bit", "McEliece, Posner, Rodemich and Venkatesh 1987")


class PseudoInverse(LearningRule):
    """The projection onto the span of the patterns, extended by what new patterns add to it."""

    name = "pseudo-inverse"

    def learn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        projection, rows = learned.double(), patterns.double()
        outside = rows - rows @ projection
        outside = outside - outside @ projection  # the first difference is orthogonal up to the rounding of `learned` only
        _, lengths, directions = torch.linalg.svd(outside, full_matrices=False)
        least = max(rows.shape) * torch.finfo(learned.dtype).eps * rows.shape[1] ** 0.5
        new = directions[lengths > least]
        projection = projection.addmm(new.T, new)
        # patterns that span everything leave no couplings at all, not those of rounding
        complete = round(float(projection.trace())) == len(projection)
        return torch.eye(len(projection)).to(learned) if complete else projection.to(learned.dtype)

    def capacity(self, dim: int, *, error_free: bool = False) -> CapacityEstimate:
        source = "Personnaz, Guyon and Dreyfus 1985; Kanter and Sompolinsky 1987"
        return CapacityEstimate(float(dim), "d linearly independent patterns, no wrong bit", source)


class Storkey(LearningRule):
    """Hebbian learning of what the couplings do not say already, one pattern after the other."""

    name = "storkey"

    def learn(self, learned: Tensor, patterns: Tensor) -> Tensor:
        couplings, dim = learned.clone(), patterns.shape[1]
        for pattern in patterns:
            # h_ij = H_i - W_ij xi_j with the full field H = W xi, as the diagonal is zero
            away = pattern - couplings @ pattern
            # xi xi^T - xi H^T - H xi^T = (xi - H)(xi - H)^T - H H^T
            field = pattern - away
            couplings = couplings * (1 + 2 / dim) + (torch.outer(away, away) - torch.outer(field, field)) / dim
            couplings.fill_diagonal_(0)
        return couplings

    def capacity(self, dim: int, *, error_free: bool = False) -> CapacityEstimate:
        patterns = dim / math.sqrt(2 * math.log(dim)) if dim > 1 else 1.0
        return CapacityEstimate(patterns, "d / sqrt(2 ln d), no wrong bit", "Storkey 1997")


RULES: dict[str, type[LearningRule]] = {kind.name: kind for kind in (Hebbian, PseudoInverse, Storkey)}


def rule_from(name: str) -> LearningRule:
    """The learning rule of this name.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    if not isinstance(name, str) or name not in RULES:
        raise ValueError(f"rule must be one of {sorted(RULES)}, got {name!r}")
    return RULES[name]()
