import math

import pytest
import torch
from energy.dense import network_of, states, two_layers, weights

from attractor.dynamics import relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.energy.lanczos import lanczos
from attractor.energy.stability import is_stable, largest_eigenvalue, reduced_eigenvalues, same_basin_by_flatness
from attractor.energy.vectors import joined, parted

KINDS = {
    "softmax": (lambda: lagrangians.Softmax(beta=12.0), 3.0),
    "relu": (lagrangians.ReLU, None),
    "tanh": (lambda: lagrangians.Tanh(beta=2.0), 1.5),
}


def jacobians(network, state):
    """Of the whole motion, by autograd: `(b, N, N)`."""

    vectors = joined(state).requires_grad_()
    velocity = joined(network.velocity(parted(network, vectors)))
    rows = [torch.autograd.grad(one.sum(), vectors, retain_graph=True)[0] for one in velocity.unbind(1)]
    return torch.stack(rows, dim=1)


def with_flat_ones(reduced, count, tau=1.0):
    flat = reduced.new_full((count - len(reduced),), -1 / tau)
    return torch.cat([reduced, flat]).sort(descending=True).values


def steady_states(kind):
    """Steady states, stable and unstable, of random networks: by Newton's method from rest and from random states."""
    make, gain = KINDS[kind]
    for seed in range(15):
        W, b = weights(8, seed, gain=gain)
        if kind == "relu":
            W, b = -3 * W.abs().fill_diagonal_(0), b.abs()
        network = network_of(make(), W, b)
        x = states(24, 8, seed, scale=1.0)["x"]
        for _ in range(40):
            step = torch.linalg.solve(jacobians(network, {"x": x}), network.velocity({"x": x})["x"].detach())
            x = x - step.clamp(-1, 1)
        rest = network.velocity({"x": x})["x"].detach().abs().amax(-1) < 1e-11
        yield network, {"x": x[rest]}


@pytest.mark.parametrize("kind", KINDS)
def test_reduced_and_full_problem_agree_at_steady_states(kind):
    count = unstable = 0
    for network, state in steady_states(kind):
        if not len(state["x"]):
            continue
        full = torch.linalg.eigvals(jacobians(network, state))
        reduced = reduced_eigenvalues(network, state)
        verdict = is_stable(network, state)
        for eigenvalues, few, stable in zip(full, reduced, verdict.tolist(), strict=True):
            assert float(eigenvalues.imag.abs().max()) < 1e-6
            expected = eigenvalues.real.sort(descending=True).values
            torch.testing.assert_close(with_flat_ones(few, 8), expected, rtol=0, atol=1e-8)
            assert stable == bool(expected[0] < 0)
        count, unstable = count + len(verdict), unstable + int((~verdict).sum())
    assert count >= 60 and unstable >= 5


def test_as_many_eigenvalues_are_left_out_as_neurons_are_dead():
    network = network_of(lagrangians.ReLU(), *weights(8, 0))
    state = states(6, 8, 0)
    found = reduced_eigenvalues(network, state)
    assert [len(one) for one in found] == (state["x"] > 0).sum(-1).tolist()
    assert all(bool((one.diff() <= 0).all()) for one in found)


@pytest.mark.parametrize("kinds", [("relu", "softmax"), ("tanh", "layernorm"), ("spherical", "relu")])
@pytest.mark.parametrize("taus", [(1.0, 1.0), (1.0, 0.2), (3.0, 0.5)])
def test_time_constants_of_layers_enter_the_eigenvalues(kinds, taus):
    network, start = two_layers(0, taus=taus, kinds=kinds)
    start = {name: x[:6] for name, x in start.items()}
    full = torch.linalg.eigvals(jacobians(network, start)).real.sort(dim=-1, descending=True).values
    reduced = reduced_eigenvalues(network, start)
    for expected, few in zip(full, reduced, strict=True):
        for value in few:  # each of them is one of the full problem
            assert float((expected - value).abs().min()) < 1e-8
        rest = torch.tensor([-1 / tau for tau in taus]).to(expected)
        others = (expected[:, None] - torch.cat([few, rest])).abs().amin(-1)
        assert float(others.max()) < 1e-6  # those of dead neurons may lack eigenvectors: they are exact to half the digits only


def test_products_alone_give_the_same_largest_eigenvalue():
    network, start = two_layers(3, taus=(1.0, 0.3))
    torch.testing.assert_close(
        largest_eigenvalue(network, start, dense_rank=1), largest_eigenvalue(network, start), rtol=0, atol=1e-8
    )
    smooth = network_of(lagrangians.LayerNorm(eps=0.1), *weights(60, 0))
    state = states(4, 60, 0)
    torch.testing.assert_close(
        largest_eigenvalue(smooth, state, dense_rank=1), largest_eigenvalue(smooth, state), rtol=0, atol=1e-8
    )


def test_synapses_of_higher_order_have_their_curvature_at_the_point():
    torch.manual_seed(0)
    pattern = torch.randn(5).double()

    def energy(g):
        return -(g @ pattern).pow(4) / 40

    network = EnergyNetwork(
        {"x": Neurons(lagrangians.Tanh(beta=1.0), 5)}, [Connection(synapses.FunctionSynapse(energy, ends=1), ("x",))]
    )
    state = states(4, 5, 0, scale=0.5)
    full = torch.linalg.eigvals(jacobians(network, state)).real.sort(dim=-1, descending=True).values
    torch.testing.assert_close(torch.stack(reduced_eigenvalues(network, state)), full, rtol=0, atol=1e-9)


def test_held_units_do_not_count():
    W, b = weights(6, 0)
    network, state = network_of(lagrangians.Tanh(beta=2.0), W, b), states(3, 6, 0)
    mask = torch.tensor([True, False, True, False, False, False])
    full = jacobians(network, state)[:, ~mask][:, :, ~mask]
    expected = torch.linalg.eigvals(full).real.sort(dim=-1, descending=True).values
    held = {"x": mask}
    torch.testing.assert_close(torch.stack(reduced_eigenvalues(network, state, clamp=held)), expected, rtol=0, atol=1e-9)
    found = largest_eigenvalue(network, state, clamp=held, dense_rank=1)
    torch.testing.assert_close(found, expected[:, 0], rtol=0, atol=1e-8)


def test_state_whose_neurons_are_all_dead_is_stable():
    network = network_of(lagrangians.ReLU(), weights(4, 0)[0], -torch.ones(4).double(), tau=2.0)
    state = {"x": -torch.ones(1, 4).double()}
    assert bool(is_stable(network, state)) and largest_eigenvalue(network, state).tolist() == [-0.5]


def test_state_on_the_way_is_not_called_stable():
    network = network_of(lagrangians.Tanh(), *weights(4, 0, gain=0.5))
    assert not bool(is_stable(network, states(3, 4, 0)).any())
    rest = relax(network, states(3, 4, 0), "euler", tol=1e-9, max_steps=500).state
    assert bool(is_stable(network, rest).all())


def test_single_held_units_of_a_collective_layer_are_refused():
    network = network_of(lagrangians.Softmax(), *weights(3, 0))
    with pytest.raises(ValueError, match=r"clamp\['x'\]"):
        reduced_eigenvalues(network, states(1, 3, 0), clamp={"x": torch.tensor([True, False, False])})


@pytest.mark.parametrize("n", [1, 3, 40])
def test_lanczos_finds_the_largest_eigenvalue_and_not_the_largest_in_size(n):
    generator = torch.Generator().manual_seed(n)
    A = torch.randn(5, n, n, generator=generator, dtype=torch.float64)
    A = (A + A.transpose(1, 2)) / 2 - 3 * torch.eye(n).double()
    start = torch.randn(5, n, generator=generator, dtype=torch.float64)
    found = lanczos(lambda x: (A @ x[:, :, None])[..., 0], start)
    torch.testing.assert_close(found, torch.linalg.eigvalsh(A)[:, -1], rtol=1e-9, atol=1e-9)


def test_lanczos_stays_within_the_space_of_its_start():
    values = torch.tensor([5.0, -1.0, -2.0]).double()
    start = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]).double()
    torch.testing.assert_close(lanczos(lambda x: values * x, start), torch.tensor([-1.0, 5.0, -2.0]).double())
    with pytest.raises(ValueError, match="start"):
        lanczos(lambda x: values * x, torch.zeros(1, 3).double())


@pytest.mark.parametrize(
    ("lagrangian", "W", "stable"),
    [
        (lagrangians.ReLU(), [[2.0]], False),
        (lagrangians.ReLU(), [[0.5]], True),
        (lagrangians.LeakyReLU(0.01), [[2.0]], False),
        (lagrangians.LeakyReLU(0.01), [[0.5]], True),
        (lagrangians.ReLU(), [[0.0, 2.0], [2.0, 0.0]], False),
        (lagrangians.ReLU(), [[0.0, -2.0], [-2.0, 0.0]], False),  # each neuron alive by itself is stable, both together are not
        (lagrangians.Spherical(eps=0.0), [[2.0, 0.0], [0.0, 1.0]], False),
        (lagrangians.LayerNorm(eps=0.0), [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], False),
        (lagrangians.Spherical(eps=0.0), [[2.0]], False),  # of one unit: flat on both sides of the jump
        (lagrangians.LayerNorm(eps=0.0), [[2.0, 0.0], [0.0, 1.0]], False),
    ],
)
@pytest.mark.parametrize("aside", [0.0, 1e-9, -1e-9])
def test_steady_state_on_a_kink_is_stable_only_if_it_is_on_all_sides(lagrangian, W, stable, aside):
    W = torch.tensor(W).double()
    network = network_of(lagrangian, W, torch.zeros(len(W)).double())
    state = {"x": torch.full((1, len(W)), aside).double()}
    if isinstance(lagrangian, (lagrangians.Spherical, lagrangians.LayerNorm)):
        state = {"x": torch.zeros(1, len(W)).double()}
    assert bool(is_stable(network, state)) == stable
    certificate = relax(network, state, "euler", max_steps=0, certify=True).certificate
    assert bool(certificate.stable) == stable


@pytest.mark.parametrize(
    ("lagrangian", "state"), [(lagrangians.Spherical(eps=0.0), [2.0]), (lagrangians.LayerNorm(eps=0.0, dims=1), [2.0, -2.0])]
)
def test_beside_a_jump_a_state_without_slope_is_stable(lagrangian, state):
    network = network_of(lagrangian, 2 * torch.eye(len(state)).double(), torch.zeros(len(state)).double())
    steady = {"x": torch.tensor([state]).double()}
    assert bool(is_stable(network, steady))
    assert not bool(is_stable(network, steady, tol=3.0))
    assert bool(is_stable(network, {"x": torch.zeros(1, len(state)).double()}, clamp={"x"}))


def test_kink_far_from_the_state_does_not_count():
    network = network_of(lagrangians.ReLU(), torch.tensor([[2.0]]).double(), torch.tensor([-1e-3]).double())
    assert bool(is_stable(network, {"x": torch.tensor([[-1e-3]]).double()}))
    assert not bool(is_stable(network, {"x": torch.tensor([[-1e-3]]).double()}, tol=1e-2))


def test_dead_states_move_with_the_slowest_layer_that_is_not_held():
    neurons = {"a": Neurons(lagrangians.ReLU(), 2, tau=0.5), "b": Neurons(lagrangians.ReLU(), 1, tau=4.0)}
    network = EnergyNetwork(neurons, [Connection(synapses.Bias(-torch.ones(2)), ("a",))])
    state = {"a": -torch.ones(1, 2), "b": -torch.ones(1, 1)}
    assert largest_eigenvalue(network, state).tolist() == [-0.25]
    assert largest_eigenvalue(network, state, clamp={"b"}).tolist() == [-2.0]
    assert largest_eigenvalue(network, state, clamp={"b": None, "a": torch.tensor([True, False])}).tolist() == [-2.0]
    assert largest_eigenvalue(network, state, clamp={"a", "b"}).tolist() == [-math.inf]


@pytest.mark.parametrize("kind", ["layernorm", "softmax", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rank_and_eigenvalues_survive_lower_precision(kind, dtype):
    make = {
        "layernorm": lambda: lagrangians.LayerNorm(eps=0.0),
        "softmax": lambda: lagrangians.Softmax(beta=2.0),
        "tanh": lagrangians.Tanh,
    }[kind]
    W = weights(16, 0)[0].to(dtype)
    state = {"x": states(3, 16, 0, scale=1.0)["x"].to(dtype)}
    low = network_of(make(), W, torch.zeros(16, dtype=dtype))
    exact = network_of(make(), W.double(), torch.zeros(16).double())
    expected = reduced_eigenvalues(exact, {"x": state["x"].double()})
    found = reduced_eigenvalues(low, state)
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, right in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), right, rtol=0, atol=1e-4 if dtype == torch.float32 else 0.1)
    alone = largest_eigenvalue(low, state, dense_rank=1).double()
    torch.testing.assert_close(
        alone, torch.stack([one[0] for one in expected]), rtol=0, atol=1e-3 if dtype == torch.float32 else 0.1
    )


def test_verdicts_are_the_same_under_inference_mode():
    network = network_of(lagrangians.Tanh(beta=2.0), torch.tensor([[2.0]]).double(), torch.zeros(1).double())
    with torch.inference_mode():
        state = {"x": torch.zeros(1, 1).double()}
        assert not bool(is_stable(network, state)) and largest_eigenvalue(network, state).tolist() == pytest.approx([3.0])
        assert not bool(relax(network, state, "euler", certify=True).certificate.stable)


def test_basin_is_told_by_flatness_only_where_it_is_certain():
    network = network_of(lagrangians.Tanh(beta=2.0), torch.tensor([[2.0]]).double(), torch.zeros(1).double())
    steady = {"x": torch.zeros(3, 1).double()}
    near = {"x": torch.tensor([[1e-7], [1e-17], [0.0]]).double()}  # the first two end at 1.9987
    assert same_basin_by_flatness(network, near, steady).tolist() == [False, False, True]
    calm = network_of(lagrangians.Softmax(beta=2.0), *weights(4, 0, gain=0.5))
    rest = relax(calm, states(1, 4, 0), "euler", tol=1e-13, max_steps=5000).state
    assert bool(same_basin_by_flatness(calm, {"x": rest["x"] + 100}, rest))  # the same to rounding, and stable
    wild = network_of(lagrangians.Softmax(beta=12.0), 3 * torch.eye(2).double(), torch.zeros(2).double())
    tied = {"x": torch.full((1, 2), 1.5).double()}
    beside = {"x": tied["x"] + torch.tensor([2.3e-16, 0.0])}
    assert not bool(is_stable(wild, tied)) and not bool(same_basin_by_flatness(wild, beside, tied))


def test_basin_is_asked_of_as_many_states_as_there_are_steady_ones():
    network = network_of(lagrangians.Tanh(), *weights(2, 0))
    with pytest.raises(ValueError, match="steady must have the batch size 3 of state, got 2"):
        same_basin_by_flatness(network, {"x": torch.zeros(3, 2).double()}, {"x": torch.zeros(2, 2).double()})
