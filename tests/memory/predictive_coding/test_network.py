"""The network of predictive coding: its energy, the gradients written by hand, and the bound of its curvature."""

import warnings

import pytest
import torch

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.errors import EnergyUnboundedWarning
from attractor.memory.predictive_coding import Convolution, Curvature, Dense, PredictiveNetwork
from attractor.memory.predictive_coding.connections import connected, connection_from

WIDTHS = {1: (5,), 2: (6, 4), 3: (6, 5, 4)}


def random_network(layers, activation, *, dim=7, dtype=torch.float64, bias=True, precisions=None, seed=0):
    connections = connected(dim, layers)
    network = PredictiveNetwork(connections, activation, precisions or [1.0] * (len(connections) + 1), bias).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    network.reset(generator)
    for parameter in (*network.biases, network.memory_vector):
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def random_state(network, rows=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    widths = [network.connections[0].below, *(one.above for one in network.connections)]
    senses, *latents = (torch.randn(rows, width, generator=generator).to(network.memory_vector) for width in widths)
    return senses, latents


def energy_by_definition(network, senses, latents, precision):
    layers = [senses, *latents]
    total = 0
    for level, (connection, weight) in enumerate(zip(network.connections, network.weights, strict=True)):
        mean = connection.predict(weight, network.activation(layers[level + 1]))
        if network.bias:
            mean = mean + network.biases[level]
        weights = precision if level == 0 else network.precisions[level - 1]
        total = total + (weights * (layers[level] - mean) ** 2).sum(1) / 2
    return total + (network.precisions[-1] * (layers[-1] - network.memory_vector) ** 2).sum(1) / 2


@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    ("bias", "masked", "plain"), [(True, False, True), (True, True, False), (False, False, False), (False, True, True)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_gradients_are_those_of_autograd(activation, depth, bias, masked, plain, dtype, tolerance):
    senses_precision = torch.rand(7, generator=torch.Generator().manual_seed(2)) + 0.5
    precisions = [1.0] * (depth + 1) if plain else [senses_precision, *(0.3 + level for level in range(depth))]
    network = random_network(WIDTHS[depth], activation, bias=bias, precisions=precisions, dtype=dtype)
    check_gradients(network, masked, tolerance)


@pytest.mark.parametrize("top", [0.0, 2.0])
def test_gradients_of_convolutions_are_those_of_autograd(top):
    layers = (Convolution((2, 7, 6), (3, 3, 2), kernel=3, stride=2, padding=0), 5)
    network = random_network(layers, "tanh", dim=84, precisions=[1.5, 0.5, top])
    check_gradients(network, True, 1e-9)


def check_gradients(network, masked, tolerance):
    senses, latents = random_state(network)
    known = torch.rand(senses.shape, generator=torch.Generator().manual_seed(3)) < 0.6
    precision = network.sensory_precision * known if masked else network.sensory_precision
    states = [layer.requires_grad_() for layer in (senses, *latents)]
    weights = [*network.weights, *network.biases, network.memory_vector]
    for parameter in weights:
        parameter.requires_grad_()
    energy = energy_by_definition(network, senses, latents, precision)
    expected = torch.autograd.grad(energy.sum(), [*states, *weights])
    with torch.no_grad():
        errors = network.errors(senses, latents, precision if masked else None)
        found = [errors.weighted[0], *network.latent_gradients(latents, errors)]
        network.assign_gradients(errors)
    found += [parameter.grad * len(senses) for parameter in weights]
    torch.testing.assert_close(errors.energy(), energy.detach(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(errors.mean_energy(), energy.detach().mean(), rtol=tolerance, atol=tolerance)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max().clamp_min(1)))


@pytest.mark.parametrize(
    "connection",
    [
        Dense(7, 5),
        Convolution((3, 8, 8), (4, 4, 4)),
        Convolution((1, 9, 6), (2, 3, 2), kernel=3, stride=3, padding=0),
        Convolution((2, 8, 7), (3, 4, 4), kernel=3, stride=2, padding=1),
    ],
    ids=repr,
)
def test_feedback_is_the_transpose_of_prediction(connection, generator):
    weight = torch.randn(connection.shape, generator=generator, dtype=torch.float64)
    activity = torch.randn(3, connection.above, generator=generator, dtype=torch.float64)
    errors = torch.randn(3, connection.below, generator=generator, dtype=torch.float64)
    product = (connection.predict(weight, activity) * errors).sum()
    torch.testing.assert_close(product, (activity * connection.feedback(weight, errors)).sum())
    torch.testing.assert_close(product, (weight * connection.gradient(errors, activity)).sum())
    (again,) = connected(connection.below, [connection_from(connection.settings())])
    assert again.shape == connection.shape and again.settings() == connection.settings()


def test_units_of_a_convolution_see_as_many_above_as_it_says():
    connection = Convolution((1, 12, 12), (5, 6, 6), kernel=4, stride=2, padding=1)
    seen = connection.predict(torch.ones(connection.shape), torch.ones(1, connection.above)).reshape(12, 12)
    assert float(seen[6, 6]) == connection.fan_in == 20


@pytest.mark.parametrize("layers", [(20, 30), (Convolution((1, 6, 8), (4, 3, 4)), 9)], ids=["dense", "convolution"])
def test_norms_are_the_largest_singular_values_from_a_cold_start(layers):
    network = random_network(layers, "relu", dim=48)
    curvature = Curvature(network)
    for connection, weight, norm in zip(network.connections, network.weights, curvature._norms, strict=True):
        matrix = connection.predict(weight, torch.eye(connection.above, dtype=torch.float64)).T
        assert float(norm) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-4)


def test_two_iterations_follow_a_small_change_of_the_weights():
    network = random_network((20, 30), "relu", dim=48)
    curvature = Curvature(network)
    network.weights[0].add_(0.01 * torch.randn(48, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64))
    curvature.refine()
    assert float(curvature._norms[0]) == pytest.approx(float(torch.linalg.matrix_norm(network.weights[0], 2)), rel=0.01)


def test_linear_network_is_an_energy_network():
    """Between layers of identity Lagrangians: the synapses `-x W x'`, lateral ones `|W x'|^2 / 2`, and biases."""
    ours = random_network((6, 4), "identity")
    senses, (hidden, top) = random_state(ours)
    (down, deeper), (first, second), vector = ours.weights, ours.biases, ours.memory_vector

    def synapses_energy(x, y, z):
        below, above = y @ down.T + first, z @ deeper.T + second
        return (below.square() / 2 - x * below).sum(1) + (above.square() / 2 - y * above).sum(1) - z @ vector

    neurons = {name: Neurons(lagrangians.Identity(), width) for name, width in (("senses", 7), ("hidden", 6), ("top", 4))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        theirs = EnergyNetwork(neurons, [Connection(synapses.FunctionSynapse(synapses_energy, ends=3), tuple(neurons))])
    state = {"senses": senses, "hidden": hidden, "top": top}
    errors = ours.errors(senses, [hidden, top])
    torch.testing.assert_close(errors.energy(), theirs.energy(state) + vector.square().sum() / 2)
    velocity = theirs.velocity(state)
    for name, gradient in zip(state, (errors.weighted[0], *ours.latent_gradients([hidden, top], errors)), strict=True):
        torch.testing.assert_close(velocity[name], -gradient)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("senses_move", [False, True])
def test_curvature_bound_holds_for_the_linear_network(depth, senses_move):
    vector = torch.tensor([0.0, 3.0, 1.0, 0.2, 0.7, 2.0, 1.0])
    network = random_network(WIDTHS[depth], "identity", precisions=[vector, *([0.4, 5.0, 0.1][:depth])])
    senses, latents = random_state(network, 1)
    free = [senses, *latents] if senses_move else latents
    widths = [layer.shape[1] for layer in free]

    def energy(flat):
        parts = list(flat[None].split(widths, 1))
        layers = parts if senses_move else [senses, *parts]
        return energy_by_definition(network, layers[0], layers[1:], network.sensory_precision).sum()

    hessian = torch.autograd.functional.hessian(energy, torch.cat(free, 1)[0])
    largest, bound = float(torch.linalg.eigvalsh(hessian)[-1]), float(Curvature(network).bound(senses_move))
    assert largest <= bound * (1 + 1e-9) and bound < 4 * largest


def test_bound_follows_the_precision_of_each_row():
    network = random_network((6, 4), "relu")
    curvature = Curvature(network)
    precision = torch.tensor([[1.0], [0.1], [4.0]], dtype=torch.float64).expand(3, 7)
    each = curvature.bound(precision=precision)
    assert each.shape == (3, 1) and float(each[0]) == float(curvature.bound()) and float(each[2]) > float(each[0]) >= float(each[1])


def test_prior_state_has_no_errors_above_the_senses():
    network = random_network((6, 5, 4), "tanh")
    latents = network.prior_state(2)
    errors = network.errors(network.predicted_senses(latents), latents)
    assert float(errors.energy().max()) < 1e-20


def test_tops_are_the_memory_vector_with_noise_of_the_deviation_asked_for(generator):
    network = random_network((6, 5, 4), "tanh")
    apart = network.tops(20_000, 0.3, generator) - network.memory_vector
    assert float(apart.std()) == pytest.approx(0.3, rel=0.02) and float(apart.mean().abs()) < 0.01


def test_first_weights_are_uniform_and_the_first_prediction_is_the_mean(generator):
    network = PredictiveNetwork(connected(200, (100,)), "relu", [1.0, 1.0])
    network.reset(generator, torch.full((200,), 0.4))
    assert float(network.weights[0].abs().max()) <= 0.1 and float(network.weights[0].std()) == pytest.approx(0.1 / 3**0.5, rel=0.03)
    assert float(network.memory_vector.min()) >= 0 and float(network.memory_vector.max()) > 0.9
    assert torch.equal(network.biases[0], torch.full((200,), 0.4))
    odd = PredictiveNetwork(connected(20, (100,)), "tanh", [1.0, 1.0])
    odd.reset(generator)
    assert -0.5 <= float(odd.memory_vector.min()) < -0.4


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "at least one"),
        ((0,), "layers"),
        ((Convolution((1, 4, 4), (2, 2, 2)),), "fit each other"),
        ((8, Convolution((1, 4, 4), (2, 2, 2))), "fit each other"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        connected(7, layers)


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="maps of 4 x 4"):
        Convolution((3, 8, 8), (4, 5, 5))
    with pytest.raises(ValueError, match="channels"):
        Convolution((3, 8), (4, 5, 5))
