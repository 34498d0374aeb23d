"""Recall error against the noise of the neurons and the number of errors, and patterns that were never seen."""

from __future__ import annotations

import time

import torch

from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p09_noise_enhanced.claims import (
    BEST_QUIET,
    CHECKS,
    DIP,
    FALSE,
    FEW,
    LOUD,
    MANY,
    MODERATE,
    NOISY,
    NOISY_MANY,
    PHI,
    QUIET,
    QUIET_MANY,
    RESIDUAL,
    ROWS,
    SOME,
    STORAGE,
    THRESHOLDS,
    TOO_LOUD,
    WEIGHT,
)
from attractor.papers.p09_noise_enhanced.network import (
    DATA,
    NEURONS,
    ON_SEEN,
    ON_UNSEEN,
    Tally,
    network,
    tally,
)
from attractor.papers.p09_noise_enhanced.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson
from attractor.papers.sweep import sweep

FRESH = 10_000


def measure_learning(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on learned constraints."""
    start = time.perf_counter()
    made = network(seed)
    constraints = made.memory.constraints
    fresh = made.patterns(FRESH, torch.Generator().manual_seed(seed + 1)).double()
    worst = max(float((fresh[:, one.members] @ one.rows.T).abs().max()) for one in constraints)
    counts = [len(one.rows) for one in constraints]
    entries = sum(int((one.rows != 0).sum()) for one in constraints)
    seconds = time.perf_counter() - start
    tell(1.0)
    rows = [
        Row(RESIDUAL, worst, None, FRESH, seconds, DATA, note="largest of all constraints and fresh patterns"),
        Row(ROWS, float(min(counts)), None, len(counts), seconds, DATA),
        Row(WEIGHT, entries / sum(counts), None, sum(counts), seconds, DATA),
    ]
    return Measured(rows)


def measure_noise(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on noise of neurons, and two charts: error against noise, with its interval."""
    start = time.perf_counter()
    settings = [(FEW, noise, PHI, 0.0) for noise in size.noises]
    settings += [(MANY, noise, PHI, 0.0) for noise in size.noises_many]
    settings += [(SOME, 0.0, phi, 0.0) for phi in THRESHOLDS] + [(SOME, MODERATE, PHI, 0.0), (0.1, MODERATE, PHI, 0.1)]
    points = [(*setting, size.sweeps, size.trials, ON_UNSEEN, seed) for setting in settings]
    found: dict[tuple[float, ...], Tally] = dict(zip(settings, sweep(tally, points, tell), strict=True))
    seconds = time.perf_counter() - start

    def row(claim: Claim, *setting: float) -> Row:
        one = found[setting]
        return Row(claim, rate(one), ends(one), one["trials"], seconds, DATA, one["nearest"] / one["trials"], symbols(one))

    few = {noise: found[FEW, noise, PHI, 0.0] for noise in size.noises}
    many = {noise: found[MANY, noise, PHI, 0.0] for noise in size.noises_many}
    best = min(few, key=lambda noise: (few[noise]["wrong"], abs(noise - MODERATE)))
    best_phi = min(THRESHOLDS, key=lambda phi: found[SOME, 0.0, phi, 0.0]["wrong"])
    by_phi = ", ".join(f"{phi:g}: {rate(found[SOME, 0.0, phi, 0.0]):.3f}" for phi in THRESHOLDS)
    rows = [
        row(QUIET, FEW, 0.0, PHI, 0.0),
        row(NOISY, FEW, MODERATE, PHI, 0.0),
        row(QUIET_MANY, MANY, 0.0, PHI, 0.0),
        row(NOISY_MANY, MANY, MODERATE, PHI, 0.0),
        row(TOO_LOUD, FEW, LOUD, PHI, 0.0),
        above(DIP, few[0.0], few[best], seconds, f"the best noise is {best:g}"),
        above(
            BEST_QUIET,
            found[SOME, 0.0, best_phi, 0.0],
            found[SOME, MODERATE, PHI, 0.0],
            seconds,
            f"without noise, by threshold: {by_phi}",
        ),
        row(CHECKS, 0.1, MODERATE, PHI, 0.1),
    ]
    curves = {f"{FEW:.1%} errors": few, f"{MANY:.1%} errors": many}
    series = tuple(curve(label, by_noise) for label, by_noise in curves.items())
    noise = "noise of pattern neurons, upsilon"
    patterns = Chart("noise", "Wrong patterns against the noise of the neurons", noise, "wrong patterns", series)
    per_symbol = tuple(
        Series(label, tuple(by), tuple(one["symbols"] / one["trials"] / NEURONS for one in by.values()), style="line")
        for label, by in curves.items()
    )
    return Measured(rows, [patterns, Chart("symbols", "Wrong neurons after recall", noise, "wrong neurons", per_symbol)])


def measure_storage(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on patterns never seen, and on the verdict of a recall."""
    start = time.perf_counter()
    points = [(0.1, MODERATE, PHI, 0.0, size.sweeps, count, kind, seed) for count, kind in storage(size)]
    seen, unseen, *flags = sweep(tally, points, tell)
    seconds = time.perf_counter() - start
    false, recalls = sum(one["false"] for one in flags), sum(one["trials"] for one in flags)
    note = f"95% upper end of the rate: {wilson(false, recalls)[1]:.2g}"
    rows = [
        above(STORAGE, unseen, seen, seconds, f"recalled: seen {1 - rate(seen):.4f}, never seen {1 - rate(unseen):.4f}"),
        Row(FALSE, float(false), None, recalls, seconds, DATA, note=note),
    ]
    return Measured(rows)


def storage(size: Size) -> list[tuple[int, int]]:
    """How many of which patterns; verdicts are checked on other draws, in two halves."""
    half = size.flags // 2
    return [(size.seen, ON_SEEN), (size.seen, ON_UNSEEN), (half, ON_UNSEEN + 2), (size.flags - half, ON_UNSEEN + 3)]


def rate(one: Tally) -> float:
    return one["wrong"] / one["trials"]


def ends(one: Tally) -> tuple[float, float]:
    return wilson(one["wrong"], one["trials"])


def symbols(one: Tally) -> str:
    return f"wrong neurons {one['symbols'] / one['trials'] / NEURONS:.5f}"


def above(claim: Claim, more: Tally, less: Tally, seconds: float, note: str) -> Row:
    """The difference of two rates, with Newcombe's interval."""
    first, second = rate(more), rate(less)
    (low, high), (least, most) = ends(more), ends(less)
    down = ((first - low) ** 2 + (most - second) ** 2) ** 0.5
    up = ((high - first) ** 2 + (second - least) ** 2) ** 0.5
    value = first - second
    return Row(claim, value, (value - down, value + up), more["trials"] + less["trials"], seconds, DATA, note=note)


def curve(label: str, by_noise: dict[float, Tally]) -> Series:
    intervals = [ends(one) for one in by_noise.values()]
    lows, highs = zip(*intervals, strict=True)
    return Series(label, tuple(by_noise), tuple(map(rate, by_noise.values())), lows, highs, style="line")
