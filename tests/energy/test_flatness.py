import pytest
import torch
from energy.dense import BOUNDED_CURVATURE, network_of, states, two_layers, weights

from attractor.dynamics import Adaptive, relax
from attractor.energy import AlteredSystem, Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.flatness import (
    dead_fraction,
    dead_units,
    energy_gradient,
    flat_directions,
    is_spurious,
    is_steady,
    range_projection,
    revive,
    steady_from_activations,
)
from attractor.energy.lyapunov import KrotovHopfield, Regularised
from attractor.energy.stability import is_stable, largest_eigenvalue, reduced_eigenvalues, same_basin_by_flatness

WITH_FLATS = {
    "relu": lagrangians.ReLU,
    "repu": lambda: lagrangians.RePU(3),
    "softmax": lambda: lagrangians.Softmax(beta=2.0),
    "layernorm": lambda: lagrangians.LayerNorm(eps=0.0),
    "layernorm_eps": lambda: lagrangians.LayerNorm(eps=0.1),
    "spherical": lambda: lagrangians.Spherical(eps=0.0),
    "spherical_eps": lambda: lagrangians.Spherical(eps=0.1),
    "tanh": lambda: lagrangians.Tanh(beta=2.0),
    "leaky_relu": lagrangians.LeakyReLU,
}


@pytest.mark.parametrize("kind", WITH_FLATS)
@pytest.mark.parametrize("distance", [0.1, 10.0, 1e3])
def test_energy_is_the_same_along_every_flat_direction(kind, distance):
    network = network_of(WITH_FLATS[kind](), *weights(8, 0))
    start = states(6, 8, 0)
    before = network.energy(start)
    for rows in flat_directions(network, start)["x"].unbind(1):
        # half-lines are flat one way only: where neurons are rectified, and away from the origin where lengths are taken out
        ways = [(network.energy({"x": start["x"] + t * rows}) - before).abs() for t in (distance, -distance)]
        assert bool((torch.minimum(*ways) <= 1e-9 * (1 + before.abs())).all())


@pytest.mark.parametrize("kind", WITH_FLATS)
def test_no_flat_direction_is_missed(kind):
    lagrangian = WITH_FLATS[kind]()
    network, start = network_of(lagrangian, *weights(8, 1)), states(6, 8, 1)
    directions = flat_directions(network, start)["x"]
    for x, rows in zip(start["x"], directions, strict=True):
        hessian = lagrangian.hvp(x.expand(8, 8), torch.eye(8, dtype=x.dtype))
        found = rows[(rows != 0).any(-1)]
        rank = int(torch.linalg.matrix_rank(hessian, rtol=1e-10))
        assert rank + len(found) == 8
        torch.testing.assert_close(found @ found.T, torch.eye(len(found), dtype=x.dtype))
        torch.testing.assert_close(found @ hessian, torch.zeros_like(found), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", WITH_FLATS)
def test_range_projection_takes_out_the_flat_directions_and_no_more(kind):
    network, start = network_of(WITH_FLATS[kind](), *weights(8, 2)), states(5, 8, 2)
    z = states(5, 8, 3)
    kept = range_projection(network, start, z)["x"]
    rows = flat_directions(network, start)["x"]
    torch.testing.assert_close((rows @ kept[:, :, None])[..., 0], torch.zeros(rows.shape[:2], dtype=kept.dtype))
    flat = (rows.transpose(1, 2) @ (rows @ z["x"][:, :, None]))[..., 0]
    torch.testing.assert_close(kept + flat, z["x"])


@pytest.mark.parametrize("kind", ["relu", "softmax", "tanh", "layernorm_eps", "spherical_eps"])
def test_gradient_of_the_energy_is_the_projected_force(kind):
    network, start = network_of(WITH_FLATS[kind](), *weights(8, 3)), states(6, 8, 4)
    x = start["x"].clone().requires_grad_()
    (expected,) = torch.autograd.grad(network.energy({"x": x}).sum(), x)
    torch.testing.assert_close(energy_gradient(network, start)["x"], expected, rtol=1e-12, atol=1e-12)


def test_dead_neurons_are_counted_layer_by_layer():
    network, _ = two_layers(0)
    state = {
        "image": torch.tensor([[1.0, -1.0, -2.0, 3.0, 4.0, -5.0], [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]]).double(),
        "hidden": torch.randn(2, 4).double(),
    }
    share = dead_fraction(network, state)
    assert share["image"].tolist() == [0.5, 0.0]
    assert share["hidden"].tolist() == [0.25, 0.25]  # the constant shift of the soft-max
    assert dead_units(network, state)["image"][0].tolist() == [False, True, True, False, False, True]
    assert list(dead_units(network, state)) == ["image"]


def stationary_activations(W, b):
    """Activations of the stationary points of the energy of a relu network, by trying all sets of living neurons."""
    n = len(b)
    patterns = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    living = patterns.to(W)
    g = torch.linalg.solve(torch.eye(n).to(W) - living[:, :, None] * W * living[:, None, :], living * b)
    return g[((g > 0) | (patterns == 0)).all(-1)]


@torch.no_grad()
@pytest.mark.parametrize("competition", [False, True], ids=["one steady state", "competition"])
@pytest.mark.parametrize("n", [6, 10])
def test_state_from_activations_finds_all_steady_states(n, competition):
    rejected, several = 0, 0
    for seed in range(20):
        W, b = weights(n, seed, gain=0.9)
        if competition:  # weights below zero bound the energy whatever their size
            W, b = -8 * W.abs().fill_diagonal_(0), b.abs()
        network = network_of(lagrangians.ReLU(), W, b)
        g = stationary_activations(W, b)
        found = steady_from_activations(network, {"x": g})
        truth = ((g @ W + b <= 0) | (g > 0)).all(-1)
        assert found.accepted.tolist() == truth.tolist() and bool(truth.any())
        assert bool(is_steady(network, {"x": found.state["x"][truth]}, tol=1e-9).all())
        assert bool((found.mismatch[~truth] > 1e-6).all())
        rejected, several = rejected + int((~truth).sum()), several + int(truth.sum() > 1)
        reached = relax(network, states(20, n, seed), "euler", tol=1e-10, max_steps=1000)
        nearest = torch.cdist(reached.state["x"][reached.converged], found.state["x"][truth]).amin(-1)
        assert bool(reached.converged.any()) and float(nearest.max()) < 1e-8
    assert rejected > 100
    assert several > 2 if competition else several == 0


def test_spurious_point_is_told_from_a_steady_state():
    W, b = torch.tensor([[0.5]]).double(), torch.tensor([1.0]).double()
    network = network_of(lagrangians.ReLU(), W, b)
    state = {"x": torch.tensor([[-3.0], [2.0], [1.0]]).double()}  # dead by mistake, steady, on the way
    assert is_spurious(network, state).tolist() == [True, False, False]
    assert is_steady(network, state).tolist() == [False, True, False]


def test_revival_sets_dead_neurons_to_their_drive_and_leaves_the_others():
    W, b = weights(8, 5)
    network, start = network_of(lagrangians.ReLU(), W, b), states(6, 8, 5)
    dead, drive = start["x"] <= 0, network.drives(network.activations(start))["x"]
    revived = revive(network, start)["x"]
    torch.testing.assert_close(revived[dead], drive[dead])
    assert torch.equal(revived[~dead], start["x"][~dead]) and bool(dead.any())


def steady_state(lagrangian, W, b):
    network = network_of(lagrangian, W, b)
    found = relax(network, {"x": torch.zeros(1, len(b)).double() + b}, "euler", tol=1e-13, max_steps=5000)
    assert bool(found.converged.all())
    return network, found.state


@pytest.mark.parametrize("kind", ["relu", "softmax"])
def test_flat_set_decays_exponentially_to_its_steady_state(kind):
    network, steady = steady_state(BOUNDED_CURVATURE[kind](), *weights(12, 0, gain=0.9))
    if kind == "relu":
        z = -1000 * torch.rand(10, 12).double() * (steady["x"] < 0)
    else:
        z = (100 * torch.randn(10, 1).double()).expand(10, 12)
    start = {"x": steady["x"] + z}
    assert bool((z.abs().amax(-1) > 0).all()) and bool(
        same_basin_by_flatness(network, start, {"x": steady["x"].expand(10, 12)}).all()
    )
    # five units of time, and a bit of every step for the solver to choose
    end = relax(network, start, Adaptive(1.0, rtol=1e-11), tol=0, max_steps=5).state["x"]
    torch.testing.assert_close(end, steady["x"] + torch.exp(torch.tensor(-5.0).double()) * z, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(network.energy({"x": end}), network.energy(start), rtol=1e-12, atol=1e-12)


def test_other_activations_are_not_said_to_be_in_the_basin():
    network, steady = steady_state(lagrangians.ReLU(), *weights(12, 0, gain=0.9))
    moved = {"x": steady["x"] + 0.1 * (steady["x"] > 0)}
    assert not bool(same_basin_by_flatness(network, moved, steady))
    assert not bool(same_basin_by_flatness(network, moved, moved))  # it has its own activations but is not steady


def test_leaky_relu_has_no_dead_neuron():
    network = network_of(lagrangians.LeakyReLU(0.1), *weights(8, 0))
    assert float(dead_fraction(network, states(5, 8, 0))["x"].max()) == 0


@pytest.mark.parametrize(
    ("state", "error", "complaint"),
    [
        ({"x": torch.full((1, 3), torch.nan).double()}, ValueError, "finite"),
        ({"x": torch.zeros(1, 4).double()}, ValueError, r"\(b, 3\)"),
        ({"y": torch.zeros(1, 3).double()}, ValueError, "unknown"),
        ({"x": torch.zeros(1, 3, dtype=torch.long)}, TypeError, "floating"),
    ],
)
def test_bad_states_are_refused_by_name(state, error, complaint):
    network = network_of(lagrangians.ReLU(), *weights(3, 0))
    for function in (flat_directions, dead_fraction, is_steady, is_spurious, steady_from_activations, revive):
        with pytest.raises(error, match=complaint):
            function(network, state)


def test_negative_tolerance_is_refused():
    network = network_of(lagrangians.ReLU(), *weights(3, 0))
    with pytest.raises(ValueError, match="tol"):
        is_steady(network, {"x": torch.zeros(1, 3).double()}, tol=-1.0)


def test_revival_of_a_collective_layer_keeps_its_activations():
    network, start = network_of(lagrangians.Softmax(beta=2.0), *weights(8, 5)), states(6, 8, 5)
    revived = revive(network, start)
    pull = network.drives(network.activations(start))["x"] - start["x"]
    torch.testing.assert_close(revived["x"] - start["x"], pull.mean(-1, keepdim=True).expand_as(pull))
    torch.testing.assert_close(network.activations(revived)["x"], network.activations(start)["x"])
    assert float((pull - pull.mean(-1, keepdim=True)).abs().max()) > 0.1


def test_clamped_dead_neuron_is_not_spurious():
    network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 2)}, [Connection(synapses.Bias(torch.ones(2)), ("x",))])
    state = {"x": torch.tensor([[-3.0, 1.0], [-3.0, -3.0]])}
    assert is_spurious(network, state).tolist() == [True, True]
    assert is_spurious(network, state, clamp={"x": torch.tensor([True, False])}).tolist() == [False, True]
    assert is_spurious(network, state, clamp={"x"}).tolist() == [False, False]


@pytest.mark.parametrize(
    ("clamp", "error", "words"),
    [
        ({"typo": torch.ones(3, dtype=torch.bool)}, ValueError, "clamp names unknown layers"),
        ({"x": torch.ones(3)}, TypeError, r"clamp\['x'\] must be a Boolean"),
        ({"x": torch.ones(4, dtype=torch.bool)}, ValueError, r"clamp\['x'\] must have shape"),
        ("x", TypeError, "clamp"),
    ],
)
def test_bad_clamps_are_refused_by_name(clamp, error, words):
    network, state = network_of(lagrangians.ReLU(), *weights(3, 0)), states(2, 3, 0)
    calls = [
        lambda: is_steady(network, state, clamp=clamp),
        lambda: is_spurious(network, state, clamp=clamp),
        lambda: is_stable(network, state, clamp=clamp),
        lambda: reduced_eigenvalues(network, state, clamp=clamp),
        lambda: largest_eigenvalue(network, state, clamp=clamp),
        lambda: KrotovHopfield(network, clamp=clamp).rate(state),
        lambda: Regularised(network, clamp=clamp).value(state),
        lambda: Regularised(network, clamp=clamp).rate(state),
    ]
    for call in calls:
        with pytest.raises(error, match=words):
            call()


def test_names_of_layers_clamp_as_masks_do():
    network, state = two_layers(0)
    whole = {"image": torch.ones(6, dtype=torch.bool)}
    for function in (is_steady, is_stable, largest_eigenvalue):
        assert torch.equal(function(network, state, clamp={"image"}), function(network, state, clamp=whole))


def test_not_a_number_is_refused_by_name():
    network = network_of(lagrangians.Tanh(), *weights(3, 0))
    state, function = {"x": torch.full((1, 3), torch.nan).double()}, Regularised(network)
    for call in (function.value, function.rate, function.bound, function.square, KrotovHopfield(network).value):
        with pytest.raises(ValueError, match=r"state\['x'\] must be finite"):
            call(state)
    with pytest.raises(ValueError, match=r"state\['x'\] must be finite"):
        energy_gradient(network, state)


def test_directions_are_checked_like_states():
    network, state = network_of(lagrangians.Tanh(), *weights(3, 0)), states(2, 3, 0)
    with pytest.raises(ValueError, match=r"z must hold every layer"):
        range_projection(network, state, {})
    with pytest.raises(ValueError, match=r"z\['x'\] must have shape"):
        range_projection(network, state, {"x": torch.ones(2, 4).double()})


@pytest.mark.parametrize("tol", [float("nan"), -1.0, float("inf")])
def test_tolerance_is_a_number_that_can_be_met(tol):
    network, state = network_of(lagrangians.ReLU(), *weights(3, 0)), states(1, 3, 0)
    calls = (
        lambda: is_steady(network, state, tol=tol),
        lambda: is_stable(network, state, tol=tol),
        lambda: relax(network, state, "euler", tol=tol),
        lambda: AlteredSystem(network).settle(network.activations(state), tol=tol),
    )
    for call in calls:
        with pytest.raises(ValueError, match="tol must be a finite number"):
            call()
