"""What is near a steady state: its flat set, and its eigenvalues."""

from __future__ import annotations

import math
import time
from itertools import islice

import torch
from torch import Tensor

from attractor.dynamics.euler import Euler
from attractor.dynamics.relax import relax
from attractor.energy.lagrangians import ReLU
from attractor.energy.network import EnergyNetwork
from attractor.energy.stability import reduced_eigenvalues
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p05_dead_neurons.claims import FLAT, LEVEL, REDUCED, VERDICT
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

NEWTON = 40
MORE = 3
"""As many times more networks are needed for their few steady states."""
COUPLINGS = {"relu": 1.0, "softmax": 6.0, "tanh": 1.5}


def measure_flat_set(size: Size, seed: int, tell: Tell) -> Measured:
    """Push dead neurons down by up to 1000 and watch the way back."""
    start = time.perf_counter()
    network, rest = resting_with_dead_neurons(seed)
    generator = torch.Generator().manual_seed(seed)
    z = -1000 * torch.rand(size.flat, N, generator=generator, dtype=torch.float64) * (rest < 0)
    way = list(runge_kutta(network.velocity, {"x": rest + z}, 0.01, 500))
    ratios = [((state["x"] - rest).norm(dim=-1) / z.norm(dim=-1)) for state in way]
    energies = torch.stack([network.energy(state) for state in way])
    change = float(((energies - energies[0]).abs() / (1 + energies[0].abs())).max())
    error = float((ratios[-1] / math.exp(-5) - 1).abs().max())
    note = f"{int((rest < 0).sum())} of {N} neurons dead, ratio {float(ratios[-1].mean()):.9f}, e^-5 = {math.exp(-5):.9f}"
    seconds = time.perf_counter() - start
    rows = [
        Row(FLAT, error, None, size.flat, seconds, "random relu network", note=note),
        Row(LEVEL, change, None, size.flat, seconds, "random relu network"),
    ]
    times = tuple(0.25 * step for step in range(21))
    measured = tuple(float(ratios[25 * step].mean()) for step in range(21))
    guide = Series("e^-t", times, tuple(math.exp(-t) for t in times), style="guide")
    title = "Return of dead neurons to a steady state"
    return Measured(rows, [Chart("flat", title, "time", "distance", (Series("measured", times, measured), guide), y_scale="log")])


def resting_with_dead_neurons(seed: int) -> tuple[EnergyNetwork, Tensor]:
    """The first random relu network that comes to a rest `(1, N)` with dead neurons, and that."""
    for W, b in random_weights(seed):
        network = network_of(ReLU(), W, b)
        found = relax(network, {"x": random_states(1, 1.0, seed)}, Euler(0.2), tol=1e-13, max_steps=5000)
        if bool(found.converged.all()) and bool((found.state["x"] < 0).any()):
            return network, found.state["x"]
    raise RuntimeError("no random network came to a rest with dead neurons")


def measure_stability(size: Size, seed: int, tell: Tell) -> Measured:
    """Compare the eigenvalues of the Jacobian with those of the reduced problem, at steady states found by Newton's method."""
    start = time.perf_counter()
    apart, agree, count, unstable = 0.0, 0, 0, 0
    for done, (kind, coupling) in enumerate(COUPLINGS.items()):
        for number, (W, b) in enumerate(islice(random_weights(seed), MORE * size.networks)):
            tell((done + number / (MORE * size.networks)) / len(COUPLINGS))
            network = network_of(KINDS[kind](), coupling * W, b)
            x = steady_states(network, coupling * W, random_states(size.states, 1.0, seed + number))
            for eigenvalues, reduced in zip(
                torch.linalg.eigvals(jacobians(network, x)), reduced_eigenvalues(network, {"x": x}), strict=True
            ):
                full = eigenvalues.real.sort(descending=True).values
                flat = reduced.new_full((N - len(reduced),), -1.0)
                expected = torch.cat([reduced, flat]).sort(descending=True).values
                apart = max(apart, float((full - expected).abs().max()), float(eigenvalues.imag.abs().max()))
                stable = not len(reduced) or bool(reduced[0] < 0)
                agree, count, unstable = agree + int(stable == bool(full[0] < 0)), count + 1, unstable + int(not stable)
    seconds, data = time.perf_counter() - start, f"random {', '.join(COUPLINGS)} networks"
    note = f"{count} steady states, {unstable} of them unstable"
    return Measured(
        [
            Row(REDUCED, apart, None, count, seconds, data, note=note),
            Row(VERDICT, agree / count, None, count, seconds, data, note=note),
        ]
    )


def jacobians(network: EnergyNetwork, x: Tensor) -> Tensor:
    """Of the motion, by autograd, `(b, N, N)`."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        velocity = network.velocity({"x": x})["x"]
        rows = [torch.autograd.grad(one.sum(), x, retain_graph=True)[0] for one in velocity.unbind(1)]
    return torch.stack(rows, dim=1)


def steady_states(network: EnergyNetwork, W: Tensor, x: Tensor) -> Tensor:
    """Different steady states, stable and unstable, that Newton's method finds from states `x`."""
    for _ in range(NEWTON):
        jacobian = W @ hessians(network.layer("x").lagrangian, x) - torch.eye(N).to(x)
        x = x - torch.linalg.solve(jacobian, network.velocity({"x": x})["x"]).clamp(-1, 1)
    return distinct(x[network.velocity({"x": x})["x"].abs().amax(-1) < 1e-11], 1e-6)
