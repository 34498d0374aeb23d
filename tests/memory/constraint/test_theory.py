"""What the paper derives, beside simulation and beside values worked out by hand."""

import pytest
import torch
from memory.constraint.network import network, patterns

from attractor.memory.constraint import (
    BitFlipping,
    Check,
    correct,
    correction_bound,
    density_evolution,
    disturbance_probability,
    fire_probability,
    miss_probability,
    recall_threshold,
    silent_probability,
)


@pytest.mark.parametrize(("vote", "noise", "threshold"), [(0.8, 0.3, 0.95), (-0.7, 0.5, 0.95), (0.1, 1.2, 0.95), (1.0, 0.2, 0.95)])
def test_fire_probability_is_that_of_a_simulated_neuron(vote, noise, threshold):
    n = 200_000
    drawn = (torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1) * noise
    fired = float(((vote + drawn).abs() >= threshold).double().mean())
    wanted = fire_probability(vote, noise=noise, threshold=threshold)
    assert abs(fired - wanted) <= 3 * (wanted * (1 - wanted) / n) ** 0.5 + 1e-12


@pytest.mark.parametrize(
    ("weight", "noise", "threshold"), [(0.15, 0.2, 0.201), (0.02, 0.1, 0.101), (0.5, 0.2, 0.201), (0.1, 0.3, 0.0)]
)
def test_silent_probability_is_that_of_a_simulated_neuron(weight, noise, threshold):
    n = 200_000
    drawn = (torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1) * noise
    silent = float((weight + drawn < threshold).double().mean())
    wanted = silent_probability(weight, noise=noise, threshold=threshold)
    assert abs(silent - wanted) <= 3 * (wanted * (1 - wanted) / n) ** 0.5 + 1e-12


def test_neurons_without_noise_are_steps():
    assert [fire_probability(g, noise=0.0, threshold=0.95) for g in (-1.0, 0.9, 0.95)] == [1.0, 0.0, 1.0]
    assert [silent_probability(w, noise=0.0, threshold=0.001) for w in (0.0005, 0.15)] == [1.0, 0.0]


def test_a_neuron_misses_when_constraints_are_silent_or_its_noise_speaks_against_them():
    assert miss_probability(4, silent=0.5, noise=0.0, threshold=0.95) == pytest.approx(1 - 0.5**4)
    # full vote, uniform noise of 0.3: it falls short of 0.95 with probability (0.95 - 1 + 0.3) / 0.6
    assert miss_probability(4, silent=0.0, noise=0.3, threshold=0.95) == pytest.approx(0.25 / 0.6)


def test_a_flip_in_the_wrong_direction_is_no_correction():
    # all constraints silent: noise alone moves it half the time up, half the time down
    both = fire_probability(0.0, noise=1.5, threshold=0.95)
    assert miss_probability(3, silent=1.0, noise=1.5, threshold=0.95) == pytest.approx(1 - both / 2)


def test_right_neurons_are_disturbed_by_shared_constraints_only():
    assert disturbance_probability(1, shared=0.3, silent=0.0, noise=0.0, threshold=0.95) == pytest.approx(0.3)
    assert disturbance_probability(2, shared=1.0, silent=0.0, noise=0.0, threshold=0.95) == pytest.approx(0.5)
    assert disturbance_probability(2, shared=1.0, silent=0.5, noise=0.0, threshold=0.95) == pytest.approx(0.125)


def test_a_wrong_neuron_disturbs_those_it_shares_constraints_with_and_not_itself():
    settings = {"constraints": 1, "silent": 0.0, "noise": 0.0, "threshold": 0.95}
    assert [correction_bound(degrees, 0, **settings) for degrees in ([1], [1, 0], [1, 1])] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_bound_of_one_round_is_not_above_the_rate(noise):
    how, generator = BitFlipping(noise=noise, rounds=1), torch.Generator().manual_seed(0)
    wrong = torch.arange(0, 40, 4).repeat(30)
    bounds, rights = [], []
    for one in network().constraints[:10]:
        degrees = (one.rows != 0).sum(0).tolist()
        for place in range(0, 40, 4):
            bounds.append(correction_bound(degrees, place, constraints=len(one.rows), silent=0.0, noise=noise, threshold=0.95))
        true = patterns(len(wrong), 1)[:, one.members]
        cues = true.scatter_add(1, wrong[:, None], torch.randint(0, 2, (len(wrong), 1), generator=generator) * 2.0 - 1)
        found, _ = correct(Check.of(one.rows.float(), how.silent_below(one.residual)), cues, how, generator, (-10, 100))
        rights.append((found == true).all(1).double().mean())
    rate = float(torch.stack(rights).mean())
    assert rate - 0.1 <= sum(bounds) / len(bounds) <= rate + 0.02


def test_density_evolution_is_its_formula_at_a_fixed_point():
    corrects, size, degree, error = [0.9, 0.4], 40, 5, 0.15
    left = density_evolution(error, corrects=corrects, size=size, degree=degree)
    corrected = 0.9 * (1 - left) ** 39 + 0.4 * 39 * left * (1 - left) ** 38
    assert left > 0.05 and left == pytest.approx(error * (1 - corrected) ** 4, rel=1e-5)


def test_recall_thresholds_are_those_worked_out_before():
    quiet, noisy = (
        recall_threshold(corrects, size=40, degree=5) for corrects in ([0.965, 0.335, 0.058, 0.004], [0.974, 0.640, 0.303, 0.122])
    )
    assert quiet == pytest.approx(0.1175, abs=0.0015) and noisy == pytest.approx(0.165, abs=0.0015)
    assert density_evolution(0.95 * quiet, corrects=[0.965, 0.335, 0.058, 0.004], size=40, degree=5) < 1e-5
    assert density_evolution(1.05 * quiet, corrects=[0.965, 0.335, 0.058, 0.004], size=40, degree=5) > 1e-2
