"""Storing by local rules: what one step does, what many reach, and what is said when they diverge."""

import pytest
import torch
from memory.predictive_coding.test_network import random_network

from attractor.memory.predictive_coding import Curvature, Inference, PredictiveLearning
from attractor.memory.predictive_coding.inference import Evidence, infer
from attractor.memory.predictive_coding.learning import Training, fit


def patterns(rows=10, dim=12, seed=0):
    return torch.rand(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fresh(rows, *, activation="relu", dim=12, layers=(12, 8), precisions=None):
    network = random_network(layers, activation, dim=dim, precisions=precisions)
    network.reset(torch.Generator().manual_seed(0), rows.mean(0))
    return network


def test_a_step_is_errors_times_activities():
    rows = patterns()
    network = fresh(rows, precisions=[2.0, 0.5, 0.3])
    how = PredictiveLearning(optimiser="sgd", schedule="reset", inference=Inference(7), rate=0.1)
    latents = infer(network, Curvature(network), Evidence(rows), network.prior_state(10), how.between).latents
    before = [weight.clone() for weight in (*network.weights, *network.biases, network.memory_vector)]
    error = rows - latents[0].relu() @ before[0].T - before[2]
    hidden = latents[0] - latents[1].relu() @ before[1].T - before[3]
    top = latents[1] - before[4]
    training = Training(network, rows, how, 0)
    training.set_rate(0.1)
    training.step()
    moved = [2.0 * error.T @ latents[0].relu(), 0.5 * hidden.T @ latents[1].relu(), 2.0 * error.sum(0), 0.5 * hidden.sum(0)]
    for now, old, wanted in zip((*network.weights, *network.biases), before[:4], moved, strict=True):
        torch.testing.assert_close(now - old, 0.1 * wanted / 10)
    torch.testing.assert_close(network.memory_vector - before[4], 0.1 * 0.3 * top.mean(0))


@pytest.mark.parametrize(
    "how",
    [
        PredictiveLearning(steps=300, rate=1e-2),
        PredictiveLearning(steps=150, rate=1e-2, schedule="reset"),
        PredictiveLearning(steps=300, rate=1e-2, batch=4),
        PredictiveLearning(steps=300, rate=0.05, optimiser="sgd"),
        PredictiveLearning(steps=100, rate=1e-2, inference=Inference(4)),
    ],
    ids=["incremental", "reset", "batches", "sgd", "persistent"],
)
def test_the_energy_of_the_patterns_falls(how):
    rows = patterns()
    network = fresh(rows)
    before = infer(network, Curvature(network), Evidence(rows), network.prior_state(10), Inference(300)).errors.energy()
    done = []
    fitted = fit(network, rows, how, progress=done.append)
    after = infer(network, Curvature(network), Evidence(rows), network.prior_state(10), Inference(300)).errors.energy()
    share = 0.9 if how.optimiser == "sgd" else 0.6
    assert float(after.mean()) < share * float(before.mean())
    assert fitted.energies[-1] < fitted.energies[0] and fitted.steps <= how.steps
    assert done == sorted(done) and 0 < done[0] <= done[-1] == 1.0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_schedules_differ_in_where_latents_start():
    rows = patterns()
    energies = {}
    for schedule in ("persistent", "reset"):
        training = Training(fresh(rows), rows, PredictiveLearning(schedule=schedule, inference=Inference(1, way="plain")), 0)
        training.set_rate(1e-9)
        energies[schedule] = [float(training.step()) for _ in range(50)]
    assert energies["persistent"][0] == energies["reset"][0]
    assert energies["reset"][-1] == pytest.approx(energies["reset"][0], rel=1e-3)
    assert energies["persistent"][-1] < 0.99 * energies["reset"][-1]


def test_each_pattern_comes_once_before_one_comes_again():
    rows = patterns(10)
    training = Training(fresh(rows), rows, PredictiveLearning(batch=4), 3)
    seen = [training._rows() for _ in range(6)]
    assert sorted(torch.cat(seen[:3]).tolist()) == list(range(10)) == sorted(torch.cat(seen[3:]).tolist())
    assert not torch.equal(torch.cat(seen[:3]), torch.cat(seen[3:]))


def test_the_rate_falls_in_four_stages(monkeypatch):
    rows, rates, set_rate = patterns(3), [], Training.set_rate
    monkeypatch.setattr(Training, "set_rate", lambda self, rate: (rates.append(rate), set_rate(self, rate)))
    fit(fresh(rows), rows, PredictiveLearning(steps=40, rate=1e-2))
    assert rates == pytest.approx([1e-2, 3e-3, 1e-3, 2e-4])


def test_steps_of_inference_follow_the_weights_that_are_learned():
    rows = patterns()
    network = fresh(rows)
    training = Training(network, rows, PredictiveLearning(), 0)
    training.set_rate(1e-2)
    before = [float(norm) for norm in training.curvature._norms]
    for _ in range(60):
        training.step()
    after = [float(torch.linalg.matrix_norm(weight, 2)) for weight in network.weights]
    assert [float(norm) for norm in training.curvature._norms] == pytest.approx(after, rel=0.02)
    assert before != pytest.approx(after, rel=0.1)


def test_learning_that_no_longer_gains_stops_early():
    rows = patterns(2)
    whole = PredictiveLearning(steps=400, rate=1e-2, tolerance=0.0)
    short = PredictiveLearning(steps=400, rate=1e-2, tolerance=0.5)
    steps = [fit(fresh(rows), rows, how).steps for how in (short, whole)]
    assert steps[0] < 200 and steps[0] < steps[1]


def test_same_seed_same_network():
    rows, how = patterns(), PredictiveLearning(steps=40, rate=1e-2, batch=3)
    networks = [fresh(rows) for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        fit(network, rows, how, seed=seed)
    assert torch.equal(networks[0].weights[0], networks[1].weights[0])
    assert not torch.equal(networks[0].weights[0], networks[2].weights[0])


@pytest.mark.parametrize(
    "how",
    [
        PredictiveLearning(steps=400, rate=100.0, optimiser="sgd"),
        PredictiveLearning(steps=400, inference=Inference(20, gamma=50.0, way="plain")),
    ],
    ids=["rate", "gamma"],
)
def test_learning_that_diverges_is_named(how):
    rows = patterns()
    with pytest.raises(ValueError, match="rate must be smaller"):
        fit(fresh(rows, activation="identity"), rows, how)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"rate": 0.0},
        {"optimiser": "rmsprop"},
        {"schedule": "sometimes"},
        {"batch": 0},
        {"tolerance": -0.1},
        {"tolerance": 1.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        PredictiveLearning(**settings)
