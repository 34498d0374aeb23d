"""Which dense memories have an energy, and which of them a descent law.

| similarity | separation | state | energy | never rises |
|---|---|---|---|---|
| Euclidean, dot, cosine | weights sum to one (soft-max, sparsemax, entmax, top-k) | any | yes | yes |
| Manhattan | weights sum to one | continuous | yes | no: the mean is not the minimiser of absolute distances |
| Manhattan | weights sum to one | binary | yes | yes: on -1 and 1 it is the dot product |
| Manhattan | any | spherical | refused | |
| kernel | weights sum to one | continuous | yes | yes for a linear or affine feature map that is not normalised, else no |
| kernel | powers and exponentials | any | refused |  |
| kernel | any | binary, spherical | refused: its features are neither |  |
| dot, cosine | powers and exponentials, convex | binary, spherical | yes | yes |
| dot, cosine | odd polynomial | binary | yes | under single flips only |
| dot, cosine | odd polynomial | spherical | refused: not convex | |
| Euclidean, Manhattan | powers and exponentials | any | refused: their scores are never positive | |
| any | powers and exponentials | continuous | refused: the energy has no lower bound | |
| any | any | binary, flipped by energy differences at once | yes | no |

A cosine similarity sees the direction of a state only, so that its continuous and spherical memories are the same.
"""

from __future__ import annotations

from typing import NamedTuple

from attractor.memory.states import Binary, Continuous, Spherical, State
from attractor.read import Cosine, Dot, Kernel, Manhattan, Separation, Similarity


class Law(NamedTuple):
    """What holds for a combination: `energy`, whether it has one; `monotone`, whether recall never raises it."""

    energy: bool
    monotone: bool


def law_of(similarity: Similarity, separation: Separation, state: State) -> Law:
    """The law of a combination.

    Raises:
        ValueError: the combination is refused; the message says why and what to use.

    Example:
        >>> from attractor.read import Euclidean, SoftMax
        >>> law_of(Euclidean(), SoftMax(1.0), Continuous())
        Law(energy=True, monotone=True)
    """
    if isinstance(similarity, Kernel):
        if not separation.normalised or type(state) is not Continuous:
            raise ValueError(
                f"a kernel goes with a separation whose weights sum to one and a continuous state, got {separation!r} and {state!r}"
            )
        return Law(True, similarity.affine is not None)
    if not separation.normalised:
        if not isinstance(similarity, (Dot, Cosine)):
            raise ValueError(f"similarity must be Dot() or Cosine() with {separation!r}: {similarity!r} scores are never positive")
        if isinstance(state, Continuous) and not similarity.unit:
            raise ValueError(f"state must be 'binary' or 'spherical' with {separation!r}: a continuous one has no lowest energy")
        if not separation.convex and not isinstance(state, Binary):
            raise ValueError(
                f"separation must be convex with {state!r}: use RectifiedPolynomial, or an even power, not {separation!r}"
            )
    if isinstance(similarity, Manhattan) and isinstance(state, Spherical):
        raise ValueError("similarity must not be Manhattan() with a spherical state: absolute distances have no direction")
    if isinstance(state, Binary):
        monotone = state.update == "asynchronous" or (state.update == "synchronous" and separation.convex)
        return Law(True, monotone)
    return Law(True, not isinstance(similarity, Manhattan))
