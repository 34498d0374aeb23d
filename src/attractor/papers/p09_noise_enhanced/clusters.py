"""How many errors a cluster corrects, against noise, and what density evolution and the derived bound make of that."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from attractor.memory import BitFlipping
from attractor.memory.constraint import Check, correct, correction_bound, recall_threshold
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p09_noise_enhanced.claims import ABOVE, BELOW, BOUND, GAIN, MODERATE, ONE, PHI, THRESHOLD, TWO
from attractor.papers.p09_noise_enhanced.network import CLUSTERS, DATA, DEGREE, NEURONS, ON_UNSEEN, network, tally
from attractor.papers.p09_noise_enhanced.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import wilson
from attractor.papers.sweep import sweep

MOST_ERRORS = 4
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
MEMBERS = NEURONS * DEGREE // CLUSTERS
UNDER, OVER = 0.65, 1.1
BOUND_NOISES = (0.0, 0.2, 0.3)
REPEATS = 4
IN_EACH = 20
"""Trials in a cluster, so that few trials are in few clusters."""


def corrected(errors: int, noise: float, trials: int, seed: int) -> int:
    """In how many of `trials`, spread over the clusters, a cluster with so many errors ends at the true pattern."""
    made, draw = network(seed), torch.Generator().manual_seed(seed)
    how, right, spread = BitFlipping(noise=noise, threshold=PHI), 0, min(CLUSTERS, -(-trials // IN_EACH))
    for place, one in enumerate(made.memory.constraints[:spread]):
        true = made.patterns(trials // spread + (place < trials % spread), draw)[:, one.members]
        places = torch.rand(true.shape, generator=draw).argsort(1)[:, :errors]
        right += int(successes(one.rows, one.residual, true, places, how, made.memory.limits, draw).sum())
    return right


def successes(
    rows: Tensor,
    residual: float,
    true: Tensor,
    places: Tensor,
    how: BitFlipping,
    limits: tuple[int, int],
    draw: torch.Generator,
) -> Tensor:
    """Whether a cluster corrects `true (b, n)` once the neurons in `places (b, e)` are off by 1, `(b,)`."""
    steps = torch.randint(0, 2, places.shape, generator=draw) * 2.0 - 1
    cues = true.scatter_add(1, places, steps)
    found, satisfied = correct(Check.of(rows.float(), how.silent_below(residual)), cues, how, draw, limits)
    return satisfied & (found == true).all(1)


def against_bound(cluster: int, noise: float, seed: int) -> list[float]:
    """The derived bound of one round with one error, and the measured rate, over the neurons of a cluster."""
    made, draw = network(seed), torch.Generator().manual_seed(1_000_003 * (cluster + 1) + seed)
    one = made.memory.constraints[cluster]
    degrees, size = (one.rows != 0).sum(0).tolist(), len(one.members)
    # every weight is above psi, so no constraint is silent; neurons of the same degree have the same bound
    bounds = {
        degree: correction_bound(degrees, degrees.index(degree), constraints=len(one.rows), silent=0.0, noise=noise, threshold=PHI)
        for degree in set(degrees) - {0}
    }
    bound = sum(bounds.get(degree, 0.0) for degree in degrees)
    places = torch.arange(size).repeat(REPEATS)[:, None]
    true = made.patterns(len(places), draw)[:, one.members]
    how = BitFlipping(noise=noise, threshold=PHI, rounds=1)
    right = successes(one.rows, one.residual, true, places, how, made.memory.limits, draw)
    return [bound / size, float(right.double().mean())]


def measure_clusters(size: Size, seed: int, tell: Tell) -> Measured:
    """The rows on single clusters, and a chart of what they correct."""
    start = time.perf_counter()
    trials = size.in_cluster
    points = [(errors, noise, trials, seed) for noise in NOISES for errors in range(1, MOST_ERRORS + 1)]
    counts = sweep(corrected, points, lambda done: tell(0.7 * done))
    by_noise = {noise: counts[place * MOST_ERRORS : (place + 1) * MOST_ERRORS] for place, noise in enumerate(NOISES)}
    seconds = time.perf_counter() - start
    quiet, noisy = by_noise[0.0], by_noise[MODERATE]
    (low, high), (least, most) = wilson(noisy[1], trials), wilson(quiet[1], trials)
    worst = min((count[0], noise) for noise, count in by_noise.items() if noise <= MODERATE)
    thresholds = {noise: threshold_of(count, trials) for noise, count in by_noise.items()}
    sided = [ends_of_threshold(count, trials) for count in (quiet, noisy)]
    told = ", ".join(f"{noise:g}: {value:.4f}" for noise, value in thresholds.items())
    ratio = noisy[1] / max(1, quiet[1])
    gain = thresholds[MODERATE] / thresholds[0.0]
    gain_ends = (sided[1][0] / sided[0][1], sided[1][1] / sided[0][0])
    rows = [
        Row(TWO, ratio, (low / most, high / least), trials, seconds, DATA),
        Row(ONE, worst[0] / trials, wilson(worst[0], trials), trials, seconds, DATA, note=f"at noise {worst[1]:g}"),
        Row(THRESHOLD, thresholds[0.0], sided[0], trials, seconds, DATA, note=f"by noise: {told}"),
        Row(GAIN, gain, gain_ends, trials, seconds, DATA),
        *measure_prediction(size, seed, thresholds[0.0]),
        measure_bound(size, seed, tell),
    ]
    series = tuple(
        Series(
            f"{errors + 1} errors",
            NOISES,
            tuple(count[errors] / trials for count in by_noise.values()),
            tuple(wilson(count[errors], trials)[0] for count in by_noise.values()),
            tuple(wilson(count[errors], trials)[1] for count in by_noise.values()),
            style="line",
        )
        for errors in range(MOST_ERRORS)
    )
    title = "What a cluster corrects"
    return Measured(rows, [Chart("clusters", title, "noise of pattern neurons, upsilon", "corrected", series)])


def threshold_of(counts: list[int], trials: int) -> float:
    return recall_threshold([count / trials for count in counts], size=MEMBERS, degree=DEGREE)


def ends_of_threshold(counts: list[int], trials: int) -> tuple[float, float]:
    """The thresholds of the lower and of the upper ends of all rates."""
    low, high = ([wilson(count, trials)[end] for count in counts] for end in (0, 1))
    return recall_threshold(low, size=MEMBERS, degree=DEGREE), recall_threshold(high, size=MEMBERS, degree=DEGREE)


def measure_prediction(size: Size, seed: int, threshold: float) -> list[Row]:
    """Recall without noise on both sides of the threshold."""
    start = time.perf_counter()
    sides: tuple[tuple[Claim, float], ...] = ((BELOW, UNDER), (ABOVE, OVER))
    points = [(part * threshold, 0.0, PHI, 0.0, size.sweeps, size.trials, ON_UNSEEN, seed) for _, part in sides]
    rows = []
    for (claim, part), one in zip(sides, sweep(tally, points), strict=True):
        interval = wilson(one["wrong"], size.trials)
        seconds = time.perf_counter() - start
        about = f"{DATA}; {part * threshold:.1%} errors"
        rows.append(Row(claim, one["wrong"] / size.trials, interval, size.trials, seconds, about, one["nearest"] / size.trials))
    return rows


def measure_bound(size: Size, seed: int, tell: Tell) -> Row:
    """The bound above the rate, at the noise where that is most."""
    start = time.perf_counter()
    points = [(cluster, noise, seed) for noise in BOUND_NOISES for cluster in range(size.bounded)]
    found = sweep(against_bound, points, lambda done: tell(0.8 + 0.2 * done))
    trials = size.bounded * MEMBERS * REPEATS
    gaps = []
    for place, noise in enumerate(BOUND_NOISES):
        some = found[place * size.bounded : (place + 1) * size.bounded]
        bound, right = (sum(each[column] for each in some) / len(some) for column in (0, 1))
        low, high = wilson(round(right * trials), trials)
        gaps.append((bound - right, (bound - high, bound - low), f"noise {noise:g}: bound {bound:.3f}, rate {right:.3f}"))
    worst = max(gaps)
    note = "; ".join(gap[2] for gap in gaps)
    return Row(BOUND, worst[0], worst[1], trials, time.perf_counter() - start, DATA, note=note)
