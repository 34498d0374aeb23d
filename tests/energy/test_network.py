"""Energy networks: one energy, drives that are its gradient, descent, wiring."""

import pytest
import torch
from random_networks import random_network, random_state

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses, to_graphviz
from attractor.errors import EnergyUnboundedWarning
from attractor.read import Polynomial, SoftMax


def two_layers(hidden=None, patterns=None, **layers):
    patterns = torch.eye(4)[:3] if patterns is None else patterns
    hidden = lagrangians.Softmax(beta=2.0) if hidden is None else hidden
    neurons = {"image": Neurons(lagrangians.Identity(), patterns.shape[1]), "hidden": Neurons(hidden, len(patterns))}
    return EnergyNetwork(neurons | layers, [Connection(synapses.Dense.from_matrix(patterns), ("image", "hidden"))])


@pytest.mark.parametrize("seed", range(12))
def test_velocity_is_minus_the_state_and_the_gradient_of_the_synapses(seed):
    network = random_network(seed)
    state = random_state(network, seed)
    leaves = {name: one.detach().requires_grad_() for name, one in network.activations(state).items()}
    gradients = torch.autograd.grad(network.synapse_energy(leaves).sum(), list(leaves.values()))
    velocity = network.velocity(state)
    for (name, x), gradient in zip(state.items(), gradients, strict=True):
        torch.testing.assert_close(velocity[name], -(x + gradient) / network.layer(name).tau, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(12))
def test_energy_falls_at_the_rate_of_the_theory(seed):
    network = random_network(seed)
    state = random_state(network, seed)
    velocity = network.velocity(state)
    rate = sum(
        -network.layer(name).tau * (one * network.layer(name).lagrangian.hvp(state[name], one)).flatten(1).sum(-1)
        for name, one in velocity.items()
    )
    step = 1e-5
    ahead, behind = ({name: x + sign * step * velocity[name] for name, x in state.items()} for sign in (1, -1))
    slope = (network.energy(ahead) - network.energy(behind)) / (2 * step)
    torch.testing.assert_close(slope, rate, rtol=1e-6, atol=1e-8)
    assert (rate <= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_gradient_of_the_energy_in_the_state_is_minus_the_hessian_times_the_force(seed):
    network = random_network(seed)
    state = {name: x.requires_grad_() for name, x in random_state(network, seed).items()}
    gradients = torch.autograd.grad(network.energy(state).sum(), list(state.values()))
    velocity = network.velocity(state)
    for (name, x), gradient in zip(state.items(), gradients, strict=True):
        layer = network.layer(name)
        torch.testing.assert_close(gradient, -layer.lagrangian.hvp(x, velocity[name] * layer.tau), rtol=1e-9, atol=1e-10)


def test_curvature_is_the_derivative_of_the_drives_and_symmetric():
    network = random_network(3)
    g = network.activations(random_state(network, 3))
    z, w = random_state(network, 4), random_state(network, 5)
    bent, other = network.curvature(g, z), network.curvature(g, w)
    step = 1e-6
    ahead, behind = (network.drives({name: one + sign * step * z[name] for name, one in g.items()}) for sign in (1, -1))
    for name in g:
        torch.testing.assert_close(bent[name], (ahead[name] - behind[name]) / (2 * step), rtol=1e-5, atol=1e-7)
    left, right = (sum((a[name] * b[name]).sum() for name in g) for a, b in ((bent, w), (other, z)))
    torch.testing.assert_close(left, right)


def test_energies_are_the_terms_of_the_energy():
    network = two_layers()
    state = network.initial(image=torch.rand(5, 4))
    terms = network.energies(state)
    assert list(terms) == ["image", "hidden", "image-hidden"]
    torch.testing.assert_close(sum(terms.values()), network.energy(state))
    g = network.activations(state)
    torch.testing.assert_close(terms["image"] + terms["hidden"], network.energy(state) - network.synapse_energy(g))


def test_one_synapse_serves_several_connections():
    shared = synapses.Dense(3, 3)
    neurons = {name: Neurons(lagrangians.Tanh(), 3) for name in "abc"}
    network = EnergyNetwork(neurons, [Connection(shared, ("a", "b")), Connection(shared, ("b", "c"))])
    assert len(network.synapses) == 1 and len(list(network.parameters())) == 1
    state = {name: torch.randn(2, 3) for name in "abc"}
    g = network.activations(state)
    torch.testing.assert_close(network.drives(g)["b"], g["a"] @ shared.weight.T + g["c"] @ shared.weight)


def test_two_connections_between_the_same_layers_add_up():
    neurons = {name: Neurons(lagrangians.Tanh(), 3) for name in "ab"}
    both = [Connection(synapses.Dense(3, 3), ("a", "b")) for _ in range(2)]
    state = {name: torch.randn(2, 3) for name in "ab"}
    network = EnergyNetwork(neurons, both)
    torch.testing.assert_close(sum(network.energies(state).values()), network.energy(state))


def test_state_dict_restores_the_energy():
    network, other = random_network(1), random_network(1)
    for parameter in other.parameters():
        parameter.data.add_(1)
    state = random_state(network, 0)
    assert not torch.equal(network.energy(state), other.energy(state))
    other.load_state_dict(network.state_dict())
    assert torch.equal(network.energy(state), other.energy(state))


def test_repr_and_graphviz_show_the_hypergraph():
    network = two_layers()
    assert "image: Neurons(4, Identity(), tau=1)" in repr(network)
    assert "image - hidden: Dense" in repr(network)
    text = to_graphviz(network)
    assert (
        text.startswith("graph network {") and '"synapse 0" -- "layer image";' in text and '"synapse 0" -- "layer hidden";' in text
    )


@pytest.mark.parametrize(
    ("connections", "words"),
    [
        ([Connection(synapses.Dense(4, 3), ("image", "attic"))], ["connections[0]", "attic", "image", "hidden"]),
        ([Connection(synapses.Dense(4, 3), ("image",))], ["2 ends", "image"]),
        ([Connection(synapses.Dense(4, 7), ("image", "hidden"))], ["(4,)", "(7,)", "(3,)"]),
    ],
)
def test_bad_wiring_is_refused_by_name(connections, words):
    neurons = {"image": Neurons(lagrangians.Identity(), 4), "hidden": Neurons(lagrangians.Softmax(), 3)}
    with pytest.raises(ValueError) as error:
        EnergyNetwork(neurons, connections)
    assert all(word in str(error.value) for word in words)


def test_network_without_layers_is_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        EnergyNetwork({}, [])


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan")])
def test_time_constant_must_be_positive(tau):
    with pytest.raises(ValueError, match="tau"):
        Neurons(lagrangians.Identity(), 3, tau=tau)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("hidden"), ["hidden", "missing"]),
        (lambda state: state.update(attic=torch.zeros(2, 1)), ["attic", "image"]),
        (lambda state: state.update(image=torch.zeros(2, 5)), ["image", "(b, 4)", "(2, 5)"]),
        (lambda state: state.update(image=torch.full((2, 4), torch.nan)), ["image", "NaN"]),
        (lambda state: state.update(hidden=torch.zeros(3, 3)), ["one batch", "[2, 3]"]),
    ],
)
def test_bad_states_are_refused_by_name(change, words):
    network = two_layers()
    state = network.initial(2)
    change(state)
    with pytest.raises(ValueError) as error:
        network.check_state(state)
    assert all(word in str(error.value) for word in words)


def test_synapse_must_give_one_number_for_each_sample():
    network = EnergyNetwork(
        {"x": Neurons(lagrangians.Tanh(), 3)}, [Connection(synapses.FunctionSynapse(lambda g: g.sum(), ends=1), ("x",))]
    )
    with pytest.raises(ValueError, match="one number"):
        network.energy(network.initial(2))


@pytest.mark.parametrize(
    ("visible", "hidden", "scale", "warns"),
    [
        (lagrangians.Identity(), lagrangians.RePU(3), 0.1, True),
        (lagrangians.ReLU(), lagrangians.RePU(3), 0.1, True),
        (lagrangians.Identity(), lagrangians.ReLU(), 2.0, True),
        (lagrangians.Identity(), lagrangians.ReLU(), 0.5, False),
        (lagrangians.Identity(), lagrangians.Softmax(beta=50.0), 9.0, False),
        (lagrangians.Tanh(), lagrangians.Exp(), 9.0, False),
    ],
)
def test_unbounded_pairs_are_warned_about(visible, hidden, scale, warns, recwarn):
    weight = scale * torch.eye(3)
    neurons = {"a": Neurons(visible, 3), "b": Neurons(hidden, 3)}
    EnergyNetwork(neurons, [Connection(synapses.Dense.from_matrix(weight), ("a", "b"))])
    assert bool([one for one in recwarn if one.category is EnergyUnboundedWarning]) is warns


def test_gains_add_up_over_three_unbounded_layers(recwarn):
    # each pair is safe by itself (gain 0.9 < 1); together the middle layer feels 0.9 sqrt(2)
    weight = synapses.Dense.from_matrix(0.9 * torch.eye(2))
    neurons = {name: Neurons(lagrangians.Identity(), 2) for name in "abc"}
    EnergyNetwork({name: neurons[name] for name in "ab"}, [Connection(weight, ("a", "b"))])
    assert not recwarn.list
    with pytest.warns(EnergyUnboundedWarning, match=r"gain of 1\.2"):
        EnergyNetwork(neurons, [Connection(weight, ("a", "b")), Connection(weight, ("b", "c"))])


def test_strong_inhibition_does_not_hide_a_gain_above_one():
    matrix = torch.diag(torch.tensor([-1000.0, 1.5] + [0.0] * 100))
    with pytest.warns(EnergyUnboundedWarning, match=r"gain of 1\.5"):
        EnergyNetwork({"x": Neurons(lagrangians.Identity(), 102)}, [Connection(synapses.Lateral.from_matrix(matrix), ("x",))])


def test_strength_that_other_layers_set_is_warned_about():
    third = synapses.Trilinear.from_tensor(torch.full((1, 1, 1), 5.0))
    neurons = {name: Neurons(lagrangians.Identity(), 1) for name in "ab"} | {"c": Neurons(lagrangians.Tanh(), 1)}
    with pytest.warns(EnergyUnboundedWarning, match="do not bound"):
        EnergyNetwork(neurons, [Connection(third, ("a", "b", "c"))])


def test_terms_of_a_layer_and_of_its_bias_stand_apart():
    network = EnergyNetwork({"x": Neurons(lagrangians.Identity(), 2)}, [Connection(synapses.Bias(torch.ones(2)), ("x",))])
    terms = network.energies({"x": torch.ones(1, 2)})
    assert {name: float(one) for name, one in terms.items()} == {"x": 1.0, "x (Bias)": -2.0}


@pytest.mark.parametrize("name", ["values", "keys", "a.b", ""])
def test_names_that_torch_keeps_for_itself_are_refused(name):
    with pytest.raises(ValueError, match="names"):
        EnergyNetwork({name: Neurons(lagrangians.Identity(), 2)}, [])


def test_networks_are_built_on_meta_and_with_mixed_precision():
    with torch.device("meta"):
        neurons = {"a": Neurons(lagrangians.Identity(), 4), "b": Neurons(lagrangians.ReLU(), 3)}
        EnergyNetwork(neurons, [Connection(synapses.Dense(4, 3), ("a", "b"))])
    extra = Neurons(lagrangians.Softmax(beta=torch.nn.Parameter(torch.tensor(1.0))), 2)
    two_layers(hidden=lagrangians.ReLU(), patterns=0.1 * torch.eye(4)[:3].double(), extra=extra)


def test_states_that_are_no_tensors_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(EnergyNetwork, "_check_names", lambda *names: None)  # the tests' type hook would be first
    with pytest.raises(TypeError, match=r"image.*ndarray"):
        two_layers().initial(image=torch.ones(2, 4).numpy())


def test_a_layer_named_like_a_synapse_keeps_its_own_node():
    network = EnergyNetwork(
        {"synapse 0": Neurons(lagrangians.Tanh(), 2)}, [Connection(synapses.Bias(torch.ones(2)), ("synapse 0",))]
    )
    assert '"synapse 0" -- "layer synapse 0";' in to_graphviz(network)


def test_truth_values_are_no_sizes():
    with pytest.raises(TypeError, match="shape"):
        Neurons(lagrangians.Tanh(), True)


def quartic():
    return synapses.FunctionSynapse(lambda g: -g.pow(4).sum(-1) / 4, ends=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: synapses.Lateral.from_matrix(torch.tensor([[2.0, 1.0], [1.0, 0.0]])),
        quartic,
        lambda: synapses.MemorySynapse(torch.tensor([[1.0, 2.0], [0.5, -1.0]]), separation=SoftMax(2.0)),
    ],
)
def test_drives_and_curvature_are_the_same_under_inference_mode(make):
    network = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 2)}, [Connection(make(), ("x",))])
    g, z = {"x": torch.tensor([[0.3, -0.7]])}, {"x": torch.tensor([[1.0, 2.0]])}
    drive, bent = network.drives(g)["x"], network.curvature(g, z)["x"]
    assert bool((bent != 0).all())
    with torch.inference_mode():
        g, z = {"x": torch.tensor([[0.3, -0.7]])}, {"x": torch.tensor([[1.0, 2.0]])}
        torch.testing.assert_close(network.drives(g)["x"], drive)
        torch.testing.assert_close(network.curvature(g, z)["x"], bent)
    with torch.no_grad():  # what was made there, outside
        torch.testing.assert_close(network.curvature(g, z)["x"], bent)


def test_unbounded_energy_is_warned_about_under_inference_mode():
    with torch.inference_mode():
        lateral = synapses.Lateral.from_matrix(5 * torch.eye(2))
    with torch.inference_mode(), pytest.warns(EnergyUnboundedWarning, match="gain of 5"):
        EnergyNetwork({"x": Neurons(lagrangians.Identity(), 2)}, [Connection(lateral, ("x",))])


def test_learned_energies_made_under_inference_mode_are_refused_by_name():
    with torch.inference_mode():
        synapse = synapses.FunctionSynapse(Weighed(), ends=1)
        with pytest.raises(ValueError, match="FunctionSynapse must be made outside"):
            synapse.drive(torch.ones(1, 2))


class Weighed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, g):
        return (self.weight * g.square()).sum(-1)


def test_function_that_loses_the_gradient_is_refused():
    synapse = synapses.FunctionSynapse(lambda g: g.detach().sum(-1), ends=1)
    with pytest.raises(ValueError, match="function must be differentiable"):
        synapse.drive(torch.ones(1, 2))


def test_curvature_of_a_linear_energy_is_zero():
    network = EnergyNetwork(
        {"x": Neurons(lagrangians.Tanh(), 2)}, [Connection(synapses.FunctionSynapse(lambda g: -g.sum(-1), ends=1), ("x",))]
    )
    assert network.curvature({"x": torch.ones(1, 2)}, {"x": torch.ones(1, 2)})["x"].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_half_precision_networks_are_built_and_warned_about(dtype, scale, recwarn):
    matrix = (scale * torch.eye(40)).to(dtype)
    lateral, dense = synapses.Lateral.from_matrix(matrix), synapses.Dense.from_matrix(matrix)
    assert lateral.concave_in(0) and not synapses.Lateral.from_matrix(-matrix).concave_in(0)
    EnergyNetwork({"x": Neurons(lagrangians.Identity(), 40)}, [Connection(lateral, ("x",))])
    neurons = {name: Neurons(lagrangians.Identity(), 40) for name in "ab"}
    EnergyNetwork(neurons, [Connection(dense, ("a", "b"))])
    assert len([one for one in recwarn if one.category is EnergyUnboundedWarning]) == (2 if scale > 1 else 0)


def test_square_of_a_memory_is_quadratic_and_bounded_where_it_is_weak(recwarn):
    def build(scale):
        memory = synapses.MemorySynapse(scale * torch.eye(2), separation=Polynomial(2))
        return EnergyNetwork({"x": Neurons(lagrangians.Identity(), 2)}, [Connection(memory, ("x",))])

    build(0.5)
    assert not recwarn.list
    with pytest.warns(EnergyUnboundedWarning, match="gain of 2.25"):
        build(1.5)
