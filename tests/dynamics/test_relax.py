"""Relaxation: descent, rest, clamps, solvers."""

import pytest
import torch
from random_networks import random_network, random_state

from attractor import SoftMax
from attractor.dynamics import Adaptive, Asynchronous, Block, Euler, Langevin, relax
from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
from attractor.errors import EnergyUnboundedWarning


def rise(found):
    """The largest rise of the energy from one step to the next."""
    return float(found.trace.energy.diff(dim=0).max())


def convolutional(seed=1):
    """The net of the measurements: an image, 3x3 windows with soft-max over channels, a soft-max on top."""
    generator = torch.Generator().manual_seed(seed)
    neurons = {
        "image": Neurons(lagrangians.Identity(), (1, 12, 12)),
        "maps": Neurons(lagrangians.Softmax(beta=2.0, dim=1), (8, 4, 4)),
        "top": Neurons(lagrangians.Softmax(beta=2.0), 20),
    }
    joined = [
        Connection(synapses.Conv(1, 8, 3, stride=3, generator=generator), ("image", "maps")),
        Connection(synapses.Dense((8, 4, 4), 20, generator=generator), ("maps", "top")),
    ]
    return EnergyNetwork(neurons, joined).double()


def two_layers(patterns, beta=8.0, visible=None):
    neurons = {
        "image": Neurons(visible or lagrangians.Identity(), patterns.shape[1]),
        "hidden": Neurons(lagrangians.Softmax(beta=beta), len(patterns)),
    }
    return EnergyNetwork(neurons, [Connection(synapses.Dense.from_matrix(patterns), ("image", "hidden"))])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("solver", [Euler(0.1), "rk4", "adaptive", Euler(1.0, backtrack=True)])
def test_energy_never_rises(solver, seed):
    network = random_network(seed)
    for parameter in network.parameters():
        parameter.data.mul_(0.5)
    found = relax(network, random_state(network, seed, batch=2), solver, max_steps=6, trace=True)
    assert rise(found) <= 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_energy_never_rises_block_by_block(seed):
    network = random_network(seed, lateral="semidefinite", three_body=False)
    found = relax(network, random_state(network, seed), "block", max_steps=40, trace=True)
    assert rise(found) <= 1e-9


def test_block_solver_needs_half_the_sweeps_of_euler():
    network = convolutional()
    state = network.initial(image=torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    block = relax(network, state, "block", tol=1e-6, max_steps=1000)
    euler = relax(network, state, Euler(0.5), tol=1e-6, max_steps=1000)
    assert block.converged.all() and euler.converged.all()
    assert (2 * block.steps <= euler.steps).all()
    torch.testing.assert_close(block.energy, euler.energy)


def test_setting_all_layers_at_once_can_raise_the_energy():
    network = convolutional()
    for parameter in network.parameters():
        parameter.data.mul_(3)
    state = network.initial(image=torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    assert rise(relax(network, state, Euler(1.0), max_steps=40, trace=True)) > 1e-3


@pytest.mark.parametrize("solver", ["block", "euler", "heun", "rk4", "adaptive"])
def test_all_solvers_come_to_rest_at_the_same_place(solver):
    patterns = torch.eye(6, dtype=torch.float64)
    network = two_layers(patterns, beta=12.0)
    cue = patterns[:3] + 0.2 * torch.rand(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = relax(network, network.initial(image=cue), solver, max_steps=500)
    assert found.converged.all() and (found.residual < 1e-5).all()
    assert found.state["image"].argmax(-1).tolist() == [0, 1, 2]
    torch.testing.assert_close(found.state["image"], relax(network, network.initial(image=cue)).state["image"], rtol=0, atol=1e-4)


def test_a_step_of_the_block_solver_is_one_attention_read():
    generator = torch.Generator().manual_seed(0)
    patterns, cue = torch.randn(10, 6, generator=generator), torch.randn(4, 6, generator=generator)
    beta = 3.0
    network = two_layers(patterns, beta=beta)
    found = relax(network, network.initial(image=cue), max_steps=1)
    read = torch.nn.functional.scaled_dot_product_attention(cue[None], patterns[None], patterns[None], scale=beta)[0]
    torch.testing.assert_close(found.state["image"], read)
    torch.testing.assert_close(found.state["hidden"], cue @ patterns.T)


def test_energy_with_the_hidden_layer_at_its_drive_is_the_reduced_energy():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(10, 6, generator=generator, dtype=torch.float64)
    x = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    network = two_layers(patterns, beta=3.0)
    reduced = x.square().sum(-1) / 2 - (3.0 * x @ patterns.T).logsumexp(-1) / 3.0
    torch.testing.assert_close(network.energy({"image": x, "hidden": x @ patterns.T}), reduced, rtol=1e-12, atol=1e-12)


def test_a_fast_top_layer_is_that_layer_integrated_out():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(20, 32, generator=generator, dtype=torch.float64)
    patterns /= patterns.norm(dim=-1, keepdim=True)
    start = torch.randn(1, 32, generator=generator, dtype=torch.float64)
    memory = synapses.MemorySynapse(patterns, separation=SoftMax(4.0))
    reduced = EnergyNetwork({"image": Neurons(lagrangians.Identity(), 32)}, [Connection(memory, ("image",))])
    goal = motion(reduced, {"image": start}, 0.002, 500)["image"]
    errors, ratios = [], torch.tensor([0.1, 0.05, 0.02, 0.01, 0.005])
    for ratio in ratios.tolist():
        network = two_layers(patterns, beta=4.0)
        network.layer("hidden").tau = ratio
        found = motion(network, {"image": start, "hidden": start @ patterns.T}, 0.002, 500)["image"]
        errors.append(float((found - goal).abs().max()))
    slope = torch.tensor(errors).log().diff() / ratios.log().diff()
    assert (slope > 0.85).all() and (slope < 1.15).all()


@torch.no_grad()
def motion(network, state, step, count):
    """Fourth-order motion in time, without units of the fastest layer."""
    for _ in range(count):
        velocities, at = [], state
        for share in (0.5, 0.5, 1.0, None):
            velocities.append(network.velocity(at))
            if share is not None:
                at = {name: x + share * step * velocities[-1][name] for name, x in state.items()}
        first, second, third, fourth = velocities
        state = {
            name: x + step / 6 * (first[name] + 2 * second[name] + 2 * third[name] + fourth[name]) for name, x in state.items()
        }
    return state


@pytest.mark.parametrize("solver", ["block", "euler", "rk4", "adaptive", Euler(backtrack=True), Langevin(0.1)])
def test_clamped_units_do_not_move_by_a_bit(solver):
    network = two_layers(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)))
    state = network.initial(image=torch.randn(3, 8))
    mask = torch.tensor([True, False] * 4)
    found = relax(network, state, solver, clamp={"image": mask}, max_steps=20)
    assert torch.equal(found.state["image"][:, mask], state["image"][:, mask])
    assert not torch.equal(found.state["image"][:, ~mask], state["image"][:, ~mask])
    whole = relax(network, state, solver, clamp={"image"}, max_steps=20)
    assert torch.equal(whole.state["image"], state["image"])


def test_masked_completion_recalls_the_pattern():
    patterns = torch.eye(4).repeat_interleave(2, 1)
    network = two_layers(patterns, beta=20.0)
    cue = patterns.clone()
    cue[:, 1::2] = 0
    found = relax(network, network.initial(image=cue), clamp={"image": torch.tensor([True, False] * 4)})
    torch.testing.assert_close(found.state["image"], patterns, atol=1e-2, rtol=0)


@pytest.mark.parametrize("solver", ["block", "euler", "rk4"])
def test_a_unit_mask_on_a_collective_layer_is_refused(solver):
    network = two_layers(torch.eye(4), visible=lagrangians.Spherical(eps=0.1))
    state = network.initial(image=torch.rand(2, 4))
    mask = torch.tensor([True, True, False, False])
    with pytest.raises(ValueError, match=r"clamp\['image'\].*Spherical"):
        relax(network, state, solver, clamp={"image": mask})
    found = relax(network, state, Euler(1.0, backtrack=True), clamp={"image": mask}, trace=True, max_steps=30)
    assert rise(found) <= 1e-6
    assert torch.equal(found.state["image"][:, mask], state["image"][:, mask])


def test_a_batch_gives_what_single_samples_give():
    network = random_network(2, lateral="semidefinite", three_body=False)
    state = random_state(network, 0, batch=5)
    for solver in ("block", Euler(0.3), "rk4"):
        whole = relax(network, state, solver, max_steps=60)
        for row in range(5):
            alone = relax(network, {name: x[row : row + 1] for name, x in state.items()}, solver, max_steps=60)
            assert int(alone.steps) == int(whole.steps[row])
            for name, x in alone.state.items():
                torch.testing.assert_close(x[0], whole.state[name][row], rtol=1e-9, atol=1e-9)


def test_rested_samples_stay_while_others_move():
    patterns = torch.eye(4, dtype=torch.float64)
    network = two_layers(patterns, beta=30.0)
    rest = relax(network, network.initial(image=patterns[:1]), max_steps=100).state["image"]
    state = network.initial(image=torch.cat([rest, torch.tensor([[0.6, 0.5, 0.4, 0.0]], dtype=torch.float64)]))
    found = relax(network, state, tol=1e-8)
    assert found.steps[0] < found.steps[1] and found.converged.all()


def test_block_refuses_what_is_not_concave():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(3, 3, generator=generator)
    lateral = Connection(synapses.Lateral.from_matrix(matrix + matrix.T - 5 * torch.eye(3)), ("x",))
    network = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 3)}, [lateral])
    with pytest.raises(ValueError, match=r"layer 'x'.*Lateral"):
        relax(network, network.initial(2), "block")
    assert relax(network, network.initial(2), "block", clamp={"x"}).converged.all()
    looped = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 3)}, [Connection(synapses.Dense(3, 3), ("x", "x"))])
    with pytest.raises(ValueError, match="two ends"):
        relax(looped, looped.initial(2), "block")


def test_asynchronous_recall_of_the_classic_network():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 2, (3, 60), generator=generator) * 2.0 - 1
    couplings = (patterns.T @ patterns) / 60
    couplings.fill_diagonal_(0)
    network = EnergyNetwork(
        {"x": Neurons(lagrangians.Tanh(beta=20.0), 60)}, [Connection(synapses.Lateral.from_matrix(couplings), ("x",))]
    )
    cue = patterns.clone()
    cue[:, :9] *= -1
    found = relax(network, network.initial(x=cue), Asynchronous(), trace=True)
    assert torch.equal(found.state["x"].sign(), patterns)
    assert found.converged.all() and rise(found) <= 1e-5


def test_asynchronous_refuses_collective_layers():
    network = two_layers(torch.eye(3))
    with pytest.raises(ValueError, match=r"'hidden'.*Softmax"):
        relax(network, network.initial(1), "asynchronous")


def test_langevin_noise_follows_the_boltzmann_distribution():
    # E = x.A x / 2 with A = 1 - w: the variance at temperature T is T / (1 - w)
    network = EnergyNetwork(
        {"x": Neurons(lagrangians.Identity(), 1)}, [Connection(synapses.Lateral.from_matrix(torch.tensor([[0.5]])), ("x",))]
    )
    found = relax(network, network.initial(4000), Langevin(0.3, dt=0.05), tol=0, max_steps=300)
    assert float(found.state["x"].var()) == pytest.approx(0.6, rel=0.1)


def test_annealed_noise_is_the_same_for_the_same_seed_and_ends():
    network = two_layers(torch.eye(4))
    state = network.initial(image=torch.rand(2, 4))
    first, again, other = (
        relax(network, state, Langevin(0.05, cooling=30, seed=seed), max_steps=400).state["image"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert relax(network, state, Langevin(0.05, cooling=30), max_steps=400).converged.all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"solver": "magic"}, "solver"),
        ({"clamp": {"attic"}}, "attic"),
        ({"clamp": {"image": torch.ones(7, dtype=torch.bool)}}, r"\(7,\)"),
        ({"tol": -1.0}, "tol"),
        ({"max_steps": -1}, "max_steps"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, word):
    network = two_layers(torch.eye(3))
    with pytest.raises(ValueError, match=word):
        relax(network, network.initial(2), **arguments)


def test_clamp_must_be_names_or_boolean_masks():
    network = two_layers(torch.eye(3))
    for clamp in ("image", {"image": torch.ones(3)}):
        with pytest.raises(TypeError, match="clamp"):
            relax(network, network.initial(2), clamp=clamp)


def test_thirty_steps_compile():
    network = two_layers(torch.randn(9, 7))
    weight = network.synapses[0].weight.detach()

    def thirty(image, hidden):
        state = {"image": image, "hidden": hidden}
        for _ in range(30):
            velocity = network.velocity(state)
            state = {name: x + 0.5 * velocity[name] for name, x in state.items()}
        return state["image"]

    assert weight.shape == (9, 7)
    image, hidden = torch.randn(2, 7), torch.zeros(2, 9)
    with torch.no_grad():
        compiled = torch.compile(thirty, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(image, hidden), thirty(image, hidden))


def test_block_is_the_default():
    assert repr(Block()) == "Block()"


def test_certificate_comes_with_the_relaxation():
    patterns = torch.eye(4, dtype=torch.float64)
    network = two_layers(patterns, beta=12.0)
    found = relax(network, network.initial(image=patterns[:2] + 0.1), certify=True)
    assert found.certificate is not None and found.certificate.stable.all()
    assert found.trace is not None and float(found.certificate.energy_rise.max()) <= 1e-9
    assert relax(network, network.initial(image=patterns[:2] + 0.1)).certificate is None


def test_backtracking_refuses_steps_to_no_number():
    network = EnergyNetwork({"x": Neurons(lagrangians.Power(4), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
    found = relax(network, {"x": torch.tensor([[3.0]])}, Euler(dt=1e12, backtrack=True), max_steps=3, trace=True)
    assert found.state["x"].isfinite().all() and rise(found) <= 1e-5


def test_divergence_is_told():
    with pytest.warns(EnergyUnboundedWarning, match="no lower bound"):
        network = EnergyNetwork(
            {name: Neurons(lagrangians.Identity(), 1) for name in "ab"},
            [Connection(synapses.Dense.from_matrix(torch.full((1, 1), 1e3)), ("a", "b"))],
        )
    with pytest.warns(EnergyUnboundedWarning, match="1 of 1 samples diverged"):
        relax(network, network.initial(a=torch.ones(1, 1)), max_steps=40)


def test_a_sample_that_arrives_on_the_last_step_has_converged():
    network = EnergyNetwork({"x": Neurons(lagrangians.Identity(), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
    assert relax(network, {"x": torch.zeros(1, 1)}, max_steps=1).converged.all()
    assert relax(network, {"x": torch.ones(1, 1)}, max_steps=0).converged.all()


def test_clamps_that_can_be_read_once_are_refused():
    network = two_layers(torch.eye(3))
    with pytest.raises(TypeError, match="once"):
        relax(network, network.initial(2), clamp=iter(["image"]))


def test_an_empty_batch_has_nothing_to_certify():
    network = two_layers(torch.eye(3))
    assert relax(network, network.initial(0)).energy.shape == (0,)
    with pytest.raises(ValueError, match="at least one sample"):
        relax(network, network.initial(0), certify=True)


def test_samples_at_rest_do_not_coarsen_the_path_of_one_in_motion():
    network = two_layers(torch.eye(4, dtype=torch.float64) * 3, beta=10.0)
    moving = {"image": torch.tensor([[2.0, 1.5, -1.0, 0.5]], dtype=torch.float64), "hidden": torch.full((1, 4), 3.0).double()}
    rest = relax(network, moving, "block", tol=1e-12).state
    crowd = {name: torch.cat([x, rest[name].expand(10_000, -1)]) for name, x in moving.items()}
    exact = relax(network, moving, Adaptive(rtol=1e-12), tol=0, max_steps=1).state["image"]
    alone, among = (relax(network, some, Adaptive(rtol=1e-3), tol=0, max_steps=1).state["image"][:1] for some in (moving, crowd))
    assert (alone - exact).abs().max() < 1e-3
    torch.testing.assert_close(among, alone, rtol=0, atol=1e-12)


def test_adaptive_steps_are_finer_in_double_precision():
    network = two_layers(torch.eye(4, dtype=torch.float64) * 3, beta=1.0)
    moving = {"image": torch.tensor([[2.0, 1.5, -1.0, 0.5]], dtype=torch.float64), "hidden": torch.full((1, 4), 3.0).double()}
    exact, plain, coarse = (
        relax(network, moving, solver, tol=0, max_steps=2).state["image"]
        for solver in (Adaptive(rtol=1e-12), "adaptive", Adaptive(rtol=1e-5))
    )
    assert (plain - exact).abs().max() < 1e-7 < (coarse - exact).abs().max()
