"""The descent law of dense memories, measured: how much does the energy rise along a recall, where the table says it never does?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from attractor.memory.dense import DenseMemory
from attractor.memory.laws import law_of
from attractor.memory.states import Binary, Continuous, Spherical, State
from attractor.papers.storage import over_capacity_on_purpose
from attractor.read import (
    SIMILARITIES,
    Entmax,
    Exponential,
    Identity,
    Polynomial,
    RectifiedPolynomial,
    Separation,
    Similarity,
    SoftMax,
    Sparsemax,
    TopK,
)

STATES: tuple[State, ...] = (Continuous(), Spherical(), Binary("asynchronous"), Binary("synchronous"))
POWERS: tuple[Separation, ...] = (Identity(), Polynomial(3), Polynomial(4), RectifiedPolynomial(3))
TEMPERED: tuple[Callable[[float], Separation], ...] = (
    SoftMax,
    Sparsemax,
    lambda beta: Entmax(1.5, beta),
    lambda beta: TopK(3, beta),
    Exponential,
)
COUNT, DIM, CUES = 16, 8, 6


class Descents(NamedTuple):
    """What was seen: `worst` relative rise of the energy, over `recalls` of `combinations`, which took `steps` in all."""

    worst: float
    recalls: int
    combinations: int
    steps: int


def monotone_combinations(betas: Sequence[float]) -> Iterator[tuple[Similarity, Separation, State]]:
    """Every combination of similarity, separation and state whose energy never rises."""
    separations = [*POWERS, *(make(beta) for make, beta in itertools.product(TEMPERED, betas))]
    for similarity, separation, state in itertools.product((kind() for kind in SIMILARITIES.values()), separations, STATES):
        try:
            law = law_of(similarity, separation, state)
        except ValueError:
            continue  # refused
        if law.monotone:
            yield similarity, separation, state


def measure_descents(
    seeds: Sequence[int], *, betas: Sequence[float], max_steps: int, tell: Callable[[float], None] = lambda done: None
) -> Descents:
    """Recall random cues, with and without a mask of what is known, in float64, and look for a rise.

    A rise is relative to the largest energy, in absolute value, on the way of the same cue.

    Args:
        seeds: of patterns, cues and masks; one set of recalls for each.
        betas: inverse temperatures to try.
        max_steps: most updates of a state.
        tell: called with the fraction that is done.
    """
    combinations = list(monotone_combinations(betas))
    worst, steps = 0.0, 0
    for done, (seed, (similarity, separation, state)) in enumerate(itertools.product(seeds, combinations)):
        tell(done / (len(seeds) * len(combinations)))
        generator = torch.Generator().manual_seed(seed)
        numbers = torch.randn(COUNT + CUES, DIM, generator=generator, dtype=torch.float64)
        if isinstance(state, Binary):
            numbers = torch.where(numbers > 0, 1.0, -1.0).double()
        known = torch.rand(CUES, DIM, generator=generator) < 0.5
        known[:, 0] = True
        memory = DenseMemory(DIM, similarity=similarity, separation=separation, state=state)
        memory.store(numbers[:COUNT])
        for mask in (None, known):
            with over_capacity_on_purpose():
                recalled = memory.recall(numbers[COUNT:], known=mask, max_steps=max_steps, trace=True, seed=seed)
            assert recalled.trace is not None and recalled.trace.energies is not None
            energies = recalled.trace.energies
            scale = energies.abs().amax(0).clamp_min(torch.finfo(energies.dtype).tiny)
            worst = max(worst, float((energies.diff(dim=0) / scale).max()))
            steps += int(recalled.steps.sum())
    return Descents(worst, 2 * CUES * len(seeds) * len(combinations), len(combinations), steps)
