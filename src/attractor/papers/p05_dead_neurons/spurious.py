"""How often the energy misleads: stationary sets that hold no steady state, and descent along its gradient in the states."""

from __future__ import annotations

import time
from itertools import islice

import torch
from torch import Tensor

from attractor.dynamics.euler import Euler
from attractor.dynamics.relax import relax
from attractor.energy.flatness import energy_gradient, steady_from_activations
from attractor.energy.lagrangians import ReLU
from attractor.energy.network import EnergyNetwork
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p05_dead_neurons.claims import MISLED, REACHED, SPURIOUS
from attractor.papers.p05_dead_neurons.networks import N, network_of, random_states, random_weights
from attractor.papers.p05_dead_neurons.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson

DATA = "random relu network"
RATE = 0.2
SAME = 1e-3
POINTS = 40


def measure_spurious(size: Size, seed: int, tell: Tell) -> Measured:
    """Of all activity patterns those with a stationary set, and of those the ones that hold a steady state."""
    start = time.perf_counter()
    shares, counts = [], []
    for W, b in islice(random_weights(seed), size.networks):
        sets = stationary_activations(W, b)
        accepted = steady_from_activations(network_of(ReLU(), W, b), {"x": sets}).accepted
        shares.append(float((~accepted).double().mean()))
        counts.append((int((~accepted).sum()), len(sets)))
        tell(0.5 * len(shares) / size.networks)
    mean, interval = mean_interval(shares)
    (spurious, count), fewest = counts[0], min(shares)
    note = f"{spurious} of {count} of the first network, {fewest:.1%} of the one with the smallest share; exhaustive over 2^{N}"
    rows = [Row(SPURIOUS, mean, interval, len(shares), time.perf_counter() - start, DATA, note=note)]
    W, b = next(random_weights(seed))
    sets = stationary_activations(W, b)
    network = network_of(ReLU(), W, b)
    steady = sets[steady_from_activations(network, {"x": sets}).accepted]
    begin = random_states(size.starts, 2.0, seed)
    descended, chart = measure_descent(network, begin, steady, size, tell)
    return Measured([*rows, *descended], [chart])


def stationary_activations(W: Tensor, b: Tensor) -> Tensor:
    """Activations `(sets, N)` at which `-H f = 0` for a relu network with some neuron alive: one for each set of living neurons
    whose equations `g = W g + b` have a positive solution.
    """
    patterns = (torch.arange(1, 2 ** len(b))[:, None] >> torch.arange(len(b))) & 1
    living = patterns.to(W)
    matrices = torch.eye(len(b)).to(W) - living[:, :, None] * W * living[:, None, :]
    g = torch.linalg.solve(matrices, living * b)
    return g[((g > 0) | (patterns == 0)).all(-1)]


def measure_descent(network: EnergyNetwork, begin: Tensor, steady: Tensor, size: Size, tell: Tell) -> tuple[list[Row], Chart]:
    """Descend the energy's gradient in the states, and let the network move, from the same starts."""

    def right(x: Tensor) -> Tensor:
        return torch.cdist(x.relu(), steady).amin(-1) < SAME

    start, every = time.perf_counter(), size.descent // POINTS
    x, shares = begin, []
    for step in range(size.descent):
        if step % every == 0:
            shares.append((step * RATE, float(right(x).double().mean())))
            tell(0.5 + 0.5 * step / size.descent)
        x = x - RATE * energy_gradient(network, {"x": x})["x"]
    state = {"x": x}
    gradient = energy_gradient(network, state)["x"].abs().amax(-1)
    force = network.velocity(state)["x"].abs().amax(-1)
    repaired = right(network.drives(network.activations(state))["x"])
    wrong = int((~right(x)).sum())
    note = (
        f"{float((gradient < 1e-6).double().mean()):.1%} have |grad E| < 1e-6, {float((force > SAME).double().mean()):.1%} still "
        f"|f| > {SAME}; setting x to Wg + b would end {float(repaired.double().mean()):.1%} at the steady state's activations"
    )
    rows = [Row(MISLED, wrong / len(x), wilson(wrong, len(x)), len(x), time.perf_counter() - start, DATA, note=note)]
    start = time.perf_counter()
    found = relax(network, {"x": begin}, Euler(RATE), tol=1e-9, max_steps=2000, trace=True)
    reached = int((right(found.state["x"]) & found.converged).sum())
    note = f"{int(found.steps.max())} Euler steps of {RATE} at most"
    rows.append(Row(REACHED, reached / len(x), wilson(reached, len(x)), len(x), time.perf_counter() - start, DATA, note=note))
    assert found.trace is not None
    way = found.trace.states["x"]
    stops = sorted({round((len(way) - 1) ** (place / POINTS)) for place in range(POINTS + 1)})
    moved = tuple(float(right(way[stop]).double().mean()) for stop in stops)
    times = tuple(RATE * stop for stop in stops)
    falls = Series(
        "down the gradient of E in x", tuple(t + RATE for t, _ in shares), tuple(share for _, share in shares), style="line"
    )
    title = "Starts that have the activations of the steady state"
    series = (Series("the motion", times, moved, style="line"), falls)
    return rows, Chart("starts", title, "time", "share of starts", series, x_scale="log")
