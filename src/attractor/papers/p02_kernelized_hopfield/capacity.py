"""How many memories keep apart in so many dimensions: random ones at a temperature, and learned against random codes."""

from __future__ import annotations

import math
import time
from statistics import linear_regression

import torch
from torch.nn.functional import normalize

from attractor.memory.kernel import KernelMemory, UHopPlus
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p02_kernelized_hopfield.claims import GROWTH, LEARNED, WANTED
from attractor.papers.p02_kernelized_hopfield.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval, mean_interval
from attractor.papers.storage import largest_count
from attractor.papers.sweep import sweep
from attractor.papers.text import listed
from attractor.read import SoftMax

BETA, WEIGHT, KEPT, PRECISION = 20.0, 0.9, 0.9, 0.03
DATA = "random unit vectors"
CLAIMED = 4
DRAWN = 200


def random_capacity(dim: int, seed: int) -> int:
    """The most random unit vectors of which 90% keep 0.9 of the weight of a read."""

    def keeps(count: int) -> bool:
        generator = torch.Generator().manual_seed(seed)
        patterns = normalize(torch.randn(count, dim, generator=generator), dim=-1)
        memory = KernelMemory(dim, separation=SoftMax(BETA))
        memory.store(patterns)
        # the score of a memory with itself is 1, its weight exp(beta (1 - Psi))
        own = (BETA * (1 - memory.read(patterns).potential)).exp()
        return float((own > WEIGHT).float().mean()) >= KEPT

    return largest_count(keeps, 2, precision=PRECISION)


def learned_size(dim: int, steps: int, seed: int) -> int:
    """The most memories that U-Hop+ places with the separation wanted."""

    def fits(count: int) -> bool:
        if count == 1:
            return True
        memory = KernelMemory(count, features=dim)
        memory.store(torch.eye(count))
        return memory.learn(UHopPlus(steps=steps, restarts=1, whiten=True), seed=seed).after >= WANTED

    return largest_count(fits, 2, precision=0.0)


def random_size(dim: int, seed: int) -> int:
    """How many unit vectors drawn one after the other keep the separation wanted."""
    drawn = normalize(torch.randn(DRAWN, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)
    too_near = (1 - drawn @ drawn.T < WANTED).tril(-1).any(-1)
    return int(too_near.int().argmax()) if bool(too_near.any()) else len(drawn)


def measure_capacity(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the growth with the dimension and for learned against random codes, with their chart."""
    start = time.perf_counter()
    seeds = range(seed * size.capacities, (seed + 1) * size.capacities)
    results = iter(sweep(random_capacity, [(dim, each) for dim in size.growth for each in seeds], lambda done: tell(done / 2)))
    kept = {dim: [next(results) for _ in seeds] for dim in size.growth}
    factors = [
        math.exp(linear_regression(size.growth, [math.log(kept[dim][one]) for dim in size.growth])[0]) for one in range(len(seeds))
    ]
    growth, interval = geometric_interval(factors)
    note = f"D = {listed(size.growth)}: {listed([round(mean_interval(kept[dim])[0]) for dim in size.growth])} memories"
    rows = [Row(GROWTH, growth, interval, len(seeds), time.perf_counter() - start, DATA, note=note)]
    start = time.perf_counter()
    points = [(dim, size.steps, each) for dim in size.learned for each in seeds]
    results = iter(sweep(learned_size, points, lambda done: tell((1 + done) / 2)))
    learned = {dim: [next(results) for _ in seeds] for dim in size.learned}
    drawn = {dim: [random_size(dim, each) for each in range(100)] for dim in size.learned}
    ratio, interval = mean_interval([count / mean_interval(drawn[CLAIMED])[0] for count in learned[CLAIMED]])
    note = f"{mean_interval(learned[CLAIMED])[0]:.0f} learned, {mean_interval(drawn[CLAIMED])[0]:.2f} random (mean of 100 draws)"
    rows.append(Row(LEARNED, ratio, interval, len(seeds), time.perf_counter() - start, DATA, note=note))
    dims = tuple(map(float, size.learned))
    means = [tuple(mean_interval(found[dim])[0] for dim in size.learned) for found in (learned, drawn)]
    series = (Series("learned by U-Hop+", dims, means[0]), Series("random", dims, means[1]))
    title = f"Memories of separation {WANTED}"
    return Measured(rows, [Chart("sizes", title, "dimensions", "memories", series, "linear", "log")])
