"""The pseudo-inverse rule, the two-layer form, and the theory of capacity."""

import math

import pytest
import torch

from attractor.memory.sequence import (
    GeneralisedPseudoInverse,
    PolynomialInteraction,
    SequenceMemory,
    Timing,
    best_degree,
    biased_limit,
    exponential_crosstalk,
    sequence_capacity,
    transition_capacity,
)
from attractor.memory.sequence.network import signs

pytestmark = pytest.mark.filterwarnings("ignore::attractor.AttractorWarning")


def biased_signs(rows, dim, bias, seed):
    draws = torch.rand(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.where(draws < (1 + bias) / 2, 1.0, -1.0).double()


def stored(patterns, **options):
    memory = SequenceMemory(patterns.shape[1], **options)
    memory.store(patterns)
    return memory


def transitions(memory, patterns):
    return (memory.replay(patterns, 1)[:, 0] == patterns.roll(-1, 0)).all(1)


def test_pseudo_inverse_recalls_correlated_patterns_where_the_plain_rule_fails():
    right = [0, 0]
    for seed in range(10):
        patterns = biased_signs(80, 100, 0.8, seed)
        plain = stored(patterns, interaction=1, self_coupling=True)
        inverse = stored(patterns, interaction=1, self_coupling=True, pseudo_inverse=True)
        right[0] += bool(transitions(plain, patterns).all())
        right[1] += bool(transitions(inverse, patterns).all())
    assert right[0] == 0 and right[1] >= 9


@pytest.mark.parametrize("self_coupling", [False, True])
def test_dependent_patterns_do_no_harm(self_coupling):
    patterns = biased_signs(30, 60, 0.3, 0)
    patterns[20] = patterns[4]
    memory = stored(patterns, interaction=3, self_coupling=self_coupling, pseudo_inverse=True)
    net = memory._network(None)
    assert bool(net.duals.isfinite().all())
    found = memory.replay(patterns, 1)[:, 0]
    assert bool((found.abs() == 1).all())
    others = torch.tensor([mu for mu in range(30) if mu not in (4, 20)])
    assert bool((found[others] == patterns.roll(-1, 0)[others]).all())


def test_duals_give_unit_overlaps_and_the_pseudo_inverse_of_the_definition():
    patterns = biased_signs(7, 20, 0.5, 1)
    correlations = patterns @ patterns.T / 20
    states = biased_signs(5, 20, 0.0, 2)
    duals = GeneralisedPseudoInverse().duals(patterns)
    torch.testing.assert_close(duals @ patterns.T / 20, torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(duals @ states.T / 20, torch.linalg.pinv(correlations) @ (patterns @ states.T / 20))
    ridged = GeneralisedPseudoInverse(ridge=0.3).duals(patterns)
    expected = torch.linalg.solve(correlations + 0.3 * torch.eye(7, dtype=torch.float64), patterns)
    torch.testing.assert_close(ridged, expected)


@pytest.mark.parametrize("interaction", [1, 3, "exponential"])
def test_pseudo_inverse_without_self_coupling_leaves_a_unit_out_of_every_overlap(interaction):
    patterns, states = biased_signs(6, 14, 0.3, 3), biased_signs(4, 14, 0.0, 4)
    inverse = torch.linalg.inv(patterns @ patterns.T / 14)
    fields = torch.zeros(14, 4, dtype=torch.float64)
    for i in range(14):
        others = [j for j in range(14) if j != i]
        x = inverse @ (patterns[:, others] @ states[:, others].T) / 13
        f = torch.exp(13 * (x - 1)) if interaction == "exponential" else x**interaction
        fields[i] = patterns.roll(-1, 0)[:, i] @ f
    memory = stored(patterns, interaction=interaction, pseudo_inverse=True)
    decided = fields.T.abs() > 1e-12 * float(fields.abs().max())
    assert torch.equal(memory.replay(states, 1)[:, 0][decided], signs(fields).T[decided])
    assert float(decided.float().mean()) > 0.9


@pytest.mark.parametrize("interaction", [1, 2, 3, "exponential"])
@pytest.mark.parametrize("timing", [None, Timing(1, strength=2.0)])
@pytest.mark.parametrize("cyclic", [True, False])
def test_two_layers_equal_the_network_with_self_coupling(interaction, timing, cyclic):
    patterns, states = biased_signs(9, 24, 0.0, 5), biased_signs(6, 24, 0.0, 6)
    memory = stored(patterns, interaction=interaction, self_coupling=True, timing=timing, cyclic=cyclic)
    layers, visible = memory.two_layers(), states
    for step in range(4):
        visible = layers.step(visible)
        assert torch.equal(visible, memory.replay(states, step + 1)[:, -1])
    gains = torch.rand(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).round()
    assert torch.equal(layers.step(states, gains), memory.replay(states, 1, gains=gains)[:, 0])


def test_a_silent_hidden_unit_is_never_entered():
    patterns = biased_signs(6, 80, 0.0, 7)
    layers = stored(patterns, interaction=3, self_coupling=True).two_layers()
    gains = torch.ones(6, dtype=torch.float64)
    gains[2] = 0
    assert torch.equal(layers.step(patterns[1:2], gains), patterns[2:3])
    assert not torch.equal(layers.step(patterns[2:3], gains), patterns[3:4])
    assert int(layers.hidden(patterns[2:3]).argmax()) == 2


def test_theory_is_that_of_the_paper():
    n, growth = 50, math.e**2 / math.cosh(2)
    assert transition_capacity(n, 3).patterns == pytest.approx(n**3 / (2 * 15 * math.log(n)))
    assert sequence_capacity(n, 3).patterns == pytest.approx(n**3 / (2 * 4 * 15 * math.log(n)))
    assert transition_capacity(n, "exponential").patterns == pytest.approx(growth ** (n - 1) / (2 * math.log(n)))
    assert sequence_capacity(n, "exponential").patterns == pytest.approx(growth ** (n - 1) / (2 * n * math.log(growth)))
    assert growth == pytest.approx(1.964, abs=5e-4)


def test_theory_of_held_patterns_is_that_of_the_paper():
    n, strength = 60, 2.5
    scale = (strength - 1) ** 2 / (2 * math.log(n))
    both = Timing(1, strength=strength)
    assert transition_capacity(n, 2, both).patterns == pytest.approx(scale * n**2 / ((strength**2 + 1) * 3 + 2 * strength))
    assert transition_capacity(n, 3, both).patterns == pytest.approx(scale * n**3 / ((strength**2 + 1) * 15))
    assert transition_capacity(n, 4, both).patterns == pytest.approx(scale * n**4 / ((strength**2 + 1) * 105 + 2 * strength * 9))
    held = Timing(1, strength=strength, interaction=1)
    assert transition_capacity(n, 3, held).patterns == pytest.approx(scale * n)
    flat = Timing(1, strength=strength, interaction=3)
    assert transition_capacity(n, 2, flat).patterns == pytest.approx(scale * n**2 / (strength**2 * 3))
    assert sequence_capacity(n, 2, flat).patterns == pytest.approx(scale * n**2 / (strength**2 * 3) / 3)
    factor = (strength - 1) ** 2 / (strength**2 + 1)
    plain = transition_capacity(n, "exponential").patterns
    assert transition_capacity(n, "exponential", both).patterns == pytest.approx(factor * plain)
    with pytest.raises(ValueError, match="interaction"):
        transition_capacity(n, "exponential", held)


def test_capacity_of_a_memory_is_that_of_its_settings():
    assert SequenceMemory(50, interaction=2).capacity_estimate() == transition_capacity(50, 2)
    assert SequenceMemory(50, interaction=2).capacity_estimate(whole_sequence=True) == sequence_capacity(50, 2)
    assert SequenceMemory(50, pseudo_inverse=True, self_coupling=True).capacity_estimate().patterns == 50
    for options in ({}, {"self_coupling": True, "timing": Timing(2)}):
        with pytest.raises(ValueError, match="without a theory"):
            SequenceMemory(50, pseudo_inverse=True, **options).capacity_estimate()
    assert math.isfinite(transition_capacity(2000, "exponential").patterns)


@pytest.mark.parametrize("interaction", [2, "exponential"])
def test_pull_that_never_wins_recalls_nothing(interaction):
    for strength in (0.01, 0.5, 1.0):
        assert transition_capacity(100, interaction, Timing(1, strength=strength)).patterns == 0
        assert sequence_capacity(100, interaction, Timing(1, strength=strength)).patterns == 0
    rising = [transition_capacity(100, interaction, Timing(1, strength=strength)).patterns for strength in (1.01, 1.5, 3.0)]
    assert 0 < rising[0] < rising[1] < rising[2]


def test_theory_of_large_degrees_stays_in_the_floats():
    exact = 200 * math.log(1000) - math.log(2 * math.log(1000)) - math.log(math.prod(range(399, 1, -2)))
    assert transition_capacity(1000, 200).patterns == pytest.approx(math.exp(exact))
    assert transition_capacity(1000, 200, Timing(1)).patterns == pytest.approx(math.exp(exact) * 1.5**2 / 7.25)
    assert 0 < best_degree(400) < 400
    assert biased_limit(0.5, 3) == pytest.approx(129) and biased_limit(1e-3, 200) == math.inf
    variance, kurtosis = exponential_crosstalk(2000, 10)
    assert variance < 1e-300 and kurtosis == math.inf


def test_larger_degrees_lower_the_capacity_of_few_units_again():
    for dim in (10, 15, 20):
        best = best_degree(dim)
        around = [sequence_capacity(dim, degree).patterns for degree in (best - 1, best, best + 1)]
        assert 1 < best < dim and around[1] == max(around)


def test_limits_of_the_theory_are_told():
    assert biased_limit(0.5, 1) == pytest.approx(9)
    variance, kurtosis = exponential_crosstalk(12, 101)
    growth = math.e**2 / math.cosh(2)
    assert variance == pytest.approx(100 * growth**-11)
    assert kurtosis == pytest.approx(((math.cosh(4) / math.cosh(2) ** 2) ** 11 - 3) / 100)
    for bad in (0.0, 1.0, -0.2):
        with pytest.raises(ValueError, match="bias"):
            biased_limit(bias=bad, degree=2)
    with pytest.raises(ValueError, match="dim"):
        transition_capacity(1, PolynomialInteraction(2))


def test_crosstalk_of_the_exponential_has_the_variance_of_the_theory():
    dim, others, draws = 8, 40, 4000
    generator = torch.Generator().manual_seed(0)
    overlaps = (torch.randint(0, 2, (draws, others, dim - 1), generator=generator) * 2.0 - 1).mean(-1)
    crosstalk = torch.exp((dim - 1) * (overlaps - 1)) * (torch.randint(0, 2, (draws, others), generator=generator) * 2 - 1)
    assert float(crosstalk.sum(1).var()) == pytest.approx(exponential_crosstalk(dim, others + 1)[0], rel=0.1)
