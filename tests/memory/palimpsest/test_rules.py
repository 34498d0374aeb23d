"""Rules of plasticity: what they write, and that the statistics they state are those of the weights they write."""

import math

import pytest
import torch

from attractor.memory.palimpsest import Additive, Cascade, Decoder, MarkovSynapse, WeightStatistics, effects, standardised


def table_of(parts, f):
    u = standardised(torch.tensor([0.0, 1.0], dtype=torch.float64), f)
    return parts.mean + parts.post * u[:, None] + parts.pre * u + parts.both * torch.outer(u, u)


@pytest.mark.parametrize("f", [0.5, 0.2])
def test_four_parts_rebuild_a_table(f, generator):
    table = torch.randn(2, 2, generator=generator, dtype=torch.float64)
    assert float((table_of(effects(table, f), f) - table).abs().max()) < 1e-12


@pytest.mark.parametrize("f", [0.5, 0.2])
def test_parts_of_the_named_rules(f):
    s = math.sqrt(f * (1 - f))
    expected = {
        "hebb": (f * f, f * s, f * s, s * s),
        "covariance": (0, 0, 0, s * s),
        "pre": (0, s * f, 0, s * s),
        "post": (0, 0, s * f, s * s),
    }
    for rule, parts in expected.items():
        assert [float(part) for part in effects(Additive(rule).table(f), f)] == pytest.approx(parts, abs=1e-12)


def test_weights_are_the_decaying_sum_of_the_table(generator):
    patterns = (torch.rand(3, 6, generator=generator) < 0.4).double()
    rule = Additive([[0.3, -1.0], [0.5, 2.0]], decay=0.7)
    state = rule.write(rule.initial((6, 6), 0.4, 0), patterns[:2], 0.4, [0, 1])
    found = rule.write(state, patterns[2:], 0.4, [2])
    by_hand = torch.zeros(6, 6, dtype=torch.float64)
    for x in patterns.long():
        by_hand = 0.7 * by_hand + rule.table(0.4)[x[:, None], x]
    torch.testing.assert_close(found, by_hand)
    assert rule.load(3) == pytest.approx(0.7**2 + 0.7**4)


def test_cascade_moves_as_stated():
    potentiation, depression = Cascade("pre", levels=3, chi=0.4).moves(0.5)
    weak = [[0, 0, 0, 1, 0, 0], [0, 0.6, 0, 0.4, 0, 0], [0, 0, 1 - 0.16 / 0.6, 0.16 / 0.6, 0, 0]]
    deeper = [[0, 0, 0, 1 - 0.4 / 0.6, 0.4 / 0.6, 0], [0, 0, 0, 0, 1 - 0.16 / 0.6, 0.16 / 0.6], [0, 0, 0, 0, 0, 1]]
    assert torch.allclose(potentiation.T, torch.tensor([*weak, *deeper], dtype=torch.float64))
    mirror = torch.tensor([3, 4, 5, 0, 1, 2])
    assert torch.equal(depression, potentiation[mirror][:, mirror])
    # a potentiation at f^2, depression at f (1 - f): the rarer steps deeper the more often
    rare = Cascade("pre", levels=3, chi=0.4).moves(0.4)
    assert float(rare[0][5, 4]) == pytest.approx(0.16 / 0.6 * 1.5) and float(rare[1][2, 1]) == pytest.approx(0.16 / 0.6 / 1.5)


@pytest.mark.parametrize(
    "rule", [Cascade("pre"), Cascade("xor", levels=3), MarkovSynapse.two_state("post", potentiation=0.3, depression=0.6)], ids=repr
)
def test_stationary_state_and_what_is_left_of_a_pattern(rule):
    rest = rule.stationary(0.4)
    assert float(rest.sum()) == pytest.approx(1, abs=1e-12) and bool((rest >= 0).all())
    mean = rule.mean_weights(0.4, torch.tensor([0, 5, 400]))
    strength = float(rest[len(rest) // 2 :].sum())
    assert float((mean[2] - strength).abs().max()) < 1e-3 < float((mean[0] - strength).abs().max())
    # on average over patterns, a pattern changes nothing
    chance = torch.tensor([0.6, 0.4], dtype=torch.float64)
    assert (mean * torch.outer(chance, chance)).sum((1, 2)).tolist() == pytest.approx([strength] * 3, abs=1e-9)


def test_synapses_under_exclusive_or_share_nothing_in_pairs():
    found = Cascade("xor").covariances(0.5, 1000)
    assert max(abs(found[name]) for name in ("post", "pre", "chain")) < 1e-10
    assert found["reciprocal"] / 0.25 == pytest.approx(0.306, abs=0.001)


def test_covariances_of_the_cascade():
    found = Cascade("pre").covariances(0.5, 1000)
    assert [round(found[name] / 0.25, 4) for name in ("post", "pre", "reciprocal")] == pytest.approx([0.1334, 0.0, 0.1318])
    mirrored = Cascade("post").covariances(0.5, 1000)
    assert round(mirrored["pre"] / 0.25, 4) == 0.1334
    assert Cascade("pre").covariances(0.5, 0) == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-12)


def moments(weights, mean):
    """Covariances of weights `(n, N, N)` about their mean by what two synapses share, and the variance, of each network."""
    size = weights.shape[-1]
    off = (weights - mean) * (1 - torch.eye(size))
    square = off.square().sum((1, 2))
    rows, columns = off.sum(2), off.sum(1)
    pairs, triples = size * (size - 1), size * (size - 1) * (size - 2)
    reciprocal = (off * off.mT).sum((1, 2))
    return {
        "total": square / pairs,
        "reciprocal": reciprocal / pairs,
        "post": (rows.square().sum(1) - square) / triples,
        "pre": (columns.square().sum(1) - square) / triples,
        "chain": ((rows * columns).sum(1) - reciprocal) / triples,
    }


@pytest.mark.parametrize(
    "rule",
    [*map(Additive, ("hebb", "covariance", "pre", "post")), Additive([[0.2, -1], [0.5, 0.9]], decay=0.99, noise=0.5)],
    ids=repr,
)
def test_additive_statistics_are_those_of_the_weights(rule):
    networks, size, stored, f = 60, 60, 200, 0.4
    generator = torch.Generator().manual_seed(1)
    patterns = (torch.rand(networks, stored, size, generator=generator) < f).double()
    weights = rule.weights(rule.write(rule.initial((networks, size, size), f, 0), patterns, f, range(stored)), 3)
    stated = rule.statistics(f, stored, None)
    found = moments(weights, float(stated.mean))
    least = float(stated.private)  # stands in for noise where there is none
    expected = {
        "total": stated.total - (0 if rule.noise else least),
        "post": stated.shared_post,
        "pre": stated.shared_pre,
        "chain": stated.chain,
        "reciprocal": stated.symmetric + 2 * stated.chain,
    }
    for name, values in found.items():
        error = float(values.std() / math.sqrt(networks))
        assert abs(float(values.mean() - expected[name])) < 3.5 * error + 1e-12, name


def test_statistics_given_a_pattern_leave_its_part_out():
    rule = Additive("hebb", decay=0.9)
    given, none = rule.statistics(0.5, 50, torch.tensor([2])), rule.statistics(0.5, 50, None)
    kept = 0.9**2
    assert float(given.post) == pytest.approx(0.25 * kept) and float(none.post) == 0
    assert float(none.shared_post - given.shared_post) == pytest.approx((0.25 * kept) ** 2)
    assert float(given.mean) == pytest.approx(0.25 * sum(0.9**k for k in range(50)))
    cascade = Cascade("pre")
    given, none = cascade.statistics(0.5, 50, torch.tensor([1])), cascade.statistics(0.5, 50, None)
    assert float(none.shared_post - given.shared_post) == pytest.approx(float(given.post) ** 2)
    explained = given.post**2 + given.pre**2 + given.both**2
    assert float(none.total - given.total) == pytest.approx(float(explained))


def test_measured_correlations_of_the_cascade(generator):
    networks, size = 8, 60
    rule = Cascade("pre")
    patterns = (torch.rand(networks, 60, size, generator=generator) < 0.5).double()
    state = rule.write(rule.initial((networks, size, size), 0.5, 1), patterns, 0.5, range(60))
    found, stated = moments(rule.weights(state, 0), 0.5), rule.covariances(0.5, 60)
    for name, value in stated.items():
        assert float(found[name].mean()) == pytest.approx(value, abs=0.02)


def test_statistics_that_are_no_covariance_are_refused():
    one, none = torch.ones(1), torch.zeros(1)
    with pytest.raises(ValueError, match="private variance of -1"):
        WeightStatistics(none, one, one, one, one, one, none, one, -one)
    with pytest.raises(ValueError, match="negative shared variance"):
        WeightStatistics(none, one, one, one, -one, one, none, one, one)
    with pytest.raises(ValueError, match="covariance of chains"):
        WeightStatistics(none, one, one, one, one, one, 2 * one, one, one)


def test_bad_tables_are_refused():
    for rule, words in (
        ([[1.0, 2.0]], "2 x 2"),
        ([[1.0, math.nan], [0.0, 1.0]], "finite"),
        ([[1.0, 1.0], [1.0, 1.0]], "depend on the neurons"),
    ):
        with pytest.raises(ValueError, match=words):
            Additive(rule)
    for events, words in (("and", "events must be one of"), ([[0, 1], [1, 0]], "1 and -1"), ([[0, -1], [1, 2]], "1 and -1")):
        with pytest.raises(ValueError, match=words):
            Cascade(events)
    with pytest.raises(ValueError, match="decay must"):
        Additive(decay=0.0)
    with pytest.raises(ValueError, match="columns sum to 1"):
        MarkovSynapse("pre", potentiation=[[1, 0], [1, 1]], depression=[[1, 1], [0, 0]])
    with pytest.raises(ValueError, match="even number"):
        MarkovSynapse("pre", potentiation=torch.eye(3), depression=torch.eye(3))


def test_bad_weights_are_refused():
    statistics = Additive("hebb").statistics(0.5, 5, torch.tensor([0]))
    for weights, words in ((torch.zeros(3, 4), "shape"), (torch.zeros(3), "shape"), (torch.full((3, 3), math.nan), "finite")):
        with pytest.raises(ValueError, match=f"weights must .*{words}"):
            Decoder(weights, statistics, 0.5)
