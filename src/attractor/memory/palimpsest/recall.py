"""What a recall from a palimpsest gives back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from attractor.memory.recall import Recall


@dataclass(frozen=True, eq=False)
class PalimpsestRecall(Recall):
    """A recall from a palimpsest.

    Attributes:
        probabilities: `(b, dim)` that a neuron is active.
        age: `(b,)` how many patterns were stored after the recalled one: as told, or the most probable.
        familiarity: `(b,)` log-likelihood ratio of cue and weights, with the recalled pattern stored against nothing like it.
    """

    probabilities: Tensor | None = None
    age: Tensor | None = None
    familiarity: Tensor | None = None
