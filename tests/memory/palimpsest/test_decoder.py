"""The closed form equals the solve with the whole covariance, for every rule."""

import pytest
import torch
from memory.palimpsest.dense_covariance import difference, log_likelihoods, log_odds

from attractor.memory.palimpsest import Additive, Cascade, Decoder, MarkovSynapse

RULES = [
    *(Additive(rule, decay=decay) for rule in ("hebb", "covariance", "pre", "post") for decay in (1.0, 0.9)),
    Additive([[0.3, -1.1], [0.7, 0.2]]),
    Additive([[-0.5, 0.9], [1.4, -0.1]], decay=0.95, noise=0.3),
    *(Cascade(events) for events in ("pre", "post", "xor")),
    Cascade([[0, -1], [1, 1]], levels=3, chi=0.4),
    MarkovSynapse.two_state("pre", potentiation=0.5, depression=0.2),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize(("size", "f"), [(2, 0.5), (5, 0.3), (8, 0.5)])
@pytest.mark.parametrize("correlated", [True, False])
def test_likelihood_and_all_single_flips_equal_the_dense_solve(rule, size, f, correlated, generator):
    patterns = (torch.rand(6, size, generator=generator) < f).double()
    state = rule.write(rule.initial((size, size), f, 1), patterns, f, range(6))
    weights = rule.weights(state, 0)
    for age in (0, 3):
        statistics = rule.statistics(f, 6, torch.tensor([age]))
        statistics = statistics if correlated else statistics.independent()
        decoder = Decoder(weights, statistics, f)
        cues = (torch.rand(2, size, generator=generator) < f).double()
        assert difference(decoder.log_likelihood(cues), log_likelihoods(weights, statistics, f, cues)) < 1e-6
        for cue, found in zip(cues, decoder.log_odds(cues), strict=True):
            assert difference(found, log_odds(weights, statistics, f, cue)) < 1e-6


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_expected_likelihood_is_the_mean_over_a_neuron_in_doubt(rule, generator):
    f, size = 0.3, 6
    patterns = (torch.rand(6, size, generator=generator) < f).double()
    weights = rule.weights(rule.write(rule.initial((size, size), f, 1), patterns, f, range(6)), 0)
    statistics = rule.statistics(f, 6, torch.tensor([1]))
    decoder, doubt = Decoder(weights, statistics, f), torch.eye(size, dtype=torch.bool)
    silent, active = (log_likelihoods(weights, statistics, f, patterns[0].masked_fill(doubt, state)) for state in (0.0, 1.0))
    expected = decoder.expected_log_likelihood(patterns[0].masked_fill(doubt, 0.7))
    assert difference(expected, 0.3 * silent + 0.7 * active) < 1e-6
