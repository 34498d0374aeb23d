import warnings

import pytest
import torch
from energy.dense import BOUNDED_CURVATURE, SMOOTH, network_of, rk4, states, two_layers, weights

from attractor.dynamics import relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.altered import AlteredSystem
from attractor.energy.flatness import flat_directions
from attractor.energy.lyapunov import Conjugate, KrotovHopfield, Regularised, gain
from attractor.errors import AttractorWarning, EnergyUnboundedWarning
from attractor.read import Polynomial

SEEDS = range(5)


def derivative(function, network, state):
    """Along the motion, by autograd."""
    points = {name: x.clone().requires_grad_() for name, x in state.items()}
    slopes = torch.autograd.grad(function.value(points).sum(), list(points.values()))
    velocity = network.velocity(state)
    return torch.stack([(slope * velocity[name]).sum(-1) for slope, name in zip(slopes, points, strict=True)]).sum(0)


@pytest.mark.parametrize("kind", BOUNDED_CURVATURE)
def test_rates_are_the_derivatives_along_the_motion(kind):
    network, start = network_of(BOUNDED_CURVATURE[kind](), *weights(8, 0)), states(6, 8, 0)
    for function in (KrotovHopfield(network), Regularised(network)):
        torch.testing.assert_close(function.rate(start), derivative(function, network, start), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("taus", [(1.0, 1.0), (1.0, 0.1), (0.3, 2.0)])
@pytest.mark.parametrize("kinds", [("relu", "softmax"), ("tanh", "layernorm"), ("identity", "spherical")])
def test_rate_keeps_its_bound_with_time_constants(taus, kinds):
    for seed in SEEDS:
        network, start = two_layers(seed, taus=taus, kinds=kinds)
        function = Regularised(network)
        torch.testing.assert_close(function.rate(start), derivative(function, network, start), rtol=1e-8, atol=1e-8)
        assert bool((function.rate(start) <= function.bound(start)).all())
        expected = -function.gamma * function.square(start) * (1 - 0.5 / 4) / max(taus)
        torch.testing.assert_close(function.bound(start), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", BOUNDED_CURVATURE)
@pytest.mark.parametrize(("ratio", "share"), [(1.0, 0.75), (2.0, 0.5)])
def test_regularised_energy_falls_at_its_rate(kind, ratio, share):
    for seed in SEEDS:
        lagrangian = BOUNDED_CURVATURE[kind]()
        W, b = weights(8, seed)
        network = network_of(lagrangian, W, b)
        limit = 1 / (float(torch.linalg.matrix_norm(W, 2)) ** 2 * lagrangian.curvature_bound)
        function = Regularised(network, ratio * limit * (1 - 1e-9))
        assert function.ratio == pytest.approx(ratio, rel=1e-6)
        for scale in (0.3, 3.0):
            start = states(20, 8, seed, scale=scale)
            assert bool((function.rate(start) <= -share * (1 - 1e-6) * function.gamma * function.square(start)).all())


def test_default_weight_is_half_of_where_the_rate_is_three_quarters():
    W, b = weights(8, 0)
    function = Regularised(network_of(lagrangians.Tanh(beta=2.0), W, b))
    assert function.gamma == pytest.approx(0.5 / (2 * float(torch.linalg.matrix_norm(W, 2)) ** 2), rel=1e-6)
    assert function.ratio == pytest.approx(0.5)
    slower = Regularised(two_layers(0, taus=(1.0, 0.1))[0])
    assert slower.gamma * slower.gain == pytest.approx(0.05)


@pytest.mark.parametrize("kind", ["relu", "softmax", "layernorm", "tanh"])
def test_regularised_energy_falls_strictly_along_the_motion(kind):
    network = network_of(BOUNDED_CURVATURE[kind](), *weights(8, 1, gain=0.9))
    function = Regularised(network)
    values = torch.stack([function.value(state) for state in rk4(network.velocity, states(10, 8, 1), 0.02, 150)])
    assert bool((values.diff(dim=0) < 0).all())


def test_regularised_energy_grows_quadratically_where_the_energy_is_flat():
    network = network_of(lagrangians.ReLU(), *weights(6, 0))
    function = Regularised(network)
    base = states(1, 6, 0)["x"]
    direction = (base < 0).double()
    far = {"x": base - torch.tensor([[0.0], [1e3], [2e3]]).double() * direction}
    torch.testing.assert_close(network.energy(far), network.energy(far)[:1].expand(3), rtol=1e-12, atol=1e-12)
    assert function.value(far)[1:].detach() / (function.gamma / 2 * far["x"][1:].square().sum(-1)) == pytest.approx(1.0, rel=1e-2)


@pytest.mark.parametrize(("ratio", "rises"), [(3.9, False), (4.1, True)])
def test_limit_of_the_weight_is_sharp(ratio, rises):
    # a living neuron that is pulled slowly drives a dead one hard: nothing is nearer to the bound
    w = torch.tensor(20.0).double()
    gamma = float(ratio / w**2)
    pull = torch.stack([gamma * w / 2, torch.ones_like(w)])
    x = torch.tensor([1.0, -1.0]).double()
    W = w * torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    network = network_of(lagrangians.ReLU(), W, pull + x - W @ x.relu())
    function = Regularised(network)
    function.gamma = gamma
    assert bool(function.rate({"x": x[None]}) > 0) == rises


def test_gain_is_the_squared_norm_and_grows_with_higher_synapses():
    W, b = weights(8, 0)
    network = network_of(lagrangians.Sigmoid(beta=2.0), W, b)
    expected = float(torch.linalg.matrix_norm(W, 2)) ** 2 / 2
    assert gain(network, states(3, 8, 0)).tolist() == pytest.approx([expected] * 3, rel=1e-8)
    cubic = synapses.FunctionSynapse(lambda g: -g.pow(3).sum(-1), ends=1)
    higher = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 2)}, [Connection(cubic, ("x",))])
    state = {"x": torch.tensor([[0.0, 0.0], [5.0, 0.0]]).double()}
    found = gain(higher, state)
    assert float(found[0]) == 0 and float(found[1]) == pytest.approx(36 * float(torch.tanh(torch.tensor(5.0).double())) ** 2)


def test_held_units_have_no_force_and_the_rate_is_theirs():
    network, start = network_of(lagrangians.Tanh(beta=2.0), *weights(6, 0)), states(5, 6, 0)
    mask = torch.tensor([True, False, False, True, False, False])
    function = Regularised(network, clamp={"x": mask})
    x = start["x"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(function.value({"x": x}).sum(), x)
    expected = (slope * network.velocity(start)["x"] * ~mask).sum(-1)
    torch.testing.assert_close(function.rate(start), expected, rtol=1e-9, atol=1e-9)
    assert bool((function.rate(start) <= function.bound(start)).all())


@pytest.mark.parametrize("kind", [*BOUNDED_CURVATURE, "repu", "exp"])
def test_conjugate_function_equals_the_energy_at_every_state(kind):
    make = {**BOUNDED_CURVATURE, "repu": lambda: lagrangians.RePU(3), "exp": lagrangians.Exp}[kind]
    network, start = network_of(make(), *weights(8, 0)), states(20, 8, 0)
    found = Conjugate(network).value(network.activations(start))
    torch.testing.assert_close(found, network.energy(start), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", [*SMOOTH, "relu"])
def test_conjugate_function_never_rises_along_the_altered_motion(kind):
    network = network_of(BOUNDED_CURVATURE[kind](), *weights(8, 2, gain=0.9))
    system = AlteredSystem(network)
    way = rk4(system.velocity, network.activations(states(10, 8, 2)), 0.02, 300)
    values = torch.stack([system.energy(u) for u in way])
    assert float(values.diff(dim=0).max()) < 1e-9


@pytest.mark.parametrize("kind", ["softmax", "tanh", "relu"])
def test_drive_takes_altered_trajectories_to_those_of_the_network(kind):
    network = network_of(BOUNDED_CURVATURE[kind](), *weights(8, 3, gain=0.9))
    system = AlteredSystem(network)
    u = network.activations(states(5, 8, 3))
    end = rk4(system.velocity, u, 0.01, 100)[-1]
    expected = rk4(network.velocity, system.state(u), 0.01, 100)[-1]
    torch.testing.assert_close(system.state(end)["x"], expected["x"], rtol=1e-6, atol=1e-6)


def test_steady_states_of_both_forms_belong_together():
    W, b = weights(6, 4)
    network = network_of(lagrangians.ReLU(), -8 * W.abs().fill_diagonal_(0), b.abs())
    system = AlteredSystem(network)
    start = states(40, 6, 4)
    rest = relax(network, start, "euler", tol=1e-11, max_steps=3000)
    assert bool(rest.converged.all())
    u = network.activations(rest.state)
    assert float(system.velocity(u)["x"].abs().max()) < 1e-10
    torch.testing.assert_close(system.energy(u), rest.energy, rtol=1e-8, atol=1e-8)
    found = system.relax(network.activations(start), dt=0.2, tol=1e-11, max_steps=3000)
    x = system.state(found)
    assert float(network.velocity(x)["x"].abs().max()) < 1e-9
    torch.testing.assert_close(network.activations(x)["x"], found["x"], rtol=0, atol=1e-9)


def test_altered_layers_may_have_time_constants():
    network, start = two_layers(1, taus=(1.0, 0.2))
    system = AlteredSystem(network)
    way = rk4(system.velocity, network.activations(start), 0.01, 200)
    assert float(torch.stack([system.energy(u) for u in way]).diff(dim=0).max()) < 1e-9


def unbounded(lagrangian):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnergyUnboundedWarning)
        return network_of(lagrangian, *weights(3, 0))


@pytest.mark.parametrize("make", [lambda: lagrangians.RePU(3), lagrangians.Exp, lambda: lagrangians.LayerNorm(eps=0.0)])
def test_curvature_without_bound_is_refused(make):
    with pytest.raises(ValueError, match=r"'x'.*bounded curvature"):
        Regularised(unbounded(make()))


def test_weight_at_the_limit_is_refused_and_near_it_warned_of():
    W, b = weights(5, 0)
    network, limit = network_of(lagrangians.ReLU(), W, b), 4 / float(torch.linalg.matrix_norm(W, 2)) ** 2
    for gamma in (limit, 1.1 * limit):
        with pytest.raises(ValueError, match="gamma"):
            Regularised(network, gamma)
    with pytest.warns(AttractorWarning, match="gamma"):
        Regularised(network, 0.6 * limit)
    for gamma in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="gamma"):
            Regularised(network, gamma)


@pytest.mark.parametrize(
    ("make", "g"),
    [
        (lagrangians.ReLU, [-0.5, 0.0, 1.0]),
        (lagrangians.Softmax, [0.5, 0.6, 0.1]),
        (lagrangians.Tanh, [0.0, 1.5, 0.0]),
        (lagrangians.ReLU, [float("nan"), 0.0, 1.0]),
    ],
)
def test_what_no_state_has_as_activations_is_refused(make, g):
    system = AlteredSystem(unbounded(make()))
    u = {"x": torch.tensor([g]).double()}
    for function in (system.energy, system.relax):
        with pytest.raises(ValueError):
            function(u)


def test_asymmetric_weights_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match="feedback"):
        network_of(lagrangians.Tanh(), torch.tensor([[2.0, -2.0], [2.0, 2.0]]).double(), torch.zeros(2).double())
    with pytest.raises(ValueError, match="square"):
        network_of(lagrangians.Tanh(), torch.zeros(2, 3).double(), torch.zeros(2).double())


def quartic_memory():
    patterns = torch.randn(5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    memory = synapses.MemorySynapse(patterns, separation=Polynomial(4))
    return EnergyNetwork({"x": Neurons(lagrangians.Tanh(beta=2.0), 8)}, [Connection(memory, ("x",))])


def test_weight_for_a_curvature_that_changes_needs_the_states():
    network, state = quartic_memory(), states(50, 8, 0)
    with pytest.raises(ValueError, match=r"states must be given.*MemorySynapse"):
        Regularised(network)
    function = Regularised(network, states=state)
    assert bool((function.rate(state) <= function.bound(state)).all()) and function.ratio == pytest.approx(0.5)
    assert function.gain == pytest.approx(float(gain(network, state).max()), rel=1e-6)


def test_many_states_are_measured_in_parts():
    network, state = quartic_memory(), states(600, 8, 0)
    assert Regularised(network, states=state).gain == pytest.approx(float(gain(network, state).max()), rel=1e-6)


def test_regularised_energy_grows_quadratically_along_every_flat_direction():
    for kind in ("relu", "softmax", "layernorm", "ghostmax"):
        network, start = network_of(BOUNDED_CURVATURE[kind](), *weights(8, 1)), states(6, 8, 1)
        function = Regularised(network)
        for rows in flat_directions(network, start)["x"].unbind(1):
            present = (rows != 0).any(-1)
            moved = network.activations({"x": start["x"] + 1e4 * rows})["x"] - network.activations(start)["x"]
            sign = torch.where(moved.abs().amax(-1) < 1e-9, 1, -1)
            far = function.value({"x": start["x"] + 1e4 * sign[:, None] * rows})[present]
            torch.testing.assert_close(far / (function.gamma * 1e8 / 2), torch.ones_like(far), rtol=1e-2, atol=0)


def test_altered_layers_move_at_their_own_pace():
    network, start = two_layers(1, taus=(2.0, 0.25))
    u = network.activations(start)
    velocity, reached = AlteredSystem(network).velocity(u), network.activations(network.drives(u))
    for name, tau in (("image", 2.0), ("hidden", 0.25)):
        torch.testing.assert_close(velocity[name], (reached[name] - u[name]) / tau)


def test_altered_motion_refuses_what_is_no_number_and_takes_stages_of_an_integrator():
    system = AlteredSystem(network_of(lagrangians.Tanh(), *weights(3, 0)))
    with pytest.raises(ValueError, match=r"u\['x'\] must be finite"):
        system.velocity({"x": torch.full((1, 3), torch.nan).double()})
    assert bool(system.velocity({"x": torch.full((1, 3), 1.0 + 1e-6).double()})["x"].isfinite().all())
