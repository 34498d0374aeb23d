"""Why an energy alone does not tell where a network comes to rest: dead neurons make it flat.

A network of twelve rectified neurons, `x' = W g(x) + b - x`, has one steady state. Its energy has many more stationary points, and
descent along its gradient in the states ends at them. The subject of Fanaskov and Oseledets 2024 (arXiv 2410.13866).

    python examples/dead_neurons.py [picture.png]
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from attractor.dynamics import relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.flatness import energy_gradient, steady_from_activations

N, STARTS, STEPS, STEP = 12, 1000, 5000, 0.2


def random_network(seed: int = 0) -> tuple[EnergyNetwork, Tensor, Tensor]:
    """Symmetric weights and currents, and the network that they make."""
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(N, N, generator=generator, dtype=torch.float64)
    b = torch.randn(N, generator=generator, dtype=torch.float64) / 2
    W = (A + A.T) / 2 / N**0.5
    joined = [Connection(synapses.Lateral.from_matrix(W), ("x",)), Connection(synapses.Bias(b), ("x",))]
    return EnergyNetwork({"x": Neurons(lagrangians.ReLU(), N)}, joined).requires_grad_(False), W, b


def stationary_activations(W: Tensor, b: Tensor) -> Tensor:
    """Activations of all stationary points of the energy with a living neuron, by trying all `2^N - 1` sets of living ones."""
    living = ((torch.arange(1, 2**N)[:, None] >> torch.arange(N)) & 1).to(W)
    g: Tensor = torch.linalg.solve(torch.eye(N).to(W) - living[:, :, None] * W * living[:, None, :], living * b)
    return g[((g > 0) | (living == 0)).all(-1)]


def main(picture: str | None = None) -> dict[str, float]:
    network, W, b = random_network()

    # 1. of the energy's stationary points, which belong to a state where nothing moves?
    candidates = stationary_activations(W, b)
    accepted = steady_from_activations(network, {"x": candidates}).accepted
    steady = candidates[accepted]
    print(f"stationary sets of the energy: {len(candidates)}, spurious: {int((~accepted).sum())}")

    # 2. from the same starts: down the gradient of the energy, and with the network's own motion
    start = 2 * torch.randn(STARTS, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, shares = start, []
    for _ in range(STEPS):
        shares.append(right(x, steady))
        x = x - STEP * energy_gradient(network, {"x": x})["x"]
    found = relax(network, {"x": start}, "euler", tol=1e-9, max_steps=2000, trace=True)
    misled, arrived = 1 - right(x, steady), right(found.state["x"], steady)
    print(f"descent of the energy ends at wrong activations: {misled:.1%} of starts")
    print(f"the motion ends at the steady state:             {arrived:.1%} of starts")

    if picture is not None:
        assert found.trace is not None
        draw(picture, shares, [right(x, steady) for x in found.trace.states["x"]])
    return {"stationary": len(candidates), "spurious": int((~accepted).sum()), "misled": misled, "arrived": arrived}


def right(x: Tensor, steady: Tensor) -> float:
    """The share of states that have the activations of a steady state."""
    return float((torch.cdist(x.relu(), steady).amin(-1) < 1e-3).double().mean())


def draw(picture: str, down: list[float], motion: list[float]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    ax.semilogx(range(1, len(motion) + 1), motion, label="the network's motion")
    ax.semilogx(range(1, len(down) + 1), down, label="down the gradient of the energy")
    ax.set_xlabel("step")
    ax.set_ylabel("share of starts at the steady state's activations")
    ax.legend()
    figure.savefig(picture, dpi=150)
    print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
