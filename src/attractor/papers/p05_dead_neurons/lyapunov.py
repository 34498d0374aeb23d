"""Lyapunov functions: how fast they fall, and that they never rise."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from attractor.energy.altered import AlteredSystem
from attractor.energy.feedback import Feedback
from attractor.energy.lagrangian import Lagrangian
from attractor.energy.lagrangians import Softmax
from attractor.energy.lyapunov import Regularised
from attractor.energy.network import EnergyNetwork
from attractor.errors import EnergyUnboundedWarning
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p05_dead_neurons.claims import (
    ASYMMETRIC,
    CONJUGATE,
    EQUAL,
    FEEDBACK,
    LIMIT,
    RATE,
    RESTS,
    SEVERAL,
)
from attractor.papers.p05_dead_neurons.networks import (
    KINDS,
    N,
    distinct,
    hessians,
    network_of,
    random_states,
    random_weights,
    runge_kutta,
)
from attractor.papers.p05_dead_neurons.sizes import Size
from attractor.papers.parts import Measured, Tell

HIDDEN = 8
MOST_STEPS, REST, SAME = 20_000, 1e-9, 1e-4
RATIOS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 3.9, 4.1)
STRENGTH = 20.0
"""Of the hardest weights, where `E_gamma` is near the bound of its rate."""
SCALES = (0.1, 0.3, 1.0, 3.0)
TRIED = 100


def measure_rate(size: Size, seed: int, tell: Tell) -> Measured:
    """The slowest fall of `E_gamma`, for `c = gamma |W|^2 h_max` from 0.25 to 4.1: over random networks and states, and for the
    weights and currents that make it slowest.
    """
    start = time.perf_counter()
    worst = {kind: dict.fromkeys(RATIOS, -float("inf")) for kind in KINDS}
    for done, (kind, make) in enumerate(KINDS.items()):
        for number, (W, b) in enumerate(islice(random_weights(seed), size.rated)):
            tell((done + number / size.rated) / len(KINDS))
            rates = slowest_rates(network_of(make(), W, b), random_states(size.states, 3.0, seed + number))
            worst[kind] = {ratio: max(rates[ratio], worst[kind][ratio]) for ratio in RATIOS}
        for ratio in RATIOS:
            worst[kind][ratio] = max(worst[kind][ratio], hardest_rate(make(), ratio, seed))
    count = len(KINDS) * (size.rated * size.states + 1)
    seconds, data = time.perf_counter() - start, "random networks, states of deviation 3, and the hardest weights"
    rows = []
    for claim, ratio in ((RATE, 1.0), (LIMIT, 4.1)):
        note = ", ".join(f"{kind} {found[ratio]:.3f}" for kind, found in worst.items())
        rows.append(Row(claim, max(found[ratio] for found in worst.values()), None, count, seconds, data, note=note))
    series = [Series(kind, RATIOS, tuple(found[ratio] for ratio in RATIOS), style="line") for kind, found in worst.items()]
    series.append(Series("-(1 - c/4)", RATIOS, tuple(-(1 - ratio / 4) for ratio in RATIOS), style="guide"))
    labels = ("c = gamma |W|^2 h_max", "rate over gamma |f|^2")
    return Measured(rows, [Chart("rates", "Slowest fall of E_gamma, and its bound", *labels, tuple(series))])


def slowest_rates(network: EnergyNetwork, x: Tensor) -> dict[float, float]:
    """For each `c` the largest rate over states `x`, in units of `gamma |f|^2`."""
    state, function = {"x": x}, Regularised(network)
    square, gain, found = function.square(state), function.gain, {}
    for ratio in RATIOS:
        function.gamma = ratio / gain
        found[ratio] = float((function.rate(state) / (function.gamma * square)).max())
    return found


def hardest_rate(lagrangian: Lagrangian, ratio: float, seed: int) -> float:
    """The rate at the state, of those tried, that suitable weights and currents make the slowest.

    The rate is `f.A f`, `A = gamma (W H + H W) / 2 - H - gamma`. Weights that join the steepest direction of `H` to its flattest
    make the largest eigenvalue of `A` large, and a current makes its eigenvector the force `f`.
    """
    x = torch.cat([random_states(TRIED, scale, seed) for scale in SCALES])
    hessian, one = hessians(lagrangian, x), torch.eye(N).to(x)
    directions = torch.linalg.eigh(hessian).eigenvectors
    steep, flat = directions[:, :, -1:], directions[:, :, :1]
    W = STRENGTH * (steep @ flat.mT + flat @ steep.mT)
    gamma = ratio / (STRENGTH**2 * lagrangian.curvature_bound)
    rates, forces = torch.linalg.eigh((W @ hessian + hessian @ W) / 2 - hessian / gamma - one)
    worst = int(rates[:, -1].argmax())
    x, W, force = x[worst], W[worst], forces[worst, :, -1]
    with warnings.catch_warnings():
        # nothing moves here: the rate is looked at in one state
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        network = network_of(lagrangian, W, force + x - W @ lagrangian.activation(x[None])[0])
    return slowest_rates(network, x[None])[ratio]


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
    """`E_R` with rectangular weights and feedback that is not their transpose, strong enough for several states of rest."""
    start = time.perf_counter()
    rise, rested, apart, rests = 0.0, 0, float("inf"), []
    lagrangians: tuple[tuple[Lagrangian | Callable[[Tensor], Tensor], float], ...] = ((cosines, 3.0), (Softmax(beta=3.0), 1.5))
    for done, (lagrangian, curvature) in enumerate(lagrangians):
        tell(done / len(lagrangians))
        system = feedback_system(lagrangian, seed)
        apart = min(apart, float(torch.linalg.matrix_norm(system.feedback - system.A.T) / torch.linalg.matrix_norm(system.A)))
        dt = 1 / (1 + curvature * float(torch.linalg.matrix_norm(system.A @ system.feedback, 2)))
        u = random_states(size.states, 2.0, seed)
        values = system.energy(u)
        for _ in range(MOST_STEPS):
            motion = system.velocity(u)
            if float(motion.abs().max()) < REST:
                break
            u = u + dt * motion
            before, values = values, system.energy(u)
            rise = max(rise, float(((values - before) / (1 + before.abs())).max()))
        resting = system.velocity(u).abs().amax(-1) < REST
        rested += int(resting.sum())
        rests.append(len(distinct(u[resting], SAME)))
    data, count = "random weights; sum of cosines, which is not convex, and soft-max", len(lagrangians) * size.states
    note, seconds = f"different states of rest: {' and '.join(map(str, rests))}", time.perf_counter() - start
    return Measured(
        [
            Row(ASYMMETRIC, apart, None, len(lagrangians), seconds, data),
            Row(FEEDBACK, rise, None, count, seconds, data),
            Row(RESTS, rested / count, None, count, seconds, data),
            Row(SEVERAL, float(min(rests)), None, count, seconds, data, note=note),
        ]
    )


def feedback_system(lagrangian: Lagrangian | Callable[[Tensor], Tensor], seed: int) -> Feedback:
    generator = torch.Generator().manual_seed(seed)
    A = 2 * torch.randn(HIDDEN, N, generator=generator, dtype=torch.float64) / N**0.5
    root = torch.eye(N) + 0.2 * torch.randn(N, N, generator=generator, dtype=torch.float64)
    c = torch.randn(HIDDEN, generator=generator, dtype=torch.float64) / 2
    return Feedback(A, lagrangian, R=root @ root.T + 0.2 * torch.eye(N), c=c)
