"""Inference: where it ends, that it does not rise, and what it says when it diverges."""

import os

import pytest
import torch
from memory.predictive_coding.test_network import random_network, random_state

from attractor.memory.predictive_coding import Curvature, Inference, inference
from attractor.memory.predictive_coding.inference import Evidence, descend, descended, infer


def evidence_of(network, kind, rows=6):
    senses, _ = random_state(network, rows, seed=7)
    known = torch.rand(senses.shape, generator=torch.Generator().manual_seed(8)) < 0.5
    if kind == "clamped":
        return Evidence(senses)
    if kind == "masked":
        return Evidence(senses, known * network.sensory_precision)
    return Evidence(senses, None, (~known).to(senses))


@pytest.mark.parametrize("kind", ["clamped", "masked", "free"])
@pytest.mark.parametrize(("activation", "way"), [("identity", "plain"), ("tanh", "monotone"), ("relu", "monotone")])
def test_energy_never_rises(kind, activation, way):
    for seed, layers in enumerate(((5,), (9, 6), (8, 7, 5))):
        network = random_network(layers, activation, dim=12, seed=seed)
        evidence, curvature = evidence_of(network, kind), Curvature(network)
        state = evidence.senses, random_state(network, 6, seed=9)[1]
        energies = [network.errors(*state, evidence.precision).energy()]
        for _ in range(50):
            state, _ = descend(network, curvature, evidence._replace(senses=state[0]), state[1], Inference(1, way=way))
            energies.append(network.errors(*state, evidence.precision).energy())
        rises = torch.stack(energies).diff(dim=0) / torch.stack(energies[:-1])
        assert float(rises.max()) <= 1e-9


def test_relu_and_small_hidden_precision_need_backtracking():
    """A step of one over the bound can raise the energy where the activation bends; backtracking cannot."""
    rises = {"plain": 0, "monotone": 0}
    for seed in range(3):
        network = random_network((9, 6), "relu", dim=12, seed=seed, precisions=[1.0, 0.1, 0.1])
        evidence, curvature = evidence_of(network, "clamped", 40), Curvature(network)
        for way in rises:
            state = evidence.senses, random_state(network, 40, seed=seed)[1]
            energies = [network.errors(*state).energy()]
            for _ in range(30):
                state, _ = descend(network, curvature, evidence, state[1], Inference(1, way=way))
                energies.append(network.errors(*state).energy())
            rises[way] += int((torch.stack(energies).diff(dim=0) > 1e-9).sum())
    assert rises["monotone"] == 0 < rises["plain"]


@pytest.mark.parametrize("masked", [False, True])
def test_linear_network_of_one_layer_ends_where_the_closed_form_says(masked):
    vector = torch.linspace(0.5, 2, 12)
    network = random_network((5,), "identity", dim=12, precisions=[vector, 0.7])
    evidence = evidence_of(network, "masked" if masked else "clamped")
    found = infer(network, Curvature(network), evidence, network.prior_state(6), Inference(1000))
    (weight,), (bias,), prior = network.weights, network.biases, 0.7
    for row in range(6):
        precision = evidence.precision[row] if masked else network.sensory_precision
        left = prior * torch.eye(5, dtype=torch.float64) + weight.T @ (precision[:, None] * weight)
        right = prior * network.memory_vector + weight.T @ (precision * (evidence.senses[row] - bias))
        torch.testing.assert_close(found.latents[0][row], torch.linalg.solve(left, right), rtol=1e-5, atol=1e-5)
    assert float(found.change.max()) < 1e-8


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
def test_leaving_out_what_is_missing_ends_where_the_joint_descent_does(activation):
    network = random_network((24, 24), activation, dim=48, seed=3)
    senses, _ = random_state(network, 8, seed=4)
    known = torch.rand(senses.shape, generator=torch.Generator().manual_seed(5)) < 0.5
    curvature, start = Curvature(network), network.prior_state(8)
    how = Inference(2000)
    short = infer(network, curvature, Evidence(senses, known.double()), start, how)
    filled = torch.where(known, senses, network.predicted_senses(short.latents))
    first = torch.where(known, senses, network.predicted_senses(start))
    joint = infer(network, curvature, Evidence(first, None, (~known).double()), start, how)
    torch.testing.assert_close(joint.errors.energy(), short.errors.energy(), rtol=0.01 if activation == "relu" else 1e-9, atol=1e-9)
    assert torch.equal(joint.senses[known], senses[known])
    if activation != "relu":
        torch.testing.assert_close(joint.senses, filled, rtol=1e-6, atol=1e-6)


def test_momentum_and_backtracking_end_at_the_same_minimum_and_momentum_is_there_first():
    network = random_network((9, 6), "tanh", dim=12, precisions=[20.0, 1.0, 0.05])
    evidence, curvature = evidence_of(network, "clamped"), Curvature(network)
    energies = {
        (way, steps): infer(network, curvature, evidence, network.prior_state(6), Inference(steps, way=way)).errors.energy()
        for way, steps in (("accelerated", 1000), ("monotone", 1500), ("accelerated", 50), ("plain", 50))
    }
    rest = energies["accelerated", 1000]
    torch.testing.assert_close(energies["monotone", 1500], rest, rtol=1e-3, atol=1e-3)
    assert float((energies["accelerated", 50] - rest).sum()) < 0.5 * float((energies["plain", 50] - rest).sum())


def test_rows_do_not_depend_on_each_other():
    network = random_network((9, 6), "relu", dim=12)
    evidence, curvature = evidence_of(network, "masked"), Curvature(network)
    whole = infer(network, curvature, evidence, network.prior_state(6), Inference(50))
    for row in range(6):
        alone = Evidence(evidence.senses[row : row + 1], evidence.precision[row : row + 1])
        found = infer(network, curvature, alone, network.prior_state(1), Inference(50))
        torch.testing.assert_close(found.latents[0][0], whole.latents[0][row], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("gamma", "steps"), [(1.0, 3), (1.0, 500), (50.0, 500)])
def test_steps_of_the_user_that_diverge_are_named(gamma, steps):
    network = random_network((9, 6), "identity", dim=12, precisions=[20.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"gamma must be smaller than .*diverged"):
        infer(network, Curvature(network), evidence_of(network, "clamped"), network.prior_state(6), Inference(steps, gamma=gamma))


def test_small_steps_of_the_user_are_taken_as_given():
    network = random_network((5,), "identity", dim=12)
    evidence, start = evidence_of(network, "clamped"), network.prior_state(6)
    found = infer(network, Curvature(network), evidence, start, Inference(1, gamma=0.01, way="plain"))
    errors = network.errors(evidence.senses, start)
    expected = start[0] - 0.01 * (errors.weighted[1] - errors.weighted[0] @ network.weights[0])
    torch.testing.assert_close(found.latents[0], expected)


def test_senses_that_move_follow_their_errors_by_their_precision():
    network = random_network((5,), "identity", dim=12, precisions=[torch.linspace(0.5, 2, 12), 0.7])
    evidence, start = evidence_of(network, "free"), network.prior_state(6)
    found = infer(network, Curvature(network), evidence, start, Inference(1, gamma=0.01, way="plain"))
    errors = evidence.senses - network.predicted_senses(start)
    expected = evidence.senses - 0.01 * evidence.moves * network.sensory_precision * errors
    torch.testing.assert_close(found.senses, expected)


@pytest.mark.parametrize("settings", [{"steps": 0}, {"gamma": 0.0}, {"gamma": -1.0}, {"way": "fast"}], ids=str)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Inference(**settings)


@pytest.mark.skipif("ATTRACTOR_TYPE_HOOK" in os.environ, reason="the type checker does not compile")
def test_a_step_compiles_as_one_graph():
    network = random_network((9, 6), "relu", dim=12)
    evidence = evidence_of(network, "masked")
    state, gamma = (evidence.senses, network.prior_state(6)), torch.tensor(0.01, dtype=torch.float64)
    compiled = torch.compile(descended, backend="eager", fullgraph=True)
    expected = descended(network, evidence, state, gamma)
    for one, other in zip(compiled(network, evidence, state, gamma)[1], expected[1], strict=True):
        torch.testing.assert_close(one, other)


def test_rows_that_find_no_step_rest_and_others_go_on(monkeypatch):
    network = random_network((5,), "identity", dim=12)
    evidence, curvature = evidence_of(network, "clamped"), Curvature(network)
    rest = infer(network, curvature, evidence, network.prior_state(6), Inference(500)).latents[0]
    start = [torch.cat([rest[:3], network.prior_state(3)[0]])]
    calls = []
    monkeypatch.setattr(inference, "descended", lambda *given: (calls.append(1), descended(*given))[1])
    found = infer(network, curvature, evidence, start, Inference(2000, way="monotone"))
    torch.testing.assert_close(found.latents[0], rest, rtol=1e-6, atol=1e-6)
    # the steps of a row that cannot fall are halved once, and nothing is tried when no row can
    assert len(calls) < 1000


def test_senses_that_still_move_are_not_at_rest():
    network = random_network((5,), "identity", dim=12)
    network.weights[0].zero_()
    senses, start = torch.ones(2, 12, dtype=torch.float64), network.prior_state(2)
    found = infer(network, Curvature(network), Evidence(senses, None, torch.ones_like(senses)), start, Inference(1, gamma=0.1))
    torch.testing.assert_close(found.change, (senses - found.senses).abs().amax(1) / found.latents[0].abs().amax(1).clamp_min(1))
    assert float(found.change.min()) > 0
    far = [start[0] + 100]
    found = infer(network, Curvature(network), Evidence(senses), far, Inference(1, gamma=0.1, way="plain"))
    torch.testing.assert_close(found.change, (found.latents[0] - far[0]).abs().amax(1) / found.latents[0].abs().amax(1))
