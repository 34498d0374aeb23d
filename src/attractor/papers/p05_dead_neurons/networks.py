"""Random networks `x' = W g(x) + b - x`, and motions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from attractor.energy.lagrangian import Lagrangian
from attractor.energy.lagrangians import Ghostmax, Identity, LayerNorm, LeakyReLU, ReLU, Sigmoid, Softmax, Spherical, Tanh
from attractor.energy.network import Connection, EnergyNetwork, State
from attractor.energy.neurons import Neurons
from attractor.energy.synapses import Bias, Lateral

N = 12
"""Neurons."""
KINDS: dict[str, Callable[[], Lagrangian]] = {
    "relu": ReLU,
    "softmax": lambda: Softmax(beta=4.0),
    "tanh": lambda: Tanh(beta=2.0),
    "sigmoid": lambda: Sigmoid(beta=2.0),
    "ghostmax": lambda: Ghostmax(beta=2.0),
    "identity": Identity,
    "leaky relu": lambda: LeakyReLU(0.1),
    "layer norm": lambda: LayerNorm(eps=0.1),
    "spherical": lambda: Spherical(eps=0.01),
}
"""All Lagrangians whose curvature has a bound."""


def random_weights(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`W`, normal, symmetrised and over `sqrt(N)`, with `b` of deviation 0.5.

    Left out are those with an eigenvalue of 1 or more, with which the energy of a relu network has no lower bound for certain, and
    those that leave it with no neuron alive.
    """
    for trial in range(10_000 * seed, 10_000 * (seed + 1)):
        generator = torch.Generator().manual_seed(trial)
        A = torch.randn(N, N, generator=generator, dtype=torch.float64)
        b = torch.randn(N, generator=generator, dtype=torch.float64) / 2
        W = (A + A.T) / 2 / N**0.5
        if float(torch.linalg.eigvalsh(W)[-1]) < 1 and bool((b > 0).any()):
            yield W, b


def network_of(lagrangian: Lagrangian, W: Tensor, b: Tensor) -> EnergyNetwork:
    connections = [Connection(Lateral.from_matrix(W), ("x",)), Connection(Bias(b), ("x",))]
    return EnergyNetwork({"x": Neurons(lagrangian, len(b))}, connections).requires_grad_(False)


def random_states(count: int, deviation: float, seed: int) -> Tensor:
    return deviation * torch.randn(count, N, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hessians(lagrangian: Lagrangian, x: Tensor) -> Tensor:
    """`H` at each state, `(b, N, N)`."""
    count, width = x.shape
    one = torch.eye(width).to(x).repeat(count, 1)
    return lagrangian.hvp(x.repeat_interleave(width, 0), one).view(count, width, width)


def distinct(x: Tensor, apart: float) -> Tensor:
    """Rows of `x` that are further than `apart` from all before them in some entry."""
    return x[[row for row in range(len(x)) if not bool(((x[:row] - x[row]).abs().amax(-1) < apart).any())]]


def runge_kutta(velocity: Callable[[State], State], state: State, dt: float, steps: int) -> Iterator[State]:
    """States of the motion, the first included, by the classical method of fourth order."""

    def moved(by: float, along: State) -> State:
        return {name: x + by * along[name] for name, x in state.items()}

    yield state
    for _ in range(steps):
        k1 = velocity(state)
        k2 = velocity(moved(dt / 2, k1))
        k3 = velocity(moved(dt / 2, k2))
        k4 = velocity(moved(dt, k3))
        state = moved(dt / 6, {name: k1[name] + 2 * k2[name] + 2 * k3[name] + k4[name] for name in state})
        yield state
