"""Palimpsest memory beside the loop over neurons that its equations spell out.

The loop computes, for one neuron after the other, how much the likelihood of all weights changes when it flips: each of them a sum
over all synapses. It is written with a product of matrices where a plain one would do, and does not use that the fields of all
neurons share their sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from report import Section, Table, Target, milliseconds
from timing import LEAST_ROUNDS, Contender, race
from torch import Tensor

from attractor.memory.palimpsest import Additive, Decoder, Networks, simulate, standardised

OURS, LOOP = "attractor", "loop over neurons"
FASTER = 10
AGREES = 1e-6


@dataclass(frozen=True)
class Sizes:
    """Networks of several sizes with a tenth as many patterns, and so many cues of each; about `seconds` for each row."""

    neurons: tuple[int, ...] = (100, 200)
    networks: int = 4
    seconds: float = 8.0


QUICK = Sizes(neurons=(20,), networks=2, seconds=0.1)


def measure(sizes: Sizes, say: Any) -> Section:
    found = []
    for neurons in sizes.neurons:
        for rule in ("hebb", "covariance"):
            say(f"palimpsest memory: {rule}, {neurons} neurons")
            found.append({"rule": rule, "neurons": neurons, **one(rule, neurons, sizes)})
    return Section("Palimpsest memory", [table(found, sizes)], targets(found), {"palimpsest": found})


def one(rule: str, neurons: int, sizes: Sizes) -> dict[str, Any]:
    stored = neurons // 10
    made = simulate(Additive(rule), networks=sizes.networks, size=neurons, stored=stored, ages=range(stored), seed=0)
    decoder, cues = made.decoder(correlated=True), made.cues
    alone = Decoder(made.weights[0], made.plasticity.statistics(0.5, stored, torch.tensor([0])), 0.5)
    contenders = [
        Contender(OURS, lambda: decoder.log_odds(cues)),
        Contender(LOOP, lambda: looped(alone, made, 0), rounds=LEAST_ROUNDS),
    ]
    timed = race(contenders, sizes.seconds)
    fields, by_loop = decoder.log_odds(cues)[0, 0], looped(alone, made, 0)
    off = float((fields - by_loop).abs().max() / by_loop.abs().max())
    recalled = made.recall()
    return {"race": timed, "scale": sizes.networks * stored, "off": off, "errors": float(made.errors(recalled).mean())}


def looped(decoder: Decoder, networks: Networks, cue: int) -> Tensor:
    """The log odds of each neuron of one cue of the first network, one after the other."""
    weights, pattern = networks.weights[0], networks.cues[0, cue]
    statistics, size = decoder.statistics, decoder.size
    off = ~torch.eye(size, dtype=torch.bool)
    found = []
    for neuron in range(size):
        both = []
        for state in (1, 0):
            pattern_with = pattern.clone()
            pattern_with[neuron] = state
            u = standardised(pattern_with, decoder.f)
            mean = statistics.mean + statistics.post * u[:, None] + statistics.pre * u + statistics.both * torch.outer(u, u)
            both.append(quadratic(decoder, (weights - mean) * off))
        found.append(-0.5 * (both[0] - both[1]))
    return torch.stack(found)


def quadratic(decoder: Decoder, left: Tensor) -> Tensor:
    """`y^T K^-1 y` of one matrix `y (N, N)`, from its symmetric and its antisymmetric part."""
    v_s, v_d, size = decoder.v_symmetric, decoder.v_antisymmetric, decoder.size
    symmetric, other = (left + left.T) / 2**0.5, (left - left.T) / 2**0.5
    h_p, h_m = symmetric.sum(1) / (2**0.5 * v_s), other.sum(1) / (2**0.5 * v_d)
    mean, h_p = h_p.mean(), h_p - h_p.mean()
    apart, common = decoder.apart, decoder.common
    latent = (apart.pp * h_p**2 + 2 * apart.pm * h_p * h_m + apart.mm * h_m**2).sum() + size * common.pp.squeeze() * mean**2
    return symmetric.square().sum() / (2 * v_s).squeeze() + other.square().sum() / (2 * v_d).squeeze() - latent


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    rows = []
    for each in found:
        timed, scale = each["race"], each["scale"]
        cells = [milliseconds(timed.time(OURS) / scale), milliseconds(timed.time(LOOP))]
        cells += [f"{timed.ratio(LOOP, OURS).median * scale:.0f}", f"{each['off']:.0e}", f"{each['errors']:.2%}"]
        rows.append([each["rule"], str(each["neurons"]), *cells])
    columns = (
        "rule",
        "neurons",
        "ms a cue and step",
        "loop, ms",
        "times faster than the loop",
        "off, relative",
        "wrong after recall",
    )
    title = f"All single flips of a cue: {sizes.networks} networks with N / 10 patterns, each of them a cue"
    return Table(
        title,
        columns,
        rows,
        "Ratios in the same round, median; off: relative to the loop; wrong: neurons after a recall.",
        labels=2,
    )


def targets(found: list[dict[str, Any]]) -> list[Target]:
    listed = []
    for each in found:
        what = f"{each['rule']}, {each['neurons']} neurons"
        faster = each["race"].ratio(LOOP, OURS).median * each["scale"]
        listed.append(Target(f"{what}: times faster than the loop", f">= {FASTER}", f"{faster:.0f}", faster >= FASTER))
        listed.append(Target(f"{what}: off the loop, relative", f"<= {AGREES:.0e}", f"{each['off']:.0e}", each["off"] <= AGREES))
    return listed
