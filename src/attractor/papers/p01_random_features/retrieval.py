"""Recall of binary patterns from flips, beside the exact memory."""

from __future__ import annotations

import time
import warnings

import torch
from torch import Tensor

from attractor.data import nearest_neighbour
from attractor.errors import AttractorWarning
from attractor.memory.random_features import RandomFeatureMemory
from attractor.papers.claim import Row
from attractor.papers.p01_random_features.claims import APART, DESCENT, FALL, FEW, RECALLED, TREND, WRONG
from attractor.papers.p01_random_features.laws import binary, exact_memory, flipped
from attractor.papers.p01_random_features.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

DIM, PATTERNS, BETA, STEPS = 64, 50, 30.0, 150
BITS = DIM * PATTERNS
FALLING_FEATURES, FALLING_STEPS = 4000, 120
DATA = f"{PATTERNS} random vectors of {{0, 1/8}}^{DIM}, 10% flips"


def measure_retrieval(size: Size, seed: int, tell: Tell) -> Measured:
    """Rates of wrong bits with many and with few features, and how the energy changes along plain steps."""
    start = time.perf_counter()
    draws = range(seed * size.retrievals, (seed + 1) * size.retrievals)
    falls = [(beta, alpha, draw) for beta in (10.0, BETA) for alpha in (0.01, 0.1) for draw in draws]
    steps = sweep(plain_steps, falls, lambda done: tell(0.4 * done))
    seconds, states = time.perf_counter() - start, len(falls) * PATTERNS
    worst = {beta: max(one["rise"] for one, fall in zip(steps, falls, strict=True) if fall[0] == beta) for beta in (10.0, BETA)}
    risen = sum(one["risen"] for one in steps) / len(steps)
    told = ", ".join(f"{rise:.2g} at beta = {beta:g}" for beta, rise in worst.items())
    note = f"{FALLING_STEPS} steps, alpha 0.01 and 0.1; worst rise {told}; {risen:.2%} of the states rise at some step"
    rows = [
        Row(DESCENT, max(worst.values()), None, states, seconds, DATA, note=note),
        Row(FALL, min(one["fall"] for one in steps), None, states, seconds, DATA),
    ]
    start = time.perf_counter()
    points = [(count, draw) for count in (RECALLED, FEW) for draw in draws]
    found = sweep(wrong_bits, points, lambda done: tell(0.4 + 0.6 * done))
    seconds, many, few = time.perf_counter() - start, found[: len(draws)], found[len(draws) :]
    wrong, interval = mean_interval([one["wrong"] for one in many])
    nearest = mean_interval([one["nearest"] for one in many])[0]
    rows.append(Row(WRONG, wrong, interval, len(draws) * PATTERNS, seconds, DATA, nearest))
    apart, interval = mean_interval([abs(one["wrong"] - one["exact"]) for one in many])
    rows.append(Row(APART, apart, interval, len(draws) * PATTERNS, seconds, DATA))
    worse = mean_interval([one["wrong"] for one in few])[0]
    rows.append(
        Row(
            TREND,
            worse / max(wrong, 1 / (BITS * len(draws))),
            None,
            len(draws) * PATTERNS,
            seconds,
            DATA,
            note=f"wrong at Y = {FEW}: {worse:.3f}",
        )
    )
    return Measured(rows)


def wrong_bits(features: int, seed: int) -> dict[str, float]:
    """Rates of wrong bits after recall, by this memory, by the exact one, and by the nearest neighbour."""
    generator = torch.Generator().manual_seed(seed)
    patterns = binary(PATTERNS, DIM, generator)
    cues = flipped(patterns, generator)
    memory, exact = RandomFeatureMemory(DIM, features=features, beta=BETA, seed=seed), exact_memory(DIM, BETA)
    with warnings.catch_warnings():
        # with few features states are clipped, which is what is measured
        warnings.simplefilter("ignore", AttractorWarning)
        for one in (memory, exact):
            one.store(patterns)
        ends = memory.recall(cues, max_steps=STEPS).patterns, exact.recall(cues).patterns
    nearest = patterns[nearest_neighbour(cues, patterns)]
    return {name: bits_apart(found, patterns) for name, found in zip(("wrong", "exact", "nearest"), (*ends, nearest), strict=True)}


def bits_apart(found: Tensor, patterns: Tensor) -> float:
    middle = DIM**-0.5 / 2
    return float(((found > middle) != (patterns > middle)).float().mean())


def plain_steps(beta: float, alpha: float, seed: int) -> dict[str, float]:
    """The estimated energy along plain steps of gradient descent, in float64; clipped states stay where they are.

    `rise` is the largest in one step, `risen` the rate of states that rise at some step, `fall` the mean from first to last.
    """
    generator = torch.Generator().manual_seed(seed)
    patterns = binary(PATTERNS, DIM, generator)
    states = flipped(patterns, generator).double()
    memory = RandomFeatureMemory(DIM, features=FALLING_FEATURES, beta=beta, seed=seed)
    memory.store(patterns.double())
    energies = [memory.energy(states)]
    for _ in range(FALLING_STEPS):
        states = states + alpha * memory.force(states)
        energies.append(memory.energy(states))
    rises = torch.stack(energies).diff(dim=0).amax(0)
    return {
        "rise": float(rises.max().clamp_min(0)),
        "risen": float((rises > 1e-9).double().mean()),
        "fall": float((energies[0] - energies[-1]).mean()),
    }
