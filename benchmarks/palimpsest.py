"""Palimpsest memory beside the loop over neurons that its equations spell out.

The loop works out `K^-1 y` of all synapses once for a cue, and then the change of the likelihood that each neuron makes when it
flips, one neuron after the other, from its own row and column.
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
    """The log odds of each neuron of one cue of the first network, one after the other, in O(N) each."""
    weights, pattern = networks.weights[0], networks.cues[0, cue]
    statistics, size, v_s, v_d = decoder.statistics, decoder.size, decoder.v_symmetric, decoder.v_antisymmetric
    u, step = standardised(pattern, decoder.f), (decoder.f * (1 - decoder.f)) ** -0.5
    mean = statistics.mean + statistics.post * u[:, None] + statistics.pre * u + statistics.both * torch.outer(u, u)
    left = (weights - mean) * ~torch.eye(size, dtype=torch.bool)
    total, excess = left + left.T, left - left.T
    p, m = latents(decoder, total.sum(1) / (2 * v_s), excess.sum(1) / (2 * v_d))
    solved = ((total - p[:, None] - p) / v_s + (excess - m[:, None] + m) / v_d) / 2
    row_change, column_change = (statistics.post + statistics.both * u) * step, (statistics.pre + statistics.both * u) * step
    both, apart = (row_change + column_change) / (2 * v_s), (row_change - column_change) / (2 * v_d)
    alone = 2 * (v_s * both.square() + v_d * apart.square())
    found = torch.empty_like(u)
    for neuron in range(size):
        along, across = solved[neuron].clone(), solved[:, neuron].clone()
        along[neuron] = across[neuron] = 0
        h_p, h_m = both.clone(), -apart
        h_p[neuron] = h_m[neuron] = 0
        h_p[neuron], h_m[neuron] = h_p.sum(), -h_m.sum()
        of_p, of_m = latents(decoder, h_p, h_m)
        bend = alone.sum() - alone[neuron] - of_p @ h_p - of_m @ h_m
        found[neuron] = row_change @ along + column_change @ across + (pattern[neuron] - 0.5) * bend
    return found


def latents(decoder: Decoder, h_p: Tensor, h_m: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior means of P and M, from the evidence for them."""
    apart, common, mean = decoder.apart, decoder.common, h_p.mean()
    h_p = h_p - mean
    return apart.pp * h_p + apart.pm * h_m + common.pp * mean, apart.pm * h_p + apart.mm * h_m + common.pm * mean


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
