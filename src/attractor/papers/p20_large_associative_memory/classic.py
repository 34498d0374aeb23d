"""The classic network: the load at which its memory breaks down, and how many patterns it keeps without a wrong bit."""

from __future__ import annotations

import time
from statistics import fmean

from attractor.memory.hopfield import HopfieldMemory
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p20_large_associative_memory.claims import DIMS, ERROR_FREE, KEPT, KNEE, OVERLAP
from attractor.papers.p20_large_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.storage import crossing, hebbian_error_free, hebbian_overlap

DATA = "random patterns of -1 and 1"


def measure_knee(size: Size, seed: int, tell: Tell) -> Measured:
    """The load at which the mean overlap of asynchronous Hebbian recall, started at stored patterns, crosses 0.9."""
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    rows, series = [], []
    for done, dim in enumerate(DIMS):
        start = time.perf_counter()
        curves = []
        for count, each in enumerate(seeds):
            tell((done + count / len(seeds)) / len(DIMS))
            curves.append([hebbian_overlap(dim, round(load * dim), cues=size.cues, seed=each) for load in size.loads])
        knee, interval = mean_interval([crossing(size.loads, curve, OVERLAP) for curve in curves])
        note = f"{size.cues} patterns recalled at each of {len(size.loads)} loads"
        rows.append(Row(KNEE[dim], knee, interval, len(seeds), time.perf_counter() - start, DATA, note=note))
        columns = list(zip(*curves, strict=True))
        means, low, high = tuple(map(fmean, columns)), tuple(map(min, columns)), tuple(map(max, columns))
        series.append(Series(f"N = {dim}", size.loads, means, low, high, "line"))
    series.append(Series(f"overlap {OVERLAP}", (size.loads[0], size.loads[-1]), (OVERLAP, OVERLAP), style="guide"))
    claim = KNEE[DIMS[-1]]
    assert claim.least is not None and claim.most is not None
    band = (f"claim: {claim.rule}", claim.least, claim.most)
    title = "Classic network: recall started at stored patterns"
    labels = ("patterns a neuron", "mean overlap (bars: range of networks)")
    return Measured(rows, [Chart("knee", title, *labels, tuple(series), bands=(band,))])


def measure_error_free(size: Size, seed: int, tell: Tell) -> Measured:
    """The largest number of patterns most of which are at rest, against the theory."""
    seeds = range(seed * size.networks, (seed + 1) * size.networks)
    rows = []
    for dim in DIMS:
        start = time.perf_counter()
        theory = HopfieldMemory(dim).capacity_estimate(error_free=True).patterns
        counts = [hebbian_error_free(dim, kept=KEPT, precision=size.precision, seed=each) for each in seeds]
        ratio, interval = mean_interval([count / theory for count in counts])
        note = f"{fmean(counts):.0f} patterns measured, {theory:.0f} in theory"
        rows.append(Row(ERROR_FREE[dim], ratio, interval, len(seeds), time.perf_counter() - start, DATA, note=note))
    return Measured(rows)
