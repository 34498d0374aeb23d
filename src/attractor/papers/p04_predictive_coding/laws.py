"""That inference descends: random networks with senses that are held, missing or free."""

from __future__ import annotations

import time

import torch

from attractor.memory.predictive_coding import Curvature, Inference, PredictiveNetwork
from attractor.memory.predictive_coding.connections import connected
from attractor.memory.predictive_coding.inference import Evidence, descend
from attractor.papers.claim import Row
from attractor.papers.p04_predictive_coding.claims import RISE
from attractor.papers.parts import Measured, Tell

NETWORKS = 12
STEPS = 200
ROWS = 16
LAYERS = ((12,), (16, 10), (14, 12, 8))
WAYS = {"identity": "plain", "tanh": "monotone", "relu": "monotone"}


def measure_descent(seed: int, tell: Tell) -> Measured:
    """The worst rise over all rows and steps; backtracking for the activations that bend."""
    start, worst = time.perf_counter(), 0.0
    for number in range(NETWORKS):
        worst = max(worst, *(worst_rise(activation, number, seed) for activation in WAYS))
        tell((number + 1) / NETWORKS)
    note = "float64; ReLU and tanh with backtracking"
    count = NETWORKS * len(WAYS) * ROWS * STEPS
    return Measured([Row(RISE, worst, None, count, time.perf_counter() - start, "random networks and states", note=note)])


@torch.no_grad()
def worst_rise(activation: str, number: int, seed: int) -> float:
    """The largest relative rise in one step of one network."""
    generator = torch.Generator().manual_seed(1000 * seed + number)
    layers = LAYERS[number % len(LAYERS)]
    network = PredictiveNetwork(connected(20, layers), activation, [1.0] * (len(layers) + 1)).double()
    network.reset(generator)
    senses = torch.randn(ROWS, 20, generator=generator, dtype=torch.float64)
    known = (torch.rand(senses.shape, generator=generator) < 0.5).double()
    evidence = (Evidence(senses), Evidence(senses, known), Evidence(senses, None, 1 - known))[number // len(LAYERS) % 3]
    latents = [torch.randn(ROWS, width, generator=generator, dtype=torch.float64) for width in layers]
    how = Inference(1, way="plain" if WAYS[activation] == "plain" else "monotone")
    curvature = Curvature(network)
    energies = [network.errors(senses, latents, evidence.precision).energy()]
    for _ in range(STEPS):
        (senses, latents), _ = descend(network, curvature, evidence._replace(senses=senses), latents, how)
        energies.append(network.errors(senses, latents, evidence.precision).energy())
    each = torch.stack(energies)
    return max(0.0, float((each.diff(dim=0) / each[:-1]).max()))
