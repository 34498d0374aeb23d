import itertools
from dataclasses import replace

import pytest
import torch
from papers.stand_ins import quiet

from attractor.energy import Feedback
from attractor.papers import paper_module
from attractor.papers.p05_dead_neurons import local, lyapunov, spurious, trained
from attractor.papers.p05_dead_neurons.claims import DEAD, PAPER, TRAINED
from attractor.papers.p05_dead_neurons.networks import KINDS, network_of, random_states, random_weights
from attractor.papers.p05_dead_neurons.sizes import SIZES

TINY = replace(SIZES["smoke"], starts=40, descent=400, flat=4, networks=1, rated=1, epochs=1, states=6, steps=20)


def test_stationary_sets_are_those_of_the_definition():
    W, b = next(random_weights(0))
    W, b = W[:5, :5], b[:5]
    found = {tuple(round(v, 9) for v in g) for g in spurious.stationary_activations(W, b).tolist()}
    expected = set()
    for living in itertools.product([False, True], repeat=5):
        rows = [unit for unit in range(5) if living[unit]]
        if not rows:
            continue
        g = torch.zeros(5).double()
        g[rows] = torch.linalg.solve(torch.eye(len(rows)).double() - W[rows][:, rows], b[rows])
        if bool((g[rows] > 0).all()):
            expected.add(tuple(round(v, 9) for v in g.tolist()))
    assert found == expected and len(expected) > 1


def test_energy_has_one_steady_state_among_77_stationary_sets():
    rows = spurious.measure_spurious(TINY, 0, quiet).rows
    assert rows[0].n == 1 and rows[0].measured == pytest.approx(76 / 77) and rows[0].note.startswith("76 of 77")
    assert rows[1].ok and rows[2].ok


def test_jacobian_is_that_of_the_motion():
    W, b = next(random_weights(0))
    network = network_of(KINDS["tanh"](), W, b)
    x = random_states(3, 1.0, 0)
    slope = 2 * (1 - torch.tanh(2 * x).square())
    torch.testing.assert_close(local.jacobians(network, x), W * slope[:, None, :] - torch.eye(12).double())


def test_newton_finds_different_steady_states():
    W, b = next(random_weights(0))
    network = network_of(KINDS["tanh"](), 1.5 * W, 0 * b)
    found = local.steady_states(network, 1.5 * W, random_states(30, 1.0, 0))
    assert len(found) > 1 and float(network.velocity({"x": found})["x"].abs().max()) < 1e-10
    assert float((torch.cdist(found, found) + torch.eye(len(found))).min()) > 1e-6


@pytest.mark.parametrize(
    "measure",
    [
        local.measure_flat_set,
        local.measure_stability,
        lyapunov.measure_rate,
        lyapunov.measure_conjugate,
        lyapunov.measure_feedback,
    ],
)
def test_rows_agree_with_their_claims(measure):
    measured = measure(TINY, 0, quiet)
    assert measured.rows and all(row.ok for row in measured.rows)
    assert all(row.claim in PAPER.claims for row in measured.rows)


def test_rate_is_measured_next_to_its_bound():
    measured = lyapunov.measure_rate(TINY, 0, quiet)
    (chart,) = measured.figures
    assert -0.76 < measured.rows[0].measured <= -0.75  # at the bound, not just below it
    assert measured.rows[1].measured > 0
    *measured, guide = chart.series
    assert {one.label for one in measured} == set(KINDS) and guide.style == "guide"
    assert all(y <= bound for one in measured for y, bound in zip(one.y, guide.y, strict=True))


def test_too_large_a_weight_is_seen(monkeypatch):
    class Careless(lyapunov.Regularised):
        def __init__(self, network):
            super().__init__(network)
            self.gain /= 50

    monkeypatch.setattr(lyapunov, "Regularised", Careless)
    assert lyapunov.measure_rate(TINY, 0, quiet).rows[0].ok is False


def test_feedback_through_the_transpose_is_seen(monkeypatch):
    def plain(A, lagrangian, *, R, c):
        return Feedback(A, lagrangian, c=c)

    monkeypatch.setattr(lyapunov, "Feedback", plain)
    assert lyapunov.measure_feedback(TINY, 0, quiet).rows[0].ok is False


def test_flat_set_is_measured_where_neurons_are_dead_and_the_motion_rests():
    for seed in range(3):
        network, rest = local.resting_with_dead_neurons(seed)
        assert bool((rest < 0).any()) and float(network.velocity({"x": rest})["x"].abs().max()) <= 1e-13


def test_training_leaves_dead_neurons_and_descent_of_the_energy_misleads():
    pytest.importorskip("sklearn")
    dead, misled = trained.measure_trained(TINY, 0, quiet).rows
    assert dead.claim is DEAD and 0 < dead.measured < 1 and dead.n == 40
    assert misled.claim is TRAINED and misled.measured > 0.5 and "the motion itself: 0 of 40" in misled.note


@pytest.mark.slow
def test_smoke_run_agrees_with_the_paper():
    report = paper_module("05").run("smoke", 0)
    assert [row.claim.text for row in report.rows if row.ok is not True] == [DEAD.text, TRAINED.text]
