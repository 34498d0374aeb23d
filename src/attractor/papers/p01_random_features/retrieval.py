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
from attractor.papers.p01_random_features.claims import APART, DESCENT, FEW, RECALLED, TREND, WRONG
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
    """Rates of wrong bits with many and with few features, and the worst rise of the energy."""
    start = time.perf_counter()
    draws = range(seed * size.retrievals, (seed + 1) * size.retrievals)
    falls = [(beta, alpha, draw) for beta in (10.0, BETA) for alpha in (0.01, 0.1) for draw in draws]
    rises = sweep(worst_rise, falls, lambda done: tell(0.4 * done))
    note = f"{FALLING_STEPS} steps, Y = {FALLING_FEATURES}, beta 10 and {BETA:g}, alpha 0.01 and 0.1"
    rows = [Row(DESCENT, max(rises), None, len(rises) * PATTERNS, time.perf_counter() - start, DATA, note=note)]
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


def worst_rise(beta: float, alpha: float, seed: int) -> float:
    """The largest rise of the estimated energy in one step of a recall, in float64."""
    generator = torch.Generator().manual_seed(seed)
    patterns = binary(PATTERNS, DIM, generator)
    cues = flipped(patterns, generator).double()
    memory = RandomFeatureMemory(DIM, features=FALLING_FEATURES, beta=beta, seed=seed)
    memory.store(patterns.double())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttractorWarning)
        trace = memory.recall(cues, max_steps=FALLING_STEPS, alpha=alpha, trace=True).trace
    assert trace is not None and trace.energies is not None
    return float(trace.energies.diff(dim=0).max().clamp_min(0))
