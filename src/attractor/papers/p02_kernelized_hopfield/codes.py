"""The spherical codes that U-Hop+ learns, beside the best ones known and the bounds."""

from __future__ import annotations

import time

import torch

from attractor.memory.kernel import KernelMemory, UHopPlus, optimal_separation, separation_lower_bound, separation_upper_bound
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p02_kernelized_hopfield.claims import CODES, EXCESS, RESTRICTED, WHITE
from attractor.papers.p02_kernelized_hopfield.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

DATA = "normal random memories"
RESTARTS = 3
Kind = tuple[int, int, int, bool]
"""Of a code: memories, entries of each, dimensions, whether the memories are whitened."""


def learned_code(count: int, entries: int, dim: int, whiten: bool, steps: int, seed: int) -> float:
    """The separation of `count` memories of so many `entries` in `dim` dimensions, learned by U-Hop+."""
    memory = KernelMemory(entries, features=dim)
    memory.store(torch.randn(count, entries, generator=torch.Generator().manual_seed(seed)))
    return memory.learn(UHopPlus(steps=steps, restarts=RESTARTS, whiten=whiten), seed=seed).after


def measure_codes(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for all claims on codes, and the chart of separations in three dimensions."""
    start = time.perf_counter()
    seeds = range(seed * size.codes, (seed + 1) * size.codes)
    kinds: list[Kind] = [(count, count, 3, False) for count in size.sphere]
    kinds += [(count, count, dim, True) for count, dim in size.whitened]
    kinds += [(40, 10, 40, False)]
    results = iter(sweep(learned_code, [(*kind, size.steps, each) for kind in kinds for each in seeds], tell))
    found = {kind: [next(results) for _ in seeds] for kind in kinds}
    seconds = (time.perf_counter() - start) / len(kinds)
    rows = [share_of_best(claim, (count, count, 3, False), found, seconds) for count, claim in CODES.items()]
    rows += [share_of_best(claim, (count, count, dim, True), found, seconds) for (count, dim), claim in WHITE.items()]
    excess = max(max(values) - best_of(kind) for kind, values in found.items() if kind[0] == kind[1])
    codes = len(seeds) * (len(kinds) - 1)
    rows.append(Row(EXCESS, excess, None, codes, seconds * (len(kinds) - 1), DATA))
    mean, interval = mean_interval(found[40, 10, 40, False])
    rows.append(Row(RESTRICTED, mean, interval, len(seeds), seconds, DATA))
    return Measured(rows, [chart(size, found)])


def best_of(kind: Kind) -> float:
    """The largest separation that is known to be possible, at most the upper bound."""
    count, _, dim, _ = kind
    best, bound = optimal_separation(count, dim), separation_upper_bound(count, dim)
    return bound if best is None else min(best, bound)


def share_of_best(claim: Claim, kind: Kind, found: dict[Kind, list[float]], seconds: float) -> Row:
    if kind not in found:
        return Row.unmeasured(claim, DATA, "measured at a larger scale")
    share, interval = mean_interval([value / best_of(kind) for value in found[kind]])
    note = f"separation {share * best_of(kind):.4f}, best {best_of(kind):.4f}"
    return Row(claim, share, interval, len(found[kind]), seconds, DATA, note=note)


def chart(size: Size, found: dict[Kind, list[float]]) -> Chart:
    """Separation against the number of memories in three dimensions."""
    counts = tuple(map(float, size.sphere))
    values = [found[count, count, 3, False] for count in size.sphere]
    means = tuple(mean_interval(each)[0] for each in values)
    low, high = tuple(map(min, values)), tuple(map(max, values))
    best = tuple(best_of((count, count, 3, False)) for count in size.sphere)
    return Chart(
        "codes",
        "Learned codes in three dimensions",
        "memories",
        "separation 1 - max cos (bars: range)",
        (
            Series("U-Hop+", counts, means, low, high),
            Series("best code known", counts, best, style="line"),
            Series("upper bound", counts, tuple(separation_upper_bound(count, 3) for count in size.sphere), style="guide"),
            Series("lower bound", counts, tuple(separation_lower_bound(count, 3) for count in size.sphere), style="guide"),
        ),
        "log",
        "log",
    )
