"""Random hypergraphs for tests, float64."""

from itertools import pairwise

import torch

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses

BOUNDED = [
    lambda: lagrangians.Tanh(beta=1.5),
    lambda: lagrangians.Sigmoid(beta=2.0),
    lambda: lagrangians.Softmax(beta=2.0),
    lambda: lagrangians.Spherical(eps=0.1),
    lambda: lagrangians.LayerNorm(eps=0.1),
]


def bounded_lagrangian(choose):
    return BOUNDED[int(torch.randint(len(BOUNDED), (), generator=choose))]()


def random_network(seed, *, lateral=True, three_body=True):
    """2 to 6 layers: an image with a convolution, dense layers on top, a lateral synapse and a three-body one."""
    choose = torch.Generator().manual_seed(seed)
    count = int(torch.randint(0, 4, (), generator=choose))
    shapes = {"image": (1, 6, 6), "maps": (2, 3, 3)}
    shapes |= {f"top{place}": (int(torch.randint(2, 6, (), generator=choose)),) for place in range(count + 1)}
    channels = synapses.Conv(1, 2, 2, stride=2, generator=choose)
    connections = [Connection(channels, ("image", "maps"))]
    names = list(shapes)
    for lower, upper in pairwise(names[1:]):
        connections.append(Connection(synapses.Dense(shapes[lower], shapes[upper], generator=choose), (lower, upper)))
    connections.append(Connection(synapses.Bias(torch.randn(shapes[names[-1]], generator=choose)), (names[-1],)))
    if lateral:
        width = shapes[names[-1]][0]
        half = torch.randn(width, width, generator=choose)
        matrix = half @ half.T / width if lateral == "semidefinite" else half + half.T
        connections.append(Connection(synapses.Lateral.from_matrix(matrix), (names[-1],)))
    if three_body and len(names) >= 4:
        sizes = [shapes[name][0] for name in names[-2:]]
        small = synapses.Trilinear(36, *sizes, generator=choose)
        connections.append(Connection(synapses.FunctionSynapse(Flattened(small), ends=3), ("image", *names[-2:])))
    neurons = {}
    for name, shape in shapes.items():
        tau = float(0.3 + torch.rand((), generator=choose))
        neurons[name] = Neurons(lagrangians.Identity() if name == "image" else bounded_lagrangian(choose), shape, tau=tau)
    return EnergyNetwork(neurons, connections).double()


class Flattened(torch.nn.Module):
    """The energy of a three-body synapse whose first end has an image's shape."""

    def __init__(self, synapse):
        super().__init__()
        self.synapse = synapse

    def forward(self, image, left, right):
        return self.synapse.energy(image.flatten(1), left, right)


def random_state(network, seed, batch=3, size=1.0):
    source = torch.Generator().manual_seed(1000 + seed)
    return {
        name: size * torch.randn(batch, *layer.shape, generator=source, dtype=torch.float64)
        for name, layer in network.layers.items()
    }
