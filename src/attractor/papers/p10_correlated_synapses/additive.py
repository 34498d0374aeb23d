"""Additive rules: the catastrophe and its cure, at one size and against sizes, and the two ways to retrieve."""

from __future__ import annotations

import time
from itertools import pairwise

from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p10_correlated_synapses.claims import (
    ALL_SIZES,
    AWARE,
    COVARIANCE,
    DYNAMICS,
    GROWTH,
    NAIVE,
    RULES,
    SIZES_MEASURED,
)
from attractor.papers.p10_correlated_synapses.recalling import WAYS, Errors, curve, per_network, recalled
from attractor.papers.p10_correlated_synapses.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

DATA = "random patterns, half of the neurons active, a tenth of the cue flipped"
NEURONS = 100
ALL_RULES = (*RULES, "covariance")


def point(rule: str, size: int, networks: int, method: str, ways: tuple[str, ...], seed: int) -> tuple[object, ...]:
    """T = N / 10 patterns, every one of them recalled."""
    stored = size // 10
    return (rule, size, stored, tuple(range(stored)), networks, 1.0, method, ways, seed)


def measure_additive(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the rules at N = 100, for hebb against N, and for mean field beside Gibbs; a figure of errors against N."""
    start = time.perf_counter()
    wanted = [(rule, neurons) for rule in ALL_RULES for neurons in size.neurons]
    points = [point(rule, neurons, size.networks, "mean-field", WAYS, seed) for rule, neurons in wanted]
    points.append(point("hebb", SIZES_MEASURED[-1], size.networks, "gibbs", ("known",), seed))
    *found, gibbs = sweep(recalled, points, tell)
    errors: dict[tuple[str, int], Errors] = dict(zip(wanted, found, strict=True))
    seconds = time.perf_counter() - start
    rows = []
    for rule in RULES:
        for claim, way in ((NAIVE[rule], "ignored"), (AWARE[rule], "known")):
            rows.append(row(claim, errors[rule, NEURONS], way, size, seconds))
    rows.append(difference(COVARIANCE, errors["covariance", NEURONS], "ignored", errors["covariance", NEURONS], size, seconds))
    hebb = [errors["hebb", neurons] for neurons in SIZES_MEASURED]
    rises = []
    for small, large in pairwise(hebb):
        pairs = zip(per_network(small["ignored"]), per_network(large["ignored"]), strict=True)
        rises.append(mean_interval([more - less for less, more in pairs]))
    rise, interval = min(rises)
    means = ", ".join(f"{mean_interval(per_network(one['ignored']))[0]:.3f}" for one in hebb)
    rows.append(row_of(GROWTH, rise, interval, size, seconds, f"wrong neurons {means}"))
    worst = max(hebb, key=lambda one: mean_interval(per_network(one["known"]))[0])
    rows.append(row(ALL_SIZES, worst, "known", size, seconds))
    rows.append(difference(DYNAMICS, hebb[-1], "known", gibbs, size, seconds))
    return Measured(rows, [chart(errors, size)])


def row(claim: Claim, errors: Errors, way: str, size: Size, seconds: float) -> Row:
    """The mean over networks beside the nearest stored pattern."""
    mean, interval = mean_interval(per_network(errors[way]))
    trials = sum(map(len, errors[way]))
    baseline = mean_interval(per_network(errors["nearest"]))[0]
    return row_of(claim, mean, interval, size, seconds, f"{trials} recalls in {size.networks} networks", baseline)


def difference(claim: Claim, errors: Errors, way: str, others: Errors, size: Size, seconds: float) -> Row:
    """`way` of some recalls less what is known of the others, network by network."""
    pairs = zip(per_network(errors[way]), per_network(others["known"]), strict=True)
    mean, interval = mean_interval([one - other for one, other in pairs])
    return row_of(claim, mean, interval, size, seconds, f"{sum(map(len, errors[way]))} recalls of each")


def row_of(
    claim: Claim,
    mean: float,
    interval: tuple[float, float] | None,
    size: Size,
    seconds: float,
    note: str,
    baseline: float | None = None,
) -> Row:
    return Row(claim, mean, interval, size.networks, seconds, DATA, baseline=baseline, note=note)


def chart(errors: dict[tuple[str, int], Errors], size: Size) -> Chart:
    """Errors against N, exact against naive."""
    x = tuple(map(float, size.neurons))
    series: list[Series] = []
    for rule in ALL_RULES:
        for way in WAYS:
            points = [per_network(errors[rule, neurons][way]) for neurons in size.neurons]
            series.append(curve(f"{rule}, correlations {way}", x, points))
    series.append(curve("the cue", x, [per_network(errors["hebb", neurons]["cue"]) for neurons in size.neurons]))
    title = "Wrong neurons after recall, T = N / 10 (bars: 95% intervals)"
    return Chart("sizes", title, "neurons N", "wrong neurons, rate", tuple(series), x_scale="log")
