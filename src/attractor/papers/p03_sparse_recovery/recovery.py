"""Recovery against the number of errors: three models of data, and errors that an adversary places."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from attractor.memory.sparse_recovery import (
    LinearCode,
    SparseRecoveryMemory,
    adversarial_errors,
    correctable_errors,
    random_errors,
)
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p03_sparse_recovery.claims import (
    ABOVE,
    ADVERSARY,
    BELOW,
    EASY,
    ENOUGH,
    EXACT,
    HARD,
    MIDDLE,
    MODELS,
    NEIGHBOUR,
    PROJECTED,
    UNSEEN,
)
from attractor.papers.p03_sparse_recovery.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.storage import crossing
from attractor.papers.sweep import sweep

RIGHT = 1e-3
BOOTSTRAPS = 200
NEARLY, SUFFICIENT = 0.9, 1.1


def measure_transition(size: Size, seed: int, tell: Tell) -> Measured:
    """The share of recalls that are right against the number of errors, for each model of data."""
    theory = correctable_errors(0.5) * size.n
    counts = [round(share * theory) for share in size.shares]
    rows, series = [], []
    for done, name in enumerate(MODELS):
        start = time.perf_counter()
        hits = sweep(recalled, [(name, size.n, count, size.trials, seed, False) for count in counts])
        seconds, data = time.perf_counter() - start, f"{MODELS[name]}, n = {size.n}, m = {size.n // 2}"
        middle, interval = half(counts, hits, size.trials, seed)
        ends = None if interval is None else (interval[0] / theory, interval[1] / theory)
        note = f"{size.trials} recalls at each of {len(counts)} numbers of errors; theory {theory:.1f}"
        rows.append(Row(MIDDLE[name], middle / theory, ends, size.trials * len(counts), seconds, data, note=note))
        for claim, share in ((BELOW[name], EASY), (ABOVE[name], HARD)):
            right = hits[size.shares.index(share)]
            note = f"{counts[size.shares.index(share)]} errors"
            rows.append(
                Row(claim, right / size.trials, wilson(right, size.trials), size.trials, seconds / len(counts), data, note=note)
            )
        series.append(curve(MODELS[name], counts, hits, size.trials))
        tell((done + 1) / len(MODELS))
    series.append(Series("theory", (theory, theory), (0.0, 1.0), style="guide"))
    title = f"Recall by basis pursuit, n = {size.n}, {size.n // 2} constraints"
    return Measured(rows, [Chart("transition", title, "wrong coordinates", "share recalled", tuple(series))])


def measure_adversary(size: Size, seed: int, tell: Tell) -> Measured:
    """The same for errors that are placed to harm, beside random ones."""
    start = time.perf_counter()
    theory = correctable_errors(0.5) * size.n
    curves: list[tuple[list[int], list[int]]] = []
    for shares, worst in ((size.worst, True), (size.shares, False)):
        counts = [max(1, round(share * theory)) for share in shares]
        hits = sweep(recalled, [("gaussian", size.n, count, size.trials, seed, worst) for count in counts])
        curves.append((counts, hits))
        tell(len(curves) / 2)
    placed, spread = (half(counts, hits, size.trials, seed) for counts, hits in curves)
    interval = None
    if placed[1] is not None and spread[1] is not None:
        interval = placed[1][0] / spread[1][1], placed[1][1] / spread[1][0]
    note = f"{placed[0]:.1f} against {spread[0]:.1f} errors; interval from the ends of both"
    data = f"{MODELS['gaussian']}, n = {size.n}, m = {size.n // 2}"
    n = size.trials * sum(len(counts) for counts, _ in curves)
    row = Row(ADVERSARY, placed[0] / spread[0], interval, n, time.perf_counter() - start, data, note=note)
    series = tuple(
        curve(label, *one, size.trials) for label, one in zip(("placed by an adversary", "in random places"), curves, strict=True)
    )
    chart = Chart("adversary", f"Recall by basis pursuit, n = {size.n}", "wrong coordinates", "share recalled", series)
    return Measured([row], [chart])


def measure_baselines(size: Size, seed: int, tell: Tell) -> Measured:
    """Recall of patterns that were never stored, beside projection, the nearest stored pattern, and stored patterns."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(seed)
    n, r, k = size.n, size.n - size.n // 2, round(0.12 * size.n)
    code = LinearCode.gaussian(n, r, generator=generator)
    stored, fresh = (code.draw(count, generator=generator)[1] for count in (max(size.others, size.unseen), size.unseen))
    memory = SparseRecoveryMemory(n)
    memory.store(stored)
    errors = random_errors(fresh, k, generator=generator)
    cues = fresh + errors
    right = same(memory.recall(cues).patterns, fresh)
    tell(0.4)
    projected = same(cues - memory.subspace.violation(cues), fresh)
    nearest = same(stored[torch.cdist(cues, stored[: size.others]).argmin(1)], fresh)
    seconds, data = time.perf_counter() - start, f"{MODELS['gaussian']}, n = {n}, m = {n - r}, {k} errors"
    baseline = float(nearest.double().mean())
    count = size.unseen
    hits = int(right.sum())
    rows = [Row(EXACT, hits / count, wilson(hits, count), count, seconds, data, baseline, f"{len(stored)} other patterns stored")]
    for claim, hit in ((PROJECTED, projected), (NEIGHBOUR, nearest)):
        rows.append(Row(claim, float(hit.double().mean()), wilson(int(hit.sum()), count), count, seconds, data))
    start = time.perf_counter()
    hard = round(NEARLY * correctable_errors(0.5) * n)
    errors = random_errors(fresh, hard, generator=generator)
    told = [same(memory.recall(some + errors).patterns, some).double() for some in (stored[:count], fresh)]
    difference, interval = mean_interval((told[0] - told[1]).tolist())
    rates = [float(each.mean()) for each in told]
    note = f"stored {rates[0]:.3f}, never stored {rates[1]:.3f}, with the same errors"
    data = f"{MODELS['gaussian']}, n = {n}, m = {n - r}, {hard} errors"
    rows.append(Row(UNSEEN, difference, interval, count, time.perf_counter() - start, data, note=note))
    tell(1.0)
    return Measured(rows)


def measure_patterns(size: Size, seed: int, tell: Tell) -> Measured:
    """Recall against the number of patterns that the constraints are learned from, of those and of others."""
    start = time.perf_counter()
    n, r, k = size.n, size.n - size.n // 2, round(0.12 * size.n)
    generator = torch.Generator().manual_seed(seed)
    code = LinearCode.gaussian(n, r, generator=generator)
    counts = [round(share * r) for share in size.stored]
    hits: tuple[list[int], list[int]] = [], []
    for done, count in enumerate(counts):
        stored, fresh = (code.draw(many, generator=generator)[1] for many in (count, size.trials))
        memory = SparseRecoveryMemory(n)
        memory.store(stored)
        errors = random_errors(fresh, k, generator=generator)
        again = stored[torch.randint(count, (size.trials,), generator=generator)]
        for tally, patterns in zip(hits, (again, fresh), strict=True):
            tally.append(int(same(memory.recall(patterns + errors).patterns, patterns).sum()))
        tell((done + 1) / len(counts))
    seconds, data = time.perf_counter() - start, f"{MODELS['gaussian']}, n = {n}, r = {r}, {k} errors"
    place = size.stored.index(SUFFICIENT)
    right = hits[1][place]
    row = Row(ENOUGH, right / size.trials, wilson(right, size.trials), size.trials, seconds, data, note=f"{counts[place]} stored")
    series = tuple(
        curve(label, counts, tally, size.trials) for label, tally in zip(("stored patterns", "never stored"), hits, strict=True)
    )
    title = f"Recall by basis pursuit, n = {n}, {k} wrong coordinates"
    return Measured([row], [Chart("patterns", title, "patterns stored", "share recalled", series, x_scale="log")])


def recalled(model: str, n: int, count: int, trials: int, seed: int, worst: bool) -> int:
    """How many of `trials` patterns are recalled with `count` errors, from `n - n // 2` samples of their subspace."""
    generator = torch.Generator().manual_seed(seed)
    code = code_of(model, n, n - n // 2, generator)
    memory = SparseRecoveryMemory(n)
    memory.store(code.directions)
    patterns = code.draw(trials, generator=generator)[1]
    errors = (
        adversarial_errors(patterns, memory.subspace.span, count) if worst else random_errors(patterns, count, generator=generator)
    )
    return int(same(memory.recall(patterns + errors).patterns, patterns).sum())


def code_of(model: str, n: int, r: int, generator: torch.Generator) -> LinearCode:
    if model == "dct":
        return LinearCode.orthonormal(n, r, generator=generator)
    return (LinearCode.gaussian if model == "gaussian" else LinearCode.signs)(n, r, generator=generator)


def same(found: Tensor, patterns: Tensor) -> Tensor:
    """Which rows are right to a thousandth of their norm."""
    return (found - patterns).norm(dim=1) <= RIGHT * patterns.norm(dim=1)


def half(counts: Sequence[int], hits: Sequence[int], trials: int, seed: int) -> tuple[float, tuple[float, float] | None]:
    """The number of errors at which half is recalled, and its interval by drawing the counts anew."""
    generator = torch.Generator().manual_seed(seed)
    rates = torch.tensor([hit / trials for hit in hits], dtype=torch.float64)
    drawn = [
        crossing(counts, torch.bernoulli(rates.expand(trials, -1), generator=generator).mean(0).tolist(), 0.5)
        for _ in range(BOOTSTRAPS)
    ]
    drawn.sort()
    return crossing(counts, rates.tolist(), 0.5), (drawn[round(0.025 * BOOTSTRAPS)], drawn[round(0.975 * BOOTSTRAPS) - 1])


def curve(label: str, counts: Sequence[int], hits: Sequence[int], trials: int) -> Series:
    low, high = zip(*(wilson(hit, trials) for hit in hits), strict=True)
    return Series(label, tuple(map(float, counts)), tuple(hit / trials for hit in hits), low, high, "line")
