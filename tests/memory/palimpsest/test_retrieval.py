"""Dynamics: correlations that are ignored ruin recall, samplers sample the posterior, and one way agrees with the other."""

import itertools

import pytest
import torch
from memory.palimpsest.dense_covariance import log_likelihoods

from attractor.memory.palimpsest import Additive, Cascade, Decoder, Posterior, retrieve, simulate


@pytest.mark.parametrize("rule", ["hebb", "pre", "post"])
def test_ignored_correlations_are_a_catastrophe_and_known_ones_the_cure(rule):
    networks = simulate(Additive(rule), networks=20, size=100, stored=10, seed=1)
    assert float(networks.errors(networks.recall(correlated=False)).mean()) > 0.25
    assert float(networks.errors(networks.recall()).mean()) <= 0.01 < float(networks.cue_errors().mean())


def test_the_covariance_rule_has_nothing_to_ignore():
    networks = simulate(Additive("covariance"), networks=20, size=100, stored=10, seed=1)
    errors = [float(networks.errors(networks.recall(correlated=correlated)).mean()) for correlated in (True, False)]
    assert max(errors) <= 0.01


def test_awareness_helps_bounded_synapses():
    networks = simulate(Cascade("pre"), networks=10, size=100, stored=40, seed=1)
    aware, naive = (float(networks.errors(networks.recall(correlated=correlated)).mean()) for correlated in (True, False))
    assert aware <= 0.02 and naive >= 2 * aware


def small(seed):
    networks = simulate(Additive("pre", noise=1.0), networks=1, size=8, stored=4, f=0.4, seed=seed)
    evidence = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    statistics = networks.plasticity.statistics(0.4, 4, torch.tensor([0]))
    return networks.weights[0], statistics, evidence


@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_enumeration_is_the_sum_over_all_patterns(beta):
    weights, statistics, evidence = small(2)
    found = retrieve(Posterior(Decoder(weights, statistics, 0.4), evidence, beta), "exact").probabilities
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64)
    joint = evidence @ patterns.T + beta * log_likelihoods(weights, statistics, 0.4, patterns)
    torch.testing.assert_close(found, joint.softmax(1) @ patterns)


def test_samples_are_of_the_posterior():
    weights, statistics, evidence = small(3)
    # many chains side by side in place of a long one
    posterior = Posterior(Decoder(weights, statistics, 0.4), evidence.repeat_interleave(400, 0), 1.0)
    sampled = retrieve(posterior, "gibbs", steps=40, seed=1).probabilities.view(5, 400, 8).mean(1)
    exact = retrieve(Posterior(Decoder(weights, statistics, 0.4), evidence, 1.0), "exact").probabilities
    assert float((sampled - exact).abs().max()) < 0.03
    assert float((exact - evidence.sigmoid()).abs().max()) > 0.1


def test_cooled_samples_end_at_the_most_probable_pattern():
    weights, statistics, evidence = small(4)
    posterior = Posterior(Decoder(weights, statistics, 0.4), evidence, 1.0)
    patterns = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64)
    joint = evidence @ patterns.T + posterior.decoder.log_likelihood(patterns)
    found = retrieve(posterior, "map", steps=60, seed=0).probabilities
    assert float((joint.amax(1) - posterior.log_joint(found)).max()) < 1e-6


def test_mean_field_is_at_rest_where_its_equations_hold():
    networks = simulate(Additive("hebb"), networks=3, size=60, stored=6, seed=5)
    found = networks.recall()
    evidence = torch.log(torch.tensor(9.0)) * (2 * networks.cues - 1)
    target = evidence + networks.decoder(correlated=True).log_odds(found.probabilities)
    assert bool(found.converged.all())
    torch.testing.assert_close(found.probabilities, target.sigmoid(), atol=2e-3, rtol=0)


def test_mean_field_and_samples_agree():
    networks = simulate(Additive("hebb"), networks=3, size=100, stored=10, seed=6)
    errors = [float(networks.errors(networks.recall(method)).mean()) for method in ("mean-field", "gibbs")]
    assert abs(errors[0] - errors[1]) <= 0.01


def test_networks_side_by_side_are_networks_alone():
    both = simulate(Cascade("pre", levels=3), networks=2, size=30, stored=5, ages=(0, 2), seed=7)
    together = both.recall(beta=torch.tensor([[1.0], [0.5]], dtype=torch.float64)).probabilities
    for network, (age, beta) in itertools.product(range(2), enumerate((1.0, 0.5))):
        statistics = both.plasticity.statistics(0.5, 5, both.ages[age : age + 1])
        evidence = torch.log(torch.tensor(9.0)) * (2 * both.cues[network, age : age + 1] - 1)
        alone = retrieve(Posterior(Decoder(both.weights[network], statistics, 0.5), evidence.double(), beta), "mean-field")
        torch.testing.assert_close(alone.probabilities[0], together[network, age], atol=1e-5, rtol=0)
