"""Whether the formulas hold: the closed form beside the whole covariance, covariances of weights, samples beside the whole sum."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from attractor.memory.palimpsest import (
    Additive,
    Cascade,
    Decoder,
    Plasticity,
    Posterior,
    WeightStatistics,
    retrieve,
    simulate,
    standardised,
)
from attractor.papers.claim import Row
from attractor.papers.p10_correlated_synapses.additive import DATA
from attractor.papers.p10_correlated_synapses.claims import ADDITIVE_STATISTICS, CASCADE_STATISTICS, CLOSED_FORM, ENUMERATION
from attractor.papers.p10_correlated_synapses.sizes import Size
from attractor.papers.parts import Measured, Tell

FEW, SMALL = 8, 10
SWEEPS = 40
NETWORKS = 8
MOMENTS = ("post", "pre", "chain", "reciprocal")


def rules(seed: int) -> list[Plasticity]:
    """Every rule, and random tables."""
    generator = torch.Generator().manual_seed(seed)
    named = [Additive(rule, decay=decay) for rule in ("hebb", "covariance", "pre", "post") for decay in (1.0, 0.9)]
    tables = [Additive(torch.randn(2, 2, generator=generator), noise=0.2) for _ in range(4)]
    return [*named, *tables, *(Cascade(events) for events in ("pre", "post", "xor"))]


def measure_exactness(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for the closed form, the statistics and the sampler."""
    start = time.perf_counter()
    checked = rules(seed)
    worst = max(closed_form_error(rule, age, seed) for rule in checked for age in (0, 3))
    rows = [Row(CLOSED_FORM, worst, None, 2 * len(checked), time.perf_counter() - start, f"{len(checked)} rules, two ages each")]
    tell(0.1)
    start = time.perf_counter()
    off = {rule: standard_errors(Additive(rule), size.statistics, seed) for rule in ("hebb", "covariance", "pre", "post")}
    furthest = max(off, key=lambda rule: off[rule])
    note = f"five covariances of each of four rules, furthest of {furthest}; T = 200, N = 60"
    rows.append(Row(ADDITIVE_STATISTICS, off[furthest], None, size.statistics, time.perf_counter() - start, DATA, note=note))
    tell(0.4)
    start = time.perf_counter()
    distances = [cascade_distance(events, size.history, seed) for events in ("pre", "post", "xor")]
    note = "post, pre, chain and reciprocal, of three rules"
    rows.append(Row(CASCADE_STATISTICS, max(distances), None, NETWORKS, time.perf_counter() - start, DATA, note=note))
    tell(0.7)
    start = time.perf_counter()
    distance = sampling_error(size.chains, seed)
    note = f"5 cues, {size.chains} chains of {SWEEPS // 2} sweeps after as many to settle, weights with noise of 1"
    rows.append(Row(ENUMERATION, distance, None, 5 * SMALL, time.perf_counter() - start, DATA, note=note))
    return Measured(rows)


def closed_form_error(rule: Plasticity, age: int, seed: int) -> float:
    """The larger of the relative differences of likelihoods and of flips."""
    made = simulate(rule, networks=1, size=FEW, stored=6, ages=(age,), f=0.4, seed=seed)
    statistics = rule.statistics(0.4, 6, torch.tensor([age]))
    weights, cue = made.weights[0], made.cues[0]
    decoder = Decoder(weights, statistics, 0.4)
    flipped = cue.repeat(FEW, 1)
    active, silent = (flipped.masked_fill(torch.eye(FEW, dtype=torch.bool), value) for value in (1, 0))
    dense = whole_likelihood(weights, statistics, 0.4, torch.cat([cue, active, silent]))
    fields = dense[1 : FEW + 1] - dense[FEW + 1 :]
    of_fields = (decoder.log_odds(cue)[0] - fields).abs().max() / fields.abs().max()
    of_likelihood = ((decoder.log_likelihood(cue) - dense[:1]) / dense[:1]).abs().max()
    return max(float(of_fields), float(of_likelihood))


def whole_likelihood(weights: Tensor, statistics: WeightStatistics, f: float, patterns: Tensor) -> Tensor:
    """Of `patterns (b, N)`, with the covariance of all synapses written out."""
    behind, before = (~torch.eye(len(weights), dtype=torch.bool)).nonzero().T
    same_post, same_pre = behind[:, None] == behind, before[:, None] == before
    crossed = (behind[:, None] == before).double() + (before[:, None] == behind).double()
    pair = ((same_post & same_pre) | (crossed == 2)).double()
    matrix = same_post * statistics.shared_post + same_pre * statistics.shared_pre + crossed * statistics.chain
    matrix = matrix + pair * statistics.symmetric + torch.eye(len(behind), dtype=torch.float64) * statistics.private
    u = standardised(patterns, f)
    one, other = u[:, behind], u[:, before]
    left = weights[behind, before] - (
        statistics.mean + statistics.post * one + statistics.pre * other + statistics.both * one * other
    )
    explained = (left * torch.linalg.solve(matrix, left.T).T).sum(1)
    return -0.5 * (explained + torch.linalg.slogdet(matrix)[1])


def moments(weights: Tensor, mean: float) -> dict[str, Tensor]:
    """Covariances of weights `(n, N, N)` about their mean, by what two synapses share, of each network."""
    size = weights.shape[-1]
    off = (weights - mean) * (1 - torch.eye(size, dtype=torch.float64))
    pairs, triples = size * (size - 1), size * (size - 1) * (size - 2)
    square, reciprocal = off.square().sum((1, 2)), (off * off.mT).sum((1, 2))
    rows, columns = off.sum(2), off.sum(1)
    return {
        "total": square / pairs,
        "post": (rows.square().sum(1) - square) / triples,
        "pre": (columns.square().sum(1) - square) / triples,
        "chain": ((rows * columns).sum(1) - reciprocal) / triples,
        "reciprocal": reciprocal / pairs,
    }


def standard_errors(rule: Additive, networks: int, seed: int) -> float:
    """How far the furthest covariance lies from the formula."""
    made = simulate(rule, networks=networks, size=60, stored=200, f=0.4, seed=seed)
    stated = rule.statistics(0.4, 200, None)
    expected = {
        "total": stated.total - stated.private,
        "post": stated.shared_post,
        "pre": stated.shared_pre,
        "chain": stated.chain,
        "reciprocal": stated.symmetric + 2 * stated.chain,
    }
    found = moments(made.weights, float(stated.mean))
    return max(
        float((values.mean() - expected[name]).abs() / (values.std() / math.sqrt(networks)).clamp_min(1e-12))
        for name, values in found.items()
    )


def cascade_distance(events: str, history: int, seed: int) -> float:
    """How far the furthest covariance lies from that of the chain of both states."""
    rule = Cascade(events)
    made = simulate(rule, networks=NETWORKS, size=100, stored=history, seed=seed)
    found, stated = moments(made.weights, 0.5), rule.covariances(0.5, history)
    return max(abs(float(found[name].mean()) - stated[name]) for name in MOMENTS)


def sampling_error(chains: int, seed: int) -> float:
    """How far the furthest probability of a neuron lies from the sum over all patterns."""
    made = simulate(Additive("hebb", noise=1.0), networks=1, size=SMALL, stored=5, ages=range(5), seed=seed)
    decoder = Decoder(made.weights[0], made.plasticity.statistics(0.5, 5, torch.tensor([0])), 0.5)
    evidence = torch.log(torch.tensor(9.0, dtype=torch.float64)) * (2 * made.cues[0] - 1)
    exact = retrieve(Posterior(decoder, evidence, 1.0), "exact").probabilities
    many = Posterior(decoder, evidence.repeat_interleave(chains, 0), 1.0)
    found = retrieve(many, "gibbs", steps=SWEEPS, seed=seed).probabilities.view(5, chains, SMALL).mean(1)
    return float((found - exact).abs().max())
