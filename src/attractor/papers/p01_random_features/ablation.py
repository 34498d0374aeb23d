"""The choice among feature maps: the error of the sum of kernels at each inverse temperature, with equal numbers of features."""

from __future__ import annotations

import time
import warnings
from math import exp, log
from statistics import fmean

import torch

from attractor.data import DataUnavailableError, load
from attractor.errors import AttractorWarning
from attractor.memory.random_features import RandomFeatureMemory
from attractor.papers.claim import Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p01_random_features.claims import BEST, DEGRADED, PAPERS_LEAST
from attractor.papers.p01_random_features.laws import exact_memory
from attractor.papers.p01_random_features.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval
from attractor.papers.sweep import sweep

MAPS = ("sincos", "cos", "exp", "expexp")
PATTERNS, QUERIES = 500, 400
DATA = "scikit-learn's digits, of unit mean square length"


def measure_ablation(size: Size, seed: int, tell: Tell) -> Measured:
    """The lead of SinCos over the best other map, and by how much the positive maps fall behind it as beta rises."""
    start = time.perf_counter()
    try:
        load("digits")
    except DataUnavailableError as error:
        return Measured(unmeasured((BEST, *DEGRADED.values()), DATA, f"needs scikit-learn: {error}"))
    draws = range(seed * size.draws, (seed + 1) * size.draws)
    points = [(name, beta, size.ablation_features, draw) for name in MAPS for beta in size.ablation for draw in draws]
    found = dict(zip(points, sweep(map_error, points, tell), strict=True))
    errors = {
        name: {beta: [found[name, beta, size.ablation_features, draw] for draw in draws] for beta in size.ablation} for name in MAPS
    }
    seconds = time.perf_counter() - start
    means = {name: {beta: fmean(some) for beta, some in at.items()} for name, at in errors.items()}
    leads = {beta: min(means[name][beta] for name in MAPS[1:]) / means["sincos"][beta] for beta in size.ablation}
    least = min(leads, key=lambda beta: leads[beta])
    note = f"Y = {size.ablation_features}, beta = {', '.join(f'{beta:g}' for beta in size.ablation)}; smallest at beta = {least:g}"
    rows = [Row(BEST, leads[least], None, size.draws, seconds, DATA, note=note)]
    for name, claim in DEGRADED.items():
        behind = {beta: [a / b for a, b in zip(errors[name][beta], errors["sincos"][beta], strict=True)] for beta in size.ablation}
        ratios = [a / b for a, b in zip(behind[size.ablation[-1]], behind[PAPERS_LEAST], strict=True)]
        told = ", ".join(f"{fmean(some):.3g} at {beta:g}" for beta, some in behind.items())
        note = f"Y = {size.ablation_features}; error over that of SinCos: {told}"
        rows.append(Row(claim, *geometric_interval(ratios), size.draws, seconds, DATA, note=note))
    series = tuple(
        Series(
            name, size.ablation, tuple(at.values()), tuple(map(min, errors[name].values())), tuple(map(max, errors[name].values()))
        )
        for name, at in means.items()
    )
    title = f"Feature maps, {PATTERNS} digits stored, Y = {size.ablation_features}"
    labels = ("inverse temperature beta", "mean absolute error of the mean kernel (bars: range)")
    return Measured(rows, [Chart("maps", title, *labels, series, "log", "log")])


def map_error(name: str, beta: float, features: int, seed: int) -> float:
    """The mean absolute error of the sum of kernels at other digits, for each stored pattern."""
    digits = load("digits")
    rows = torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed))[: PATTERNS + QUERIES]
    vectors = digits.patterns[rows]
    vectors = vectors / vectors.square().sum(-1).mean().sqrt()
    patterns, queries = vectors.split([PATTERNS, QUERIES])
    memory = RandomFeatureMemory(digits.dim, features=features, beta=beta, feature_map=name, energy="sum", seed=seed)
    exact = exact_memory(digits.dim, beta)
    with warnings.catch_warnings():
        # positive maps fail where beta is large, which is what is measured
        warnings.simplefilter("ignore", AttractorWarning)
        for one in (memory, exact):
            one.store(patterns)
    estimated = -beta * memory.energy(queries) / PATTERNS
    kernels = torch.tensor([exp(-beta * energy - log(PATTERNS)) for energy in exact.energy(queries).tolist()])
    return float((estimated - kernels).abs().mean())
