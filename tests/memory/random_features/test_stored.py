"""Sums over patterns: they add up, are taken away, and neither overflow nor share memory."""

import pytest
import torch

from attractor.memory.random_features import Gaussian, SinCos
from attractor.memory.random_features.features import RandomFeatures
from attractor.memory.random_features.landscape import Geometry
from attractor.memory.random_features.stored import Stored

CENTER = torch.full((4,), 0.5, dtype=torch.float64)
FEATURES = RandomFeatures(4, 60, SinCos(), Gaussian(), "stored", 1)
GEOMETRY = Geometry(FEATURES, 2.0, "dot", CENTER)


def normal(rows, seed=0):
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(patterns, log_scale=None):
    scale = GEOMETRY.largest_log_weight(patterns) if log_scale is None else torch.tensor(log_scale, dtype=torch.float64)
    return Stored.of(patterns, GEOMETRY, scale)


def assert_same(one, other, rtol=1e-9):
    """Equal as sums, whatever the scale that they are kept at."""
    other = other.at(one.log_scale)
    for name, value in vars(one).items():
        torch.testing.assert_close(value, getattr(other, name), rtol=rtol, atol=1e-9, msg=lambda told, name=name: f"{name}: {told}")


def test_sums_are_those_of_their_definition():
    patterns = normal(9)
    rows = torch.cat([block.drawn for block in FEATURES.blocks(patterns)])
    h = 2.0**0.5 * (patterns - CENTER) @ rows.T
    weights = patterns.square().sum(-1).exp()
    found = of(patterns, 3.0)
    wanted = torch.stack([weights @ h.cos(), weights @ h.sin()])
    torch.testing.assert_close(found.sums * found.log_scale.exp(), wanted)
    torch.testing.assert_close(found.weight * found.log_scale.exp(), weights.sum())
    torch.testing.assert_close(found.longest, (patterns - CENTER).square().sum(-1).max())
    torch.testing.assert_close(found.moments, torch.stack([patterns.sum(0), patterns.square().sum(0)]))
    torch.testing.assert_close(found.mean(), patterns.mean(0))
    torch.testing.assert_close(found.mean_square(CENTER), (patterns - CENTER).square().mean(0))
    assert int(found.count) == 9 and not found.empty


def test_sums_over_many_patterns_are_those_of_all_chunks():
    patterns = normal(10_000)
    halves = of(patterns[:5000]).plus(of(patterns[5000:]))
    assert_same(of(patterns), halves)
    torch.testing.assert_close(halves.moments[0], patterns.sum(0))


@pytest.mark.parametrize("scales", [(None, None), (0.0, 5.0), (5.0, 0.0), (-3.0, -3.0)])
def test_sums_add_up_in_either_order_whatever_their_scales(scales):
    first, second = normal(5), 2 * normal(3, seed=1)
    one, other = of(first, scales[0]), of(second, scales[1])
    assert_same(one.plus(other), of(torch.cat([first, second])))
    assert_same(other.plus(one), of(torch.cat([first, second])))


def test_weights_beyond_the_largest_number_are_kept_by_their_logarithm():
    light, heavy = normal(3), 30 * normal(2, seed=1)
    both = of(light).plus(of(heavy))
    assert float(both.log_scale) > 710 and all(bool(one.isfinite().all()) for one in vars(both).values())
    assert 1 <= float(both.weight) <= 5


def test_nothing_adds_nothing_whatever_the_scale():
    nothing = Stored.nothing(2, 60, 4)
    for some in (of(normal(3), 900.0), of(normal(3), -600.0)):
        for same in (nothing.plus(some), some.plus(nothing)):
            assert all(torch.equal(value, getattr(some, name)) for name, value in vars(same).items())
    assert nothing.plus(nothing).empty


@pytest.mark.parametrize("scale", [None, 2.0])
def test_taking_away_undoes_adding(scale):
    left, gone = normal(5) / 2, normal(3, seed=1)
    both = of(torch.cat([left, 1.2 * gone]))
    found = both.minus(of(1.2 * gone, scale), 0.0)
    # sums cannot tell how long what is left is: the bound stays
    assert torch.equal(found.longest, both.longest)
    wanted = of(left)
    assert_same(found, Stored(**(vars(wanted) | {"longest": both.longest})), rtol=1e-6)
    assert float(found.weight) == pytest.approx(1)


def test_taking_everything_away_leaves_nothing():
    patterns = 3 * normal(4)
    left = of(patterns).minus(of(patterns), 0.0)
    nothing = Stored.nothing(2, 60, 4)
    assert left.empty and all(torch.equal(value, getattr(nothing, name)) for name, value in vars(left).items())


def test_what_would_be_lost_in_rounding_is_refused():
    light, heavy = normal(5) / 10, 3 * normal(2, seed=1)
    both, gone = of(torch.cat([light, heavy])), of(heavy)
    share = float(of(light).at(both.log_scale).weight)
    both.minus(gone, share / 101)
    with pytest.raises(ValueError, match="outweigh"):
        both.minus(gone, share / 99)
    with pytest.raises(ValueError, match="not all those stored"):
        both.minus(of(normal(7, seed=2)), 0.0)


def test_copies_share_no_numbers():
    some = of(normal(3))
    copy = some.copy_to(torch.device("cpu"))
    copy.sums.zero_()
    copy.log_scale.zero_()
    assert bool(some.sums.any()) and bool(some.log_scale)


def test_spread_is_the_root_of_the_summed_squares_of_the_weights():
    patterns = normal(6)
    wanted = (2 * patterns.square().sum(-1)).exp().sum().sqrt() / torch.tensor(1.5).exp()
    assert GEOMETRY.spread(patterns, torch.tensor(1.5, dtype=torch.float64)) == pytest.approx(float(wanted))
