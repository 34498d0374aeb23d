"""The error of energy and gradient against the number of features, of patterns, and the inverse temperature."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import exp, sqrt
from statistics import fmean

import torch
from torch import Tensor

from attractor.data import BitFlip
from attractor.memory.dense import DenseMemory
from attractor.memory.random_features import RandomFeatureMemory
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p01_random_features.claims import COLD, CONSTANT, ENERGY_SLOPE, ESTIMATED, FORCE_SLOPE, GROWTH
from attractor.papers.p01_random_features.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval, log_log_slope, mean_interval
from attractor.papers.sweep import sweep
from attractor.papers.text import listed
from attractor.read import Euclidean, SoftMax

DIM, PATTERNS, BETA, COLD_BETA, GROWING = 100, 500, 10.0, 30.0, 10_000
DATA = "random vectors of {0, 1/sqrt(D)}^D, D = 100"


def measure_features(size: Size, seed: int, tell: Tell) -> Measured:
    """Exponents of the error in the number of features, its constant, and the error that the memory itself reports."""
    start = time.perf_counter()
    draws = range(seed * size.draws, (seed + 1) * size.draws)
    points = [(PATTERNS, count, beta, size.states, draw) for beta in (BETA, COLD_BETA) for count in size.features for draw in draws]
    found = dict(zip(points, sweep(measure_errors, points, tell), strict=True))
    seconds = time.perf_counter() - start

    def of(name: str, beta: float, count: int) -> list[float]:
        return [found[PATTERNS, count, beta, size.states, draw][name] for draw in draws]

    rows = []
    for claim, name in ((ENERGY_SLOPE, "energy"), (FORCE_SLOPE, "force")):
        errors = [of(name, BETA, count) for count in size.features]
        slopes = [log_log_slope(size.features, [some[place] for some in errors])[0] for place in range(size.draws)]
        slope, interval = mean_interval(slopes)
        rows.append(Row(claim, slope, interval, size.draws, seconds, DATA, note=f"Y = {listed(size.features)}, beta = {BETA:g}"))
    scaled = [sqrt(count) * error for count in size.features for error in of("energy", BETA, count)]
    told = [ratio for count in size.features for ratio in of("told", BETA, count)]
    colder = [
        a / b for count in size.features for a, b in zip(of("energy", COLD_BETA, count), of("energy", BETA, count), strict=True)
    ]
    note = f"{3 * size.states} states for each of {len(scaled)} memories: patterns, 10% flips, random"
    rows.append(Row(CONSTANT, *mean_interval(scaled), len(scaled), seconds, DATA, note=note))
    rows.append(Row(ESTIMATED, *geometric_interval(told), len(told), seconds, DATA, note=note))
    lost = max(of("lost", COLD_BETA, size.features[0]))
    note = f"lost in the noise at beta = {COLD_BETA:g}, Y = {size.features[0]}: up to {lost:.0%} of the states"
    rows.append(Row(COLD, *geometric_interval(colder), len(colder), seconds, DATA, note=note))
    series = []
    for name, label in (("energy", "energy"), ("force", "gradient")):
        for beta in (BETA, COLD_BETA):
            series += curve(f"{label}, beta = {beta:g}", size.features, [of(name, beta, count) for count in size.features])
    labels = ("features Y", "mean absolute error (bars: range)")
    return Measured(rows, [Chart("features", f"Error against features, {PATTERNS} patterns", *labels, tuple(series), "log", "log")])


def measure_growth(size: Size, seed: int, tell: Tell) -> Measured:
    """The exponent of the error of the sum of kernels in the number of patterns."""
    start = time.perf_counter()
    draws = range(seed * size.draws, (seed + 1) * size.draws)
    points = [(count, GROWING, COLD_BETA, size.states, draw) for count in size.patterns for draw in draws]
    found = dict(zip(points, sweep(measure_errors, points, tell), strict=True))
    errors = [[found[count, GROWING, COLD_BETA, size.states, draw]["kernels"] for draw in draws] for count in size.patterns]
    slopes = [log_log_slope(size.patterns, [some[place] for some in errors])[0] for place in range(size.draws)]
    note = f"K = {listed(size.patterns)}, Y = {GROWING}, beta = {COLD_BETA:g}"
    row = Row(GROWTH, *mean_interval(slopes), size.draws, time.perf_counter() - start, DATA, note=note)
    labels = ("patterns K", "mean absolute error of the sum of kernels (bars: range)")
    series = tuple(curve("measured", size.patterns, errors))
    return Measured([row], [Chart("patterns", f"Error against patterns, Y = {GROWING}", *labels, series, "log", "log")])


def measure_errors(patterns: int, features: int, beta: float, states: int, seed: int) -> dict[str, float]:
    """Mean absolute errors of a memory at stored patterns, at 10% flips and at random states.

    `energy` and `force` are those of the two, `kernels` that of the sum of kernels, `told` the reported standard error over the
    error measured, both as root mean squares of the states that are not lost in the noise, and `lost` the rate of those that are.
    """
    generator = torch.Generator().manual_seed(seed)
    stored, random = (binary(rows, DIM, generator) for rows in (patterns, states))
    near = flipped(stored[:states], generator)
    asked = torch.cat([stored[:states], near, random])
    memory, exact = RandomFeatureMemory(DIM, features=features, beta=beta, seed=seed), exact_memory(DIM, beta)
    memory.store(stored)
    exact.store(stored)
    energy, estimate = exact.energy(asked), memory.error_estimate(asked)
    off = estimate.energy - energy
    seen = estimate.standard_error.isfinite()
    # a logarithm would hide how far sums at or below the floor are off
    summed = RandomFeatureMemory(DIM, features=features, beta=beta, energy="sum", seed=seed)
    summed.merge(memory)
    kernels = -beta * summed.energy(asked).double() - (-beta * energy.double()).exp()
    return {
        "energy": float(off.abs().mean()),
        "force": float((memory.force(asked) - (exact.read(asked).values - asked)).norm(dim=-1).mean()),
        "kernels": float(kernels.abs().mean()),
        "told": float((estimate.standard_error[seen].square().mean() / off[seen].square().mean()).sqrt()),
        "lost": float((~seen).float().mean()),
    }


def exact_memory(dim: int, beta: float) -> DenseMemory:
    """The memory that random features approximate."""
    return DenseMemory(dim, similarity=Euclidean(), separation=SoftMax(beta))


def binary(rows: int, dim: int, generator: torch.Generator) -> Tensor:
    """Random vectors `(rows, dim)` of 0 and `1/sqrt(dim)`."""
    return torch.randint(0, 2, (rows, dim), generator=generator).float() * dim**-0.5


def flipped(patterns: Tensor, generator: torch.Generator) -> Tensor:
    """Binary patterns with a tenth of their entries flipped."""
    scale = patterns.shape[1] ** 0.5
    return BitFlip(0.1)(patterns * scale, generator=generator).cue / scale


def curve(label: str, x: Sequence[int], y: Sequence[Sequence[float]]) -> list[Series]:
    """What was measured with the range of the draws, and the straight line through the logarithms of the means."""
    places, means = tuple(map(float, x)), tuple(map(fmean, y))
    slope, intercept = log_log_slope(places, means)
    ends = (places[0], places[-1])
    line = Series(f"slope {slope:.2f}", ends, tuple(exp(intercept) * end**slope for end in ends), style="guide")
    return [Series(label, places, means, tuple(map(min, y)), tuple(map(max, y))), line]
