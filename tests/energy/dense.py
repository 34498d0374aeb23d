"""Dense networks `x' = W g(x) + b - x` with random symmetric weights."""

import warnings

import torch

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.errors import EnergyUnboundedWarning

SMOOTH = {
    "softmax": lambda: lagrangians.Softmax(beta=4.0),
    "tanh": lambda: lagrangians.Tanh(beta=2.0),
    "sigmoid": lambda: lagrangians.Sigmoid(beta=2.0),
    "layernorm": lambda: lagrangians.LayerNorm(eps=0.1),
    "spherical": lambda: lagrangians.Spherical(eps=0.01),
    "ghostmax": lambda: lagrangians.Ghostmax(beta=2.0),
}
BOUNDED_CURVATURE = {
    **SMOOTH,
    "relu": lagrangians.ReLU,
    "leaky_relu": lambda: lagrangians.LeakyReLU(0.1),
    "identity": lagrangians.Identity,
}


def weights(n, seed, *, gain=None):
    """Symmetric Gaussian `W`, scaled so that its largest eigenvalue is `gain` if given, and `b` of deviation 0.5."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(n, n, generator=generator, dtype=torch.float64)
    W = (W + W.T) / 2 / n**0.5
    if gain is not None:
        W = W * (gain / float(torch.linalg.eigvalsh(W)[-1]))
    return W, torch.randn(n, generator=generator, dtype=torch.float64) / 2


def network_of(lagrangian, W, b, *, tau=1.0):
    connections = [Connection(synapses.Lateral.from_matrix(W), ("x",)), Connection(synapses.Bias(b), ("x",))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        return EnergyNetwork({"x": Neurons(lagrangian, len(b), tau=tau)}, connections)


def states(count, n, seed, *, scale=2.0):
    generator = torch.Generator().manual_seed(1000 + seed)
    return {"x": scale * torch.randn(count, n, generator=generator, dtype=torch.float64)}


def two_layers(seed, *, taus=(1.0, 1.0), kinds=("relu", "softmax")):
    """A visible and a hidden layer with a dense synapse and biases."""
    generator = torch.Generator().manual_seed(seed)
    xi = torch.randn(4, 6, generator=generator, dtype=torch.float64) / 2
    b = torch.randn(6, generator=generator, dtype=torch.float64) / 2
    layers = {
        name: Neurons(BOUNDED_CURVATURE[kind](), size, tau=tau)
        for name, kind, size, tau in zip(("image", "hidden"), kinds, (6, 4), taus, strict=True)
    }
    joined = [Connection(synapses.Dense.from_matrix(xi), ("image", "hidden")), Connection(synapses.Bias(b), ("image",))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        network = EnergyNetwork(layers, joined)
    sizes = {"image": 6, "hidden": 4}
    start = {name: 2 * torch.randn(30, size, generator=generator, dtype=torch.float64) for name, size in sizes.items()}
    return network, start


@torch.no_grad()
def rk4(velocity, state, dt, steps):
    """States along the motion, `steps + 1` of them."""
    way = [state]
    for _ in range(steps):
        k1 = velocity(state)
        k2 = velocity({name: x + dt / 2 * k1[name] for name, x in state.items()})
        k3 = velocity({name: x + dt / 2 * k2[name] for name, x in state.items()})
        k4 = velocity({name: x + dt * k3[name] for name, x in state.items()})
        state = {name: x + dt / 6 * (k1[name] + 2 * k2[name] + 2 * k3[name] + k4[name]) for name, x in state.items()}
        way.append(state)
    return way
