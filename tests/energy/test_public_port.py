"""The same network in the public PyTorch port of HAMUX (hamux-torch 0.0.1), whose numbers are stored here.

States and weights are sines of whole numbers, so that they can be made again anywhere. The port differentiates the whole energy by
activations; its Lagrangians are used where they are right, on vectors.
"""

from itertools import pairwise

import torch
from torch.testing import assert_close

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses

ACTIVATIONS = {
    "image": [[-0.544021, -0.99999, -0.536573, 0.420167], [0.990607, 0.650288, -0.287903, -0.961397]],
    "hidden": [[0.048432, 0.122363, 0.829206], [0.631381, 0.319664, 0.048954]],
    "norm": [[-1.617445, 0.068817, 1.074222, 0.474406], [0.406813, -1.161517, -0.671546, 1.42625]],
    "unit": [[0.390477, 0.920608], [0.914383, -0.404827]],
    "cubic": [[0.981303, 0.422874], [0.0, 0.0]],
}
ENERGIES = {
    "image": [0.880195, 1.205675],
    "hidden": [-0.279493, -0.401299],
    "norm": [-7e-05, -9.3e-05],
    "unit": [-9e-06, -1.4e-05],
    "cubic": [0.831384, 0.0],
    "image-hidden": [0.429351, -0.121131],
    "hidden-norm": [1.427305, 0.868419],
    "norm-unit": [-0.03027, -2.070374],
    "unit-cubic": [1.045956, -0.0],
}
GRADIENTS = {
    "image": [[-1.40098, -0.119075, -1.423812, 1.295973], [0.677105, 0.850054, -0.369934, -0.998743]],
    "hidden": [[0.323938, -2.961375, 2.939736], [3.102605, -0.92933, -1.947429]],
    "norm": [[-1.286697, 2.039731, 1.236858, 0.245089], [-1.30715, -1.115751, -0.479691, -0.400102]],
    "unit": [[1.955333, 1.442743], [-2.197378, -1.605707]],
    "cubic": [[1.818297, 1.203034], [-0.805139, -0.382505]],
}


def sines(*shape, start):
    return torch.sin(start + torch.arange(torch.Size(shape).numel(), dtype=torch.float32)).view(shape)


def test_activations_energies_and_gradients_are_those_of_the_public_port():
    neurons = {
        "image": Neurons(lagrangians.Identity(), 4),
        "hidden": Neurons(lagrangians.Softmax(beta=2.0), 3),
        "norm": Neurons(lagrangians.LayerNorm(eps=1e-5), 4),
        "unit": Neurons(lagrangians.Spherical(eps=1e-5), 2),
        "cubic": Neurons(lagrangians.RePU(3), 2),
    }
    names = list(neurons)
    joined = []
    for place, ends in enumerate(pairwise(names)):
        lower, upper = (neurons[end].units for end in ends)
        joined.append(Connection(synapses.Dense.from_matrix(sines(lower, upper, start=float(place)).T), ends))
    network = EnergyNetwork(neurons, joined)
    state = {name: sines(2, layer.units, start=10.0 + place) for place, (name, layer) in enumerate(network.layers.items())}
    activations, energies, velocity = network.activations(state), network.energies(state), network.velocity(state)
    assert set(energies) == set(ENERGIES)
    for name in names:
        assert_close(activations[name], torch.tensor(ACTIVATIONS[name]), rtol=1e-5, atol=1e-5)
        assert_close(-velocity[name], torch.tensor(GRADIENTS[name]), rtol=1e-5, atol=1e-5)
    for name, energy in energies.items():
        assert_close(energy, torch.tensor(ENERGIES[name]), rtol=1e-5, atol=1e-5)
