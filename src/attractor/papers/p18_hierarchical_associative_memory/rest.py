"""How fast a convolutional network comes to rest: sweeps of the block solver against Euler steps.

Image (1, 12, 12), maps (8, 4, 4) with a soft-max over the channels of each window of 3x3, a soft-max of 20 on top.
"""

from __future__ import annotations

import time

import torch

from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, State
from attractor.energy.lagrangians import Identity, Softmax
from attractor.energy.synapses import Conv, Dense
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p18_hierarchical_associative_memory.claims import MILD, SHARP, SHARP_SWEEPS, SWEEPS
from attractor.papers.p18_hierarchical_associative_memory.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval

DATA = "random weights and images"
BATCH = 4
TOLERANCE, MOST_STEPS = 1e-6, 10_000
SAME_ENERGY = 1e-6
SHOWN_STEPS = 40


def measure_rest(size: Size, seed: int, tell: Tell) -> Measured:
    """Steps of both solvers until every image of a batch rests, on random networks; and how the energies fall."""
    rows, seeds = [], range(seed * size.networks, (seed + 1) * size.networks)
    for done, (claim, beta) in enumerate(((SWEEPS, MILD), (SHARP_SWEEPS, SHARP))):
        start, pairs, together = time.perf_counter(), [], 0
        for one in seeds:
            tell((done + (one - seeds[0]) / len(seeds)) / 2)
            sweeps, steps, same = sweeps_and_steps(*convolutional(one, beta))
            pairs.append((sweeps, steps))
            together += same
        ratios = [sweeps / steps for sweeps, steps in pairs]
        ratio, interval = (max(ratios), None) if claim is SWEEPS else geometric_interval(ratios)
        sweeps, steps = max(pairs, key=lambda pair: pair[0] / pair[1])
        note = f"worst: {sweeps} sweeps, {steps} steps; {together} of {BATCH * len(seeds)} images come to the same energy"
        rows.append(Row(claim, ratio, interval, len(seeds), time.perf_counter() - start, DATA, note=note))
    return Measured(rows, [falling_energies(seed)])


def convolutional(seed: int, beta: float) -> tuple[EnergyNetwork, State]:
    """The network and a batch of images, hidden layers at zero; float64."""
    generator = torch.Generator().manual_seed(seed)
    neurons = {
        "image": Neurons(Identity(), (1, 12, 12)),
        "maps": Neurons(Softmax(beta=beta, dim=1), (8, 4, 4)),
        "top": Neurons(Softmax(beta=beta), 20),
    }
    windows, top = Conv(1, 8, 3, stride=3, generator=generator), Dense((8, 4, 4), 20, generator=generator)
    network = EnergyNetwork(neurons, [Connection(windows, ("image", "maps")), Connection(top, ("maps", "top"))]).double()
    return network, network.initial(image=torch.randn(BATCH, 1, 12, 12, generator=generator, dtype=torch.float64))


def sweeps_and_steps(network: EnergyNetwork, state: State) -> tuple[int, int, int]:
    """Sweeps of `block` and steps of Euler until all samples rest, and how many of them rest at the same energy."""
    block = relax(network, state, "block", tol=TOLERANCE, max_steps=MOST_STEPS)
    euler = relax(network, state, Euler(0.5), tol=TOLERANCE, max_steps=MOST_STEPS)
    same = (block.energy - euler.energy).abs() < SAME_ENERGY
    return int(block.steps.max()), int(euler.steps.max()), int(same.sum())


def falling_energies(seed: int) -> Chart:
    """The mean energy of the batch at the sharper soft-max, step by step from the first on: the start is far above the rest."""
    network, state = convolutional(seed, SHARP)
    series = []
    for label, solver in (("block", "block"), ("Euler, 0.5", Euler(0.5)), ("Euler, 1: all layers at once", Euler(1.0))):
        found = relax(network, state, solver, tol=0, max_steps=SHOWN_STEPS, trace=True)
        assert found.trace is not None
        energies = found.trace.energy.mean(-1)[1:].tolist()
        series.append(Series(label, tuple(map(float, range(1, len(energies) + 1))), tuple(energies), style="line"))
    title = f"Convolutional network, soft-max at beta = {SHARP:g}"
    return Chart("energy", title, "sweeps or steps", f"energy, mean of {BATCH} images", tuple(series))
