"""Recall from learned constraints, a batch at once, beside a loop over cues and neurons that does the same.

The loop is the algorithm as it is written: each constraint neuron sums what it sees, each pattern neuron its votes. It gets the
constraints as lists that lie ready, without their zeros.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from report import Section, Table, Target, milliseconds
from timing import LEAST_ROUNDS, Contender, race
from torch import Tensor

from attractor.memory import BitFlipping, ConstraintMemory
from attractor.memory.constraint import balanced_choices

OURS, LOOP = "attractor", "loop over neurons"
FASTER = 10
RIGHT = 0.95


@dataclass(frozen=True)
class Sizes:
    """`cues` with a share of `errors` of patterns of so many `neurons`, recalled with each of `noises`; `looped` by the loop."""

    neurons: int = 400
    bits: int = 20
    cues: int = 500
    looped: int = 2
    errors: float = 0.1
    noises: tuple[float, ...] = (0.0, 0.3)
    seconds: float = 10.0


QUICK = Sizes(neurons=120, bits=10, cues=20, looped=1, errors=0.02, noises=(0.3,), seconds=0.1)


@dataclass(frozen=True)
class Listed:
    """A cluster as lists: its neurons, the `(place, weight)` of each constraint, and the `(constraint, sign)` of each neuron."""

    members: list[int]
    constraints: list[list[tuple[int, float]]]
    votes: list[list[tuple[int, int]]]
    silence: float


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    generator = torch.Generator().manual_seed(0)
    ones = balanced_choices(sizes.neurons, sizes.bits, 6, generator)
    sources = torch.zeros(sizes.bits, sizes.neurons).scatter_(0, ones.T, 1.0)
    messages = torch.randint(0, 2, (6000 + sizes.cues, sizes.bits), generator=generator).float()
    patterns = messages @ sources
    memory = ConstraintMemory(sizes.neurons)
    memory.store(patterns[: -sizes.cues])
    true = patterns[-sizes.cues :]
    wrong = torch.rand(true.shape, generator=generator) < sizes.errors
    cues = true + wrong * (torch.randint(0, 2, true.shape, generator=generator) * 2.0 - 1)
    say("constraint memory: learning")
    clusters = [listed(memory, place) for place in range(len(memory.clusters))]
    found = []
    for noise in sizes.noises:
        say(f"constraint memory: recall with noise {noise:g}")
        found.append({"noise": noise, **one(memory, clusters, true, cues, BitFlipping(noise=noise), sizes)})
    return Section("Constraint memory", [table(found, sizes)], targets(found, sizes), {"constraint": found})


def one(
    memory: ConstraintMemory, clusters: list[Listed], true: Tensor, cues: Tensor, how: BitFlipping, sizes: Sizes
) -> dict[str, Any]:
    few = cues[: sizes.looped].int().tolist()
    looped = [recall(clusters, cue, how) for cue in few]
    contenders = [
        Contender(OURS, lambda: memory.recall(cues, decoder=how)),
        Contender(LOOP, lambda: [recall(clusters, cue, how) for cue in few], rounds=LEAST_ROUNDS),
    ]
    timed = race(contenders, sizes.seconds)
    right = (memory.recall(cues, decoder=how).patterns == true).all(1)
    same = sum(answer == row for answer, row in zip(looped, true[: sizes.looped].int().tolist(), strict=True))
    return {"race": timed, "right": float(right.double().mean()), "loop right": same, "scale": sizes.cues / sizes.looped}


def listed(memory: ConstraintMemory, place: int) -> Listed:
    cluster = memory.constraints[place]
    rows = cluster.rows.tolist()
    width = range(len(cluster.members))
    constraints = [[(j, row[j]) for j in width if row[j]] for row in rows]
    votes = [[(i, 1 if row[j] > 0 else -1) for i, row in enumerate(rows) if row[j]] for j in width]
    return Listed(cluster.members.tolist(), constraints, votes, BitFlipping().silent_below(cluster.residual))


def recall(clusters: list[Listed], cue: list[int], how: BitFlipping) -> list[int]:
    """The pattern at which a cue ends."""
    state = list(cue)
    for _ in range(how.sweeps):
        before, satisfied = list(state), True
        for cluster in clusters:
            corrected = correct(cluster, [state[j] for j in cluster.members], how)
            if corrected is None:
                satisfied = False
                continue
            for j, value in zip(cluster.members, corrected, strict=True):
                state[j] = value
        if state == before and (satisfied or how.deterministic):
            break
    return state


def correct(cluster: Listed, seen: list[int], how: BitFlipping) -> list[int] | None:
    """What a cluster ends at, None where its constraints do not hold then."""
    for turn in range(how.rounds + 1):
        fired = []
        for constraint in cluster.constraints:
            read = sum(weight * seen[j] for j, weight in constraint)
            fired.append(1 if read >= cluster.silence else -1 if read <= -cluster.silence else 0)
        if not any(fired):
            return seen
        if turn == how.rounds:
            break
        after = []
        for value, votes in zip(seen, cluster.votes, strict=True):
            heard = sum(sign * fired[i] for i, sign in votes) / max(1, len(votes)) + random.uniform(-how.noise, how.noise)
            after.append(value - (1 if heard >= how.threshold else -1 if heard <= -how.threshold else 0))
        if how.deterministic and after == seen:
            break
        seen = after
    return None


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    rows = []
    for each in found:
        timed, faster = each["race"], each["race"].ratio(LOOP, OURS).median * each["scale"]
        cells = [milliseconds(timed.time(OURS) / sizes.cues), milliseconds(timed.time(LOOP) / sizes.looped), f"{faster:.0f}"]
        rows.append([f"{each['noise']:g}", *cells, f"{each['right']:.3f}", f"{each['loop right']} of {sizes.looped}"])
    columns = ("noise", "ms a cue", "loop, ms a cue", "times faster than the loop", "right", "loop right")
    title = f"{sizes.cues:,} cues of {sizes.neurons:,} neurons, {sizes.errors:g} of them wrong"
    return Table(title, columns, rows, "Ratios in the same round, median.")


def targets(found: list[dict[str, Any]], sizes: Sizes) -> list[Target]:
    stated = []
    for each in found:
        what = f"constraints, {sizes.neurons:,} neurons, {sizes.errors:g} wrong, noise {each['noise']:g}"
        faster = each["race"].ratio(LOOP, OURS).median * each["scale"]
        stated.append(Target(f"{what}: times faster than the loop", f">= {FASTER}", f"{faster:.0f}", faster >= FASTER))
        if each["noise"] > 0:
            right = each["right"]
            stated.append(Target(f"{what}: patterns recalled", f">= {RIGHT}", f"{right:.3f}", right >= RIGHT))
    return stated
