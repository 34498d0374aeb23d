"""Palimpsests: recall of cascades and of decaying weights against the age of a pattern, and weights that count as calibrated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean

import torch

from attractor.memory.palimpsest import calibrated_betas, simulate
from attractor.papers.claim import Row
from attractor.papers.figures import Chart
from attractor.papers.p10_correlated_synapses.additive import DATA, NEURONS, row, row_of
from attractor.papers.p10_correlated_synapses.claims import CALIBRATED, CASCADE_AWARE, CASCADE_RATIO, XOR
from attractor.papers.p10_correlated_synapses.recalling import WAYS, Errors, curve, per_network, plasticity, recalled
from attractor.papers.p10_correlated_synapses.sizes import AGES, Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

RULES = ("cascade, pre", "cascade, post", "cascade, xor", "hebb, decay 0.95", "covariance, decay 0.95")
CALIBRATED_RULES = {"hebb, decay 0.95": "hebb, decay 0.95", "cascade, pre-gated": "cascade, pre"}
TEACHERS = 3
FIRST = 0
"""The newest pattern, among the ages."""


def excess(rule: str, size: int, stored: int, networks: int, seed: int) -> list[list[float]]:
    """Wrong neurons beyond those of the cue `[network][age]`, with weights that count as other networks told."""
    rules = plasticity(rule)
    teacher, pupil = (
        simulate(rules, networks=count, size=size, stored=stored, ages=AGES, seed=2 * seed + part)
        for part, count in enumerate((TEACHERS * networks, networks))
    )
    betas = calibrated_betas(teacher, "mean-field", correlated=True)[:, None]
    found: list[list[float]] = (pupil.errors(pupil.recall(beta=betas)) - pupil.cue_errors()).tolist()
    return found


def measure_aging(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the newest pattern of cascades and for calibrated recall; a figure of errors against age for each rule."""
    start = time.perf_counter()
    points = [(rule, NEURONS, size.history, size.ages, size.networks, 1.0, "mean-field", WAYS, seed) for rule in RULES]
    errors = dict(zip(RULES, sweep(recalled, points, lambda done: tell(0.7 * done)), strict=True))
    tempered = [(rule, NEURONS, size.history, size.ages, size.networks, 0.5, "mean-field", WAYS, seed) for rule in RULES[:1]]
    (half,) = sweep(recalled, tempered, lambda done: tell(0.7 + 0.1 * done))
    seconds = time.perf_counter() - start
    newest = {rule: only(found, FIRST) for rule, found in errors.items()}
    cascade = newest["cascade, pre"]
    rows = [row(CASCADE_AWARE, cascade, "known", size, seconds), ratio(cascade, size, seconds)]
    rows += [row(claim, newest["cascade, xor"], way, size, seconds) for way, claim in XOR.items()]
    start = time.perf_counter()
    wanted = [(rule, NEURONS, size.history, size.networks, seed) for rule in CALIBRATED_RULES.values()]
    beyond = sweep(excess, wanted, lambda done: tell(0.8 + 0.2 * done))
    for name, found in zip(CALIBRATED_RULES, beyond, strict=True):
        by_age = [mean_interval(list(one)) for one in zip(*found, strict=True)]
        mean, interval = max(by_age)
        note = f"worst at age {AGES[by_age.index((mean, interval))]}, beta from {TEACHERS} times as many other networks"
        rows.append(row_of(CALIBRATED[name], mean, interval, size, time.perf_counter() - start, note))
    return Measured(
        rows, [*(chart(rule, errors[rule], size.ages) for rule in RULES), tempering(errors["cascade, pre"], half, size)]
    )


def only(errors: Errors, place: int) -> Errors:
    """What was measured at one age."""
    return {name: [[row[place]] for row in rows] for name, rows in errors.items()}


def ratio(errors: Errors, size: Size, seconds: float) -> Row:
    """Ignored over known, of the means; its interval from networks drawn again."""
    ignored, known = (torch.tensor(per_network(errors[way]), dtype=torch.float64) for way in WAYS)
    # without any error at all, half a neuron in all networks stands in
    least = 0.5 / (NEURONS * size.networks)
    again = torch.randint(size.networks, (2000, size.networks), generator=torch.Generator().manual_seed(0))
    drawn = ignored[again].mean(1) / known[again].mean(1).clamp_min(least)
    low, high = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    value = fmean(ignored.tolist()) / max(least, fmean(known.tolist()))
    note = f"wrong neurons {fmean(ignored.tolist()):.4f} and {fmean(known.tolist()):.4f}; interval by bootstrap over networks"
    return Row(CASCADE_RATIO, value, (low, high), size.networks, seconds, DATA, note=note)


def chart(rule: str, errors: Errors, ages: Sequence[int]) -> Chart:
    """Errors against age, exact against naive."""
    x = tuple(map(float, ages))
    labels = {"ignored": "correlations ignored", "known": "correlations known", "cue": "the cue"}
    series = tuple(curve(label, x, columns(errors[way])) for way, label in labels.items())
    name = "ages-" + rule.replace(", ", "-").replace(" ", "-").replace(".", "")
    return Chart(
        name, f"Wrong neurons by age: {rule}, N = {NEURONS} (bars: 95% intervals)", "patterns stored since", "rate", series
    )


def tempering(whole: Errors, half: Errors, size: Size) -> Chart:
    """What it helps to count the weights by half."""
    x = tuple(map(float, size.ages))
    series = [curve(f"{way}, beta {beta}", x, columns(errors[way])) for beta, errors in ((1, whole), (0.5, half)) for way in WAYS]
    series.append(curve("the cue", x, columns(whole["cue"])))
    title = f"Weights that count by half: cascade, pre, N = {NEURONS} (bars: 95% intervals)"
    return Chart("tempering", title, "patterns stored since", "wrong neurons, rate", tuple(series))


def columns(errors: list[list[float]]) -> list[list[float]]:
    """By age."""
    return [list(one) for one in zip(*errors, strict=True)]
