import itertools
from dataclasses import replace

import pytest
import torch

from attractor.papers import paper_module
from attractor.papers.p05_dead_neurons import local, lyapunov, spurious
from attractor.papers.p05_dead_neurons.claims import PAPER
from attractor.papers.p05_dead_neurons.networks import KINDS, network_of, random_states, random_weights
from attractor.papers.p05_dead_neurons.sizes import SIZES

TINY = replace(SIZES["smoke"], starts=40, descent=400, flat=4, networks=1, states=6, steps=20)


def quiet(done):
    assert 0 <= done <= 1


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
    assert rows[0].n == 77 and rows[0].measured == pytest.approx(76 / 77)
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
    "measure", [local.measure_flat_set, local.measure_stability, lyapunov.measure_rate, lyapunov.measure_conjugate]
)
def test_rows_agree_with_their_claims(measure):
    measured = measure(TINY, 0, quiet)
    assert measured.rows and all(row.ok for row in measured.rows)
    assert all(row.claim in PAPER.claims for row in measured.rows)


def test_rate_is_measured_next_to_its_bound():
    (chart,) = lyapunov.measure_rate(TINY, 0, quiet).figures
    *measured, guide = chart.series
    assert {one.label for one in measured} == set(KINDS) and guide.style == "guide"
    assert all(y <= bound for one in measured for y, bound in zip(one.y, guide.y, strict=True))


@pytest.mark.slow
def test_smoke_run_agrees_with_the_paper():
    report = paper_module("05").run("smoke", 0)
    assert [row.claim.text for row in report.rows if row.ok is not True] == []
