"""Lyapunov functions: how fast they fall, and that they never rise."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from attractor.energy.altered import AlteredSystem
from attractor.energy.feedback import Feedback
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.lagrangians import Softmax
from attractor.energy.lyapunov import Regularised, gain
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p05_dead_neurons.claims import CONJUGATE, EQUAL, FEEDBACK, RATE, RESTS
from attractor.papers.p05_dead_neurons.networks import KINDS, N, network_of, random_states, random_weights, runge_kutta
from attractor.papers.p05_dead_neurons.sizes import Size
from attractor.papers.parts import Measured, Tell

HIDDEN = 8
RATIOS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 3.9)


def measure_rate(size: Size, seed: int, tell: Tell) -> Measured:
    """The slowest fall of `E_gamma` over random networks and states, for `c = gamma |W|^2 h_max` from 0.25 to 3.9."""
    start = time.perf_counter()
    worst = {kind: dict.fromkeys(RATIOS, -float("inf")) for kind in KINDS}
    for done, (kind, make) in enumerate(KINDS.items()):
        for number, (W, b) in enumerate(islice(random_weights(seed), size.networks)):
            tell((done + number / size.networks) / len(KINDS))
            network = network_of(make(), W, b)
            state = {"x": random_states(size.states, 3.0, seed + number)}
            function, limit = Regularised(network), 1 / float(gain(network, network.initial(x=state["x"][:1])))
            square = function.square(state)
            for ratio in RATIOS:
                function.gamma = ratio * limit
                slowest = float((function.rate(state) / (function.gamma * square)).max())
                worst[kind][ratio] = max(worst[kind][ratio], slowest)
    slowest = max(found[1.0] for found in worst.values())
    count = len(KINDS) * size.networks * size.states
    note = ", ".join(f"{kind} {found[1.0]:.3f}" for kind, found in worst.items())
    row = Row(RATE, slowest, None, count, time.perf_counter() - start, "random networks, states of deviation 3", note=note)
    series = [Series(kind, RATIOS, tuple(found[ratio] for ratio in RATIOS), style="line") for kind, found in worst.items()]
    series.append(Series("-(1 - c/4)", RATIOS, tuple(-(1 - ratio / 4) for ratio in RATIOS), style="guide"))
    labels = ("c = gamma |W|^2 h_max", "rate over gamma |f|^2")
    return Measured([row], [Chart("rates", "Slowest fall of E_gamma, and its bound", *labels, tuple(series))])


def measure_conjugate(size: Size, seed: int, tell: Tell) -> Measured:
    """`V_conj` against `E`, and along the altered system."""
    start = time.perf_counter()
    apart = rise = 0.0
    few = max(size.networks // 10, 1)
    for done, (_kind, make) in enumerate(KINDS.items()):
        tell(done / len(KINDS))
        for number, (W, b) in enumerate(islice(random_weights(seed), few)):
            network = network_of(make(), W, b)
            state, system = {"x": random_states(size.states, 2.0, seed + number)}, AlteredSystem(network)
            energy, u = network.energy(state), network.activations(state)
            apart = max(apart, float(((system.energy(u) - energy).abs() / (1 + energy.abs())).max()))
            values = torch.stack([system.energy(one) for one in runge_kutta(system.velocity, u, 0.02, size.steps)])
            rise = max(rise, float((values.diff(dim=0) / (1 + values[:-1].abs())).max()))
    count, data = len(KINDS) * few * size.states, f"random {', '.join(KINDS)} networks"
    seconds = time.perf_counter() - start
    return Measured([Row(EQUAL, apart, None, count, seconds, data), Row(CONJUGATE, rise, None, count, seconds, data)])


def cosines(hidden: Tensor) -> Tensor:
    """A Lagrangian that is not convex."""
    return 3 * hidden.cos().sum(-1)


@torch.no_grad()
def measure_feedback(size: Size, seed: int, tell: Tell) -> Measured:
    """`E_R` with rectangular weights and feedback that is not their transpose."""
    start = time.perf_counter()
    rise, rested, count, apart = 0.0, 0, 0, 0.0
    lagrangians: tuple[Lagrangian | Callable[[Tensor], Tensor], ...] = (cosines, Softmax(beta=3.0))
    for done, lagrangian in enumerate(lagrangians):
        tell(done / len(lagrangians))
        generator = torch.Generator().manual_seed(seed)
        A = 0.5 * torch.randn(HIDDEN, N, generator=generator, dtype=torch.float64) / N**0.5
        root = torch.eye(N) + 0.2 * torch.randn(N, N, generator=generator, dtype=torch.float64)
        c = torch.randn(HIDDEN, generator=generator, dtype=torch.float64) / 2
        system = Feedback(A, lagrangian, R=root @ root.T + 0.2 * torch.eye(N), c=c)
        apart = float(torch.linalg.matrix_norm(system.feedback - A.T) / torch.linalg.matrix_norm(A))
        u = random_states(size.states, 2.0, seed)
        values = system.energy(u)
        for _ in range(1000):
            u = u + 0.1 * system.velocity(u)
            before, values = values, system.energy(u)
            rise = max(rise, float(((values - before) / (1 + before.abs())).max()))
        rested, count = rested + int((system.velocity(u).abs().amax(-1) < 1e-9).sum()), count + size.states
    data = "random weights; sum of cosines, which is not convex, and soft-max"
    note, seconds = f"feedback {apart:.0%} away from the transpose (Frobenius norm)", time.perf_counter() - start
    return Measured(
        [
            Row(FEEDBACK, rise, None, count, seconds, data, note=note),
            Row(RESTS, rested / count, None, count, seconds, data, note=note),
        ]
    )
