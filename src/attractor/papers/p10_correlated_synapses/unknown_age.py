"""Recall of a pattern together with its age, beside recall that is told the age or takes it for 0."""

from __future__ import annotations

import math
import time
from statistics import fmean

import torch
from torch import Tensor

from attractor.memory.palimpsest import Cascade, PalimpsestMemory
from attractor.papers.claim import Row
from attractor.papers.figures import Chart
from attractor.papers.p10_correlated_synapses.additive import DATA
from attractor.papers.p10_correlated_synapses.claims import FIXED, FOUND, JOINT
from attractor.papers.p10_correlated_synapses.recalling import curve
from attractor.papers.p10_correlated_synapses.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import Z, mean_interval
from attractor.papers.sweep import sweep

NEURONS, RECENCY, BETA, CUES = 120, 0.3, 0.5, 8
MOST_AGE = 12


def one_network(stored: int, seed: int) -> dict[str, list[float]]:
    """True ages of some cues, the ages found, and the wrong neurons with the age told, found, and taken for 0."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randint(0, 2, (stored, NEURONS), generator=generator).double()
    memory = PalimpsestMemory(NEURONS, plasticity=Cascade("pre"), recency=RECENCY, beta=BETA, seed=seed)
    memory.store(patterns)
    drawn = torch.rand(CUES, generator=generator, dtype=torch.float64)
    ages = (drawn.log() / math.log1p(-RECENCY)).long().clamp_max(MOST_AGE)
    targets = patterns[stored - 1 - ages]
    cues = torch.where(torch.rand(CUES, NEURONS, generator=generator) < memory.flip_rate, 1 - targets, targets)
    found = memory.recall(cues)
    assert found.age is not None

    def wrong(recalled: Tensor) -> list[float]:
        return [float(value) for value in (recalled != targets).double().mean(1)]

    return {
        "true": [float(age) for age in ages],
        "found": [float(age) for age in found.age],
        "cue": wrong(cues),
        "joint": wrong(found.patterns),
        "told": wrong(memory.recall(cues, age=ages).patterns),
        "newest": wrong(memory.recall(cues, age=0).patterns),
    }


def measure_unknown_age(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for recall and age, and a figure of the ages found against the true ones."""
    start = time.perf_counter()
    points = [(size.history, seed * 10_000 + network) for network in range(size.networks)]
    found = sweep(one_network, points, tell)
    seconds = time.perf_counter() - start
    rows = []
    for claim, more, less in ((JOINT, "joint", "told"), (FIXED, "newest", "joint")):
        mean, interval = mean_interval([fmean(one[more]) - fmean(one[less]) for one in found])
        means = ", ".join(f"{name} {fmean(fmean(one[name]) for one in found):.3f}" for name in ("cue", "told", "joint", "newest"))
        note = f"wrong neurons: {means}; {CUES} cues in each network"
        rows.append(Row(claim, mean, interval, size.networks, seconds, DATA, note=note))
    pairs = [pair for one in found for pair in zip(one["true"], one["found"], strict=True)]
    correlation = rank_correlation(torch.tensor(pairs, dtype=torch.float64))
    # Fisher's transformation, with the larger spread of ranks
    centre, half = math.atanh(min(correlation, 1 - 1e-9)), Z * math.sqrt(1.06 / (len(pairs) - 3))
    interval = (math.tanh(centre - half), math.tanh(centre + half))
    rows.append(Row(FOUND, correlation, interval, len(pairs), seconds, DATA, note=f"cues of {size.networks} networks"))
    ages = sorted({true for true, _ in pairs})
    by_age = [[value for true, value in pairs if true == age] for age in ages]
    title = f"Age of the recalled pattern, cascade, pre, N = {NEURONS} (bars: 95% intervals)"
    series = (curve("found", tuple(ages), by_age), curve("true", tuple(ages), [[age] for age in ages]))
    return Measured(rows, [Chart("found-age", title, "true age", "age", series)])


def rank_correlation(pairs: Tensor) -> float:
    """Spearman's, of `pairs (n, 2)`; equal values share their rank."""
    below = (pairs[:, None] > pairs).double().sum(1) + (pairs[:, None] == pairs).double().sum(1) / 2
    ranks = below - below.mean(0)
    return float((ranks[:, 0] * ranks[:, 1]).sum() / ranks.square().sum(0).sqrt().prod().clamp_min(1e-12))
