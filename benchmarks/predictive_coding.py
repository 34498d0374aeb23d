"""A step of storing by predictive coding beside pcx, where that is installed, and beside autograd in torch.

The network has the layers 512-512-512-3072, tanh and no prior. A step starts anew at zero in the memory layer, infers for a number
of steps, then moves the weights by Adam. The three do the same arithmetic: they differ in how gradients are found. Beside them,
what a memory does as it comes: one step of inference, of a length that follows the weights, from where the last one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from pcx_peer import storing_step
from report import NOT_INSTALLED, Section, Table, Target, milliseconds
from timing import Contender, race, stopwatch
from torch import Tensor, nn

from attractor.memory.predictive_coding import Inference, PredictiveLearning, PredictiveNetwork
from attractor.memory.predictive_coding.connections import connected
from attractor.memory.predictive_coding.learning import Training

OURS, USUAL, AUTOGRAD, PCX = "attractor", "attractor as it comes", "torch autograd", "pcx"
GAMMA, RATE = 0.05, 1e-4


@dataclass(frozen=True)
class Sizes:
    """`patterns` in layers of `widths`, from the memory layer down to the senses; about `seconds` for each number of steps."""

    patterns: int = 50
    widths: tuple[int, ...] = (512, 512, 512, 3072)
    steps: tuple[int, ...] = (1, 20)
    seconds: float = 10.0


QUICK = Sizes(patterns=5, widths=(6, 5, 12), steps=(1, 2), seconds=0.1)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    patterns = torch.rand(sizes.patterns, sizes.widths[-1], generator=torch.Generator().manual_seed(0))
    found = []
    for steps in sizes.steps:
        say(f"predictive coding: {steps} steps of inference")
        found.append(one(patterns, sizes, steps))
    return Section("Predictive coding", [table(found, sizes)], targets(found), {"storing": found})


def one(patterns: Tensor, sizes: Sizes, steps: int) -> dict[str, Any]:
    how = PredictiveLearning(schedule="reset", inference=Inference(steps, gamma=GAMMA, way="plain"))
    ours, usual = (training(patterns, sizes.widths, learning) for learning in (how, PredictiveLearning()))
    by_autograd = autograd_step(fresh_network(sizes.widths), patterns, steps)
    with torch.no_grad():
        first = {OURS: float(ours.step()), AUTOGRAD: float(by_autograd())}
    contenders = [Contender(OURS, ours.step), Contender(USUAL, usual.step), Contender(AUTOGRAD, by_autograd)]
    weights = [weight.detach().clone() for weight in reversed(fresh_network(sizes.widths).weights)]
    with torch.enable_grad():
        peer = storing_step(patterns, weights, steps, GAMMA, RATE)
    compiling = None
    if peer is not None:
        compiling = stopwatch(lambda: first.update({PCX: peer()}))
        contenders.append(Contender(PCX, peer))
    off = max(abs(energy - first[OURS]) for energy in first.values())
    return {"steps": steps, "off": off, "compiling": compiling, "race": race(contenders, sizes.seconds)}


def training(patterns: Tensor, widths: Sequence[int], how: PredictiveLearning) -> Training:
    started = Training(fresh_network(widths), patterns, how, 0)
    started.set_rate(RATE)
    return started


@torch.no_grad()
def fresh_network(widths: Sequence[int]) -> PredictiveNetwork:
    connections = connected(widths[-1], widths[-2::-1])
    network = PredictiveNetwork(connections, "tanh", [1.0] * (len(widths) - 1) + [0.0])
    network.reset(torch.Generator().manual_seed(1))
    network.memory_vector.zero_()
    return network


def autograd_step(network: PredictiveNetwork, patterns: Tensor, steps: int) -> Callable[[], Tensor]:
    """The same step with the energy written down and gradients by torch."""
    weights = [nn.Parameter(weight.clone()) for weight in reversed(network.weights)]
    biases = [nn.Parameter(bias.clone()) for bias in reversed(network.biases)]
    optimiser = torch.optim.Adam([*weights, *biases], RATE, fused=True)

    def energy(layers: Sequence[Tensor]) -> Tensor:
        pairs = zip(pairwise(layers), weights, biases, strict=True)
        errors = (below - nn.functional.linear(above.tanh(), weight, bias) for (above, below), weight, bias in pairs)
        return torch.stack([error.square().sum() for error in errors]).sum() / 2

    @torch.enable_grad()
    def step() -> Tensor:
        latents = [layer.requires_grad_() for layer in prior(len(patterns))]
        for _ in range(steps):
            gradients = torch.autograd.grad(energy([*latents, patterns]), latents)
            latents = [(layer - GAMMA * one).detach().requires_grad_() for layer, one in zip(latents, gradients, strict=True)]
        optimiser.zero_grad()
        mean = energy([*(layer.detach() for layer in latents), patterns]) / len(patterns)
        mean.backward()
        optimiser.step()
        return mean.detach()

    @torch.no_grad()
    def prior(rows: int) -> list[Tensor]:
        layers = [torch.zeros(rows, weights[0].shape[1])]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            layers.append(nn.functional.linear(layers[-1].tanh(), weight, bias))
        return layers

    return step


def table(found: list[dict[str, Any]], sizes: Sizes) -> Table:
    names = (OURS, USUAL, AUTOGRAD, PCX)
    rows = []
    for one in found:
        timed = one["race"]
        cells = [milliseconds(timed.time(name)) if name in timed else NOT_INSTALLED for name in names]
        ratios = [str(timed.ratio(OURS, name)) if name in timed else NOT_INSTALLED for name in (AUTOGRAD, PCX)]
        first = NOT_INSTALLED if one["compiling"] is None else milliseconds(one["compiling"])
        rows.append([str(one["steps"]), *cells, *ratios, first])
    columns = (
        "steps of inference",
        *(f"{name}, ms" for name in names),
        *(f"over {name}" for name in (AUTOGRAD, PCX)),
        "first call of pcx, ms",
    )
    title = f"One step of storing {sizes.patterns} patterns in {'-'.join(map(str, sizes.widths))}, float32"
    note = f"Ratios in the same round, median (quartiles); the first call of pcx compiles. {USUAL!r} makes one step of inference."
    return Table(title, columns, rows, note)


def targets(found: list[dict[str, Any]]) -> list[Target]:
    listed = []
    for one in found:
        text = f"a step of storing, {one['steps']} of inference: time over"
        pairs = [(OURS, PCX, f"{text} {PCX}"), (OURS, AUTOGRAD, f"{text} {AUTOGRAD}")]
        if one["steps"] == 1:
            pairs.append(
                (USUAL, PCX, f"a step of storing {USUAL.removeprefix('attractor ')}: time over {PCX} with one of inference")
            )
        for ours, theirs, claim in pairs:
            ratio = one["race"].ratio(ours, theirs) if theirs in one["race"] else None
            listed.append(Target(claim, "<= 1", str(ratio or NOT_INSTALLED), None if ratio is None else ratio.median <= 1))
    worst = max(one["off"] for one in found)
    listed.append(
        Target("energy by hand, by autograd and by pcx: difference after one step", "< 1e-3", f"{worst:.1e}", worst < 1e-3)
    )
    return listed
