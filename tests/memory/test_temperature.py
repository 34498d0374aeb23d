import math

import pytest
import torch

from attractor import CapacityWarning, Continuous, Cosine, Dot, Euclidean, RamBank, Spherical
from attractor.memory.temperature import choose_beta, lead_over_others, score_gaps


def bank_of(patterns):
    bank = RamBank(patterns.shape[1])
    bank.append(patterns)
    return bank


@pytest.mark.parametrize("similarity", [Euclidean(), Dot(), Cosine()])
def test_gap_is_the_lead_over_the_best_other_row(similarity):
    patterns = torch.randn(700, 6, generator=torch.Generator().manual_seed(0))
    patterns = torch.cat([patterns, patterns[:1]])
    products = patterns @ patterns.T
    scores = {
        "euclidean": -(torch.cdist(patterns, patterns) ** 2) / 2,
        "dot": products,
        "cosine": products / patterns.norm(dim=-1) / patterns.norm(dim=-1)[:, None],
    }[similarity.name]
    same = (patterns[:, None] == patterns).all(-1)
    expected = scores.diagonal() - scores.masked_fill(same, -math.inf).amax(-1)
    lead = lead_over_others(bank_of(patterns), similarity, patterns, patterns)
    torch.testing.assert_close(lead, expected, rtol=1e-3, atol=1e-3)


def test_near_duplicates_do_not_decide():
    patterns = 10 * torch.eye(100)
    patterns[1] = patterns[0]
    patterns[1, 1] = 1e-3
    beta = choose_beta(bank_of(patterns), Euclidean(), Continuous()).beta
    assert beta == pytest.approx((10 + math.log(100)) / 100, rel=0.05)


def test_one_distinct_pattern_has_a_temperature_too():
    for patterns in (torch.zeros(1, 2), torch.ones(3, 2)):
        chosen = choose_beta(bank_of(patterns), Euclidean(), Continuous())
        assert 0 < chosen.beta < math.inf and "one distinct pattern" in chosen.reason


def test_spherical_states_are_compared_as_unit_vectors():
    patterns = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    own, gap = score_gaps(bank_of(patterns), Dot(), Spherical())
    assert own.tolist() == [5.0, 5.0] and gap.tolist() == [5.0, 5.0]


def test_patterns_that_lose_to_others_are_told():
    patterns = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    with pytest.warns(CapacityWarning, match="33%"):
        chosen = choose_beta(bank_of(patterns), Dot(), Continuous())
    assert "33% of the patterns are not separable" in chosen.reason and chosen.beta > 0


def test_same_patterns_same_temperature():
    patterns = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0))
    assert choose_beta(bank_of(patterns), Euclidean(), Continuous()) == choose_beta(bank_of(patterns), Euclidean(), Continuous())
