"""A dense memory is the two-layer network with its hidden layer integrated out: one truth, not two."""

import pytest
import torch

from attractor import DenseMemory, Dot, Euclidean, Exponential, Polynomial, RectifiedPolynomial, SoftMax
from attractor.dynamics import Euler, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses


@pytest.fixture
def patterns(generator):
    rows = torch.randn(12, 7, generator=generator, dtype=torch.float64)
    return rows / rows.norm(dim=-1, keepdim=True)


@pytest.fixture
def cues(generator, patterns):
    return patterns[:4] + 0.3 * torch.randn(4, 7, generator=generator, dtype=torch.float64)


def memory_of(patterns, **settings):
    memory = DenseMemory(patterns.shape[1], **settings)
    memory.store(patterns)
    return memory


def explicit(patterns, hidden, visible=None, bias=None):
    """The network with its hidden layer, whose drive is the patterns' overlap with the image."""
    neurons = {
        "image": Neurons(visible or lagrangians.Identity(), patterns.shape[1]),
        "hidden": Neurons(hidden, len(patterns)),
    }
    joined = [Connection(synapses.Dense.from_matrix(patterns), ("image", "hidden"))]
    if bias is not None:
        joined.append(Connection(synapses.Bias(bias), ("hidden",)))
    return EnergyNetwork(neurons, joined)


def with_hidden(network, x):
    """The state with the hidden layer at its drive."""
    state = network.initial(image=x)
    drive = network.drives(network.activations(state), only=["hidden"])["hidden"]
    return {**state, "hidden": drive}


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()])
def test_soft_max_memory_is_the_network_with_a_soft_max_layer(similarity, patterns, cues):
    memory = memory_of(patterns, similarity=similarity, separation=SoftMax(6.0))
    bias = None if isinstance(similarity, Dot) else -patterns.square().sum(-1) / 2
    network = explicit(patterns, lagrangians.Softmax(beta=6.0), bias=bias)
    # the energies differ by a constant: they agree on every difference
    ours, theirs = memory.energy(cues), network.energy(with_hidden(network, cues))
    torch.testing.assert_close(ours - ours[0], theirs - theirs[0], rtol=1e-10, atol=1e-12)
    step = relax(network, network.initial(image=cues), max_steps=1).state["image"]
    torch.testing.assert_close(memory.read(cues).values, step, rtol=1e-12, atol=1e-12)
    found = relax(network, network.initial(image=cues), tol=1e-12, max_steps=2000).state["image"]
    torch.testing.assert_close(memory.recall(cues, tol=1e-12, max_steps=2000).patterns, found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()])
@pytest.mark.parametrize("separation", [SoftMax(6.0)])
def test_memory_synapse_is_the_hidden_layer_integrated_out(similarity, separation, patterns, cues):
    memory = memory_of(patterns, similarity=similarity, separation=separation)
    synapse = synapses.MemorySynapse(patterns, separation=separation, similarity=similarity)
    network = EnergyNetwork({"image": Neurons(lagrangians.Identity(), 7)}, [Connection(synapse, ("image",))])
    ours, theirs = memory.energy(cues), network.energy({"image": cues})
    torch.testing.assert_close(ours - ours[0], theirs - theirs[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(relax(network, {"image": cues}, max_steps=1).state["image"], memory.read(cues).values)


@pytest.mark.parametrize(
    ("separation", "hidden"),
    [
        (Polynomial(2), lagrangians.Identity()),
        (Polynomial(4), lagrangians.Power(4)),
        (RectifiedPolynomial(3), lagrangians.RePU(3)),
        (Exponential(2.0), lagrangians.Exp(beta=2.0)),
    ],
)
def test_spherical_memories_are_the_networks_with_their_lagrangian(separation, hidden, patterns, cues):
    memory = memory_of(patterns, similarity=Dot(), separation=separation, state="spherical")
    network = explicit(patterns, hidden, visible=lagrangians.Spherical(eps=0.0))
    state = with_hidden(network, cues)
    torch.testing.assert_close(memory.energy(cues), network.energy(state), rtol=1e-10, atol=1e-12)
    # model C: the length of the state does not enter the energy
    torch.testing.assert_close(network.energy(with_hidden(network, 3.7 * cues)), network.energy(state), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_length_of_a_spherical_state_at_rest_is_n_times_minus_its_energy(n, patterns, cues):
    network = explicit(patterns, lagrangians.RePU(n), visible=lagrangians.Spherical(eps=0.0))
    found = relax(network, with_hidden(network, cues), tol=1e-12, max_steps=5000)
    assert found.converged.all()
    torch.testing.assert_close(found.state["image"].norm(dim=-1), -n * found.energy, rtol=1e-8, atol=1e-8)


def test_binary_memory_is_the_network_with_steep_neurons(generator):
    patterns = torch.randint(0, 2, (4, 40), generator=generator).double() * 2 - 1
    cue = patterns.clone()
    cue[:, :6] *= -1
    memory = memory_of(patterns, similarity=Dot(), separation=RectifiedPolynomial(3), state="binary")
    network = explicit(patterns / 40, lagrangians.RePU(3), visible=lagrangians.Tanh(beta=1e4))
    found = relax(network, with_hidden(network, cue), Euler(0.5), max_steps=400)
    assert torch.equal(found.state["image"].sign(), memory.recall(cue).patterns)
