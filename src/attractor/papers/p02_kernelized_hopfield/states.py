"""How many recalls come to rest at a single memory, and whether at the nearest one."""

from __future__ import annotations

import time

import torch

from attractor.memory.kernel import KernelMemory, UHopPlus
from attractor.papers.claim import Claim, Row
from attractor.papers.p02_kernelized_hopfield.claims import RAW, SINGLE
from attractor.papers.p02_kernelized_hopfield.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep
from attractor.read import Entmax, SoftMax, Sparsemax

COUNT, ENTRIES, BETA, STEPS = 10, 5, 10.0, 60
SEPARATIONS = {"soft-max": SoftMax(BETA), "1.5-entmax": Entmax(1.5, BETA), "sparsemax": Sparsemax(BETA)}


def rest(separation: str, learn: bool, queries: int, seed: int) -> list[float]:
    """Shares of random cues that come to rest at a single memory, and at the one most similar to them; the mean size."""
    generator = torch.Generator().manual_seed(seed)
    memory = KernelMemory(ENTRIES, separation=SEPARATIONS[separation])
    memory.store(torch.randn(COUNT, ENTRIES, generator=generator))
    if learn:
        memory.learn(UHopPlus(steps=STEPS), seed=seed)
    cues = torch.randn(queries, ENTRIES, generator=generator)
    found = memory.metastable(cues, memory.nearest(cues).ids[:, 0])
    return [found.single, found.identified, float(found.size.float().mean())]


def measure_states(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the claims on metastable states."""
    start = time.perf_counter()
    seeds = range(seed * size.sets, (seed + 1) * size.sets)
    kinds = [("soft-max", False), *((name, True) for name in SEPARATIONS)]
    results = iter(sweep(rest, [(*kind, size.queries, each) for kind in kinds for each in seeds], tell))
    seconds = (time.perf_counter() - start) / len(kinds)
    rows = [state_row(claim, [next(results) for _ in seeds], seconds) for claim in (RAW, *SINGLE.values())]
    return Measured(rows)


def state_row(claim: Claim, found: list[list[float]], seconds: float) -> Row:
    single, interval = mean_interval([one for one, _, _ in found])
    right, size = (mean_interval([each[place] for each in found])[0] for place in (1, 2))
    note = f"{right:.1%} at the memory most similar to the cue; mean size {size:.2f}"
    return Row(claim, single, interval, len(found), seconds, f"{COUNT} normal random memories of {ENTRIES} entries", note=note)
