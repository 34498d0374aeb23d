"""Kanerva's memory: what it recalls of random patterns against their number."""

from __future__ import annotations

import time
from statistics import fmean

import torch

from attractor.memory import SparseDistributedMemory
from attractor.memory.sparse_distributed import radius_for, reached_share
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p15_sdm.claims import NARROW, ONE_READ, OVERLOADED, RADIUS, RECALLED, WIDE
from attractor.papers.p15_sdm.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson
from attractor.papers.sweep import sweep

READS = 10
CURVES = ((0.01, 0.0, 1), (0.003, 0.0, 1), (0.01, 0.1, 1), (0.01, 0.1, READS), (0.003, 0.1, READS), (0.01, 0.2, READS))
"""Activation p, share of flipped bits, most reads."""

ROWS: tuple[tuple[Claim, int, tuple[float, float, int]], ...] = (
    (RECALLED, 100, (0.01, 0.1, READS)),
    (ONE_READ, 100, (0.01, 0.1, 1)),
    (NARROW, 800, (0.003, 0.0, 1)),
    (WIDE, 800, (0.01, 0.0, 1)),
    (OVERLOADED, 1600, (0.01, 0.0, 1)),
)


def measure_capacity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the radius and for recall, and recall against load."""
    radius = radius_for(1000, 0.000368)
    note = f"reaches {reached_share(1000, radius):.6f} of random locations, 451 would reach {reached_share(1000, 451):.5f}"
    rows = [Row(RADIUS, float(radius), None, 1, 0.0, "binomial quantile", note=note)]
    start = time.perf_counter()
    seeds = range(seed * size.memories, (seed + 1) * size.memories)
    points = [(*curve, load, one, size.width, size.locations) for curve in CURVES for load in size.loads for one in seeds]
    found = dict(zip(points, sweep(recalled, points, tell), strict=True))
    seconds = time.perf_counter() - start
    data = f"random patterns of {size.width} bits, {size.locations} locations"
    for claim, load, curve in ROWS:
        results = [found[(*curve, load, one, size.width, size.locations)] for one in seeds]
        n, right = load * len(seeds), sum(one["exact"] for one in results)
        neighbour = sum(one["neighbour"] for one in results) / n
        active = fmean(one["active"] for one in results)
        rows.append(Row(claim, right / n, wilson(right, n), n, seconds, data, neighbour, f"{active:.1f} locations active"))

    def curve_of(label: str, curve: tuple[float, float, int], what: str) -> Series:
        rates = [fmean(found[(*curve, load, one, size.width, size.locations)][what] / load for one in seeds) for load in size.loads]
        return Series(label, tuple(map(float, size.loads)), tuple(rates), style="line")

    series = [
        curve_of(f"p = {share:g}, {flips:.0%} flipped, {reads} read{'s' if reads > 1 else ''}", (share, flips, reads), "exact")
        for share, flips, reads in CURVES
    ]
    series.append(curve_of(f"nearest neighbour, {CURVES[-1][1]:.0%} flipped", CURVES[-1], "neighbour"))
    title = f"Kanerva's memory, {size.width} bits, {size.locations} locations"
    return Measured(rows, [Chart("kanerva", title, "patterns stored", "recalled exactly", tuple(series), "log")])


def recalled(share: float, flips: float, reads: int, load: int, seed: int, width: int, locations: int) -> dict[str, float]:
    """How many of `load` patterns come back exactly, how many nearest neighbours are right, how many locations answer to a cue."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randint(0, 2, (load, width), generator=generator) * 2.0 - 1
    places = torch.rand(load, width, generator=generator).argsort(1)[:, : round(flips * width)]
    cues = patterns.scatter(1, places, -patterns.gather(1, places))
    memory = SparseDistributedMemory(width, locations=locations, activation=share, seed=seed)
    memory.store(patterns)
    exact = (memory.recall(cues, max_steps=reads).patterns == patterns).all(1)
    nearest = (cues @ patterns.T).argmax(1) == torch.arange(load)
    active = (cues @ memory.addresses.float().T >= width - 2 * memory.radius).sum(1).double().mean()
    return {"exact": int(exact.sum()), "neighbour": int(nearest.sum()), "active": float(active)}
