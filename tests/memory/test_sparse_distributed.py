"""Kanerva's sparse distributed memory."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from attractor.memory import MEMORIES, SparseDistributedMemory
from attractor.memory.sparse_distributed import locations, radius_for, reached_share
from attractor.memory.sparse_distributed.radius import radii_for
from attractor.testing import check_memory

make = partial(SparseDistributedMemory, 64, locations=1500, activation=0.02)


def bipolar(rows, dim=64, seed=0):
    return torch.randint(0, 2, (rows, dim), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def flipped(patterns, share, seed=0):
    """Copies with exactly this share of the entries flipped."""
    count = round(share * patterns.shape[1])
    places = torch.rand(patterns.shape, generator=torch.Generator().manual_seed(seed)).argsort(1)[:, :count]
    return patterns.scatter(1, places, -patterns.gather(1, places))


def recalled(memory, patterns, cues, **options):
    return float((memory.recall(cues, **options).patterns == patterns).all(1).double().mean())


@pytest.mark.parametrize("build", [make, partial(SparseDistributedMemory, 16), partial(make, bound=50)])
def test_the_contract_of_a_memory_is_kept(build):
    check_memory(build)


@pytest.mark.parametrize("dim", [64, 256, 1000])
@pytest.mark.parametrize("share", [0.01, 0.000368])
def test_radius_is_the_binomial_quantile(dim, share):
    stats = pytest.importorskip("scipy.stats")
    radius = radius_for(dim, share)
    assert radius == int(stats.binom.ppf(share, dim, 0.5))
    assert stats.binom.cdf(radius - 1, dim, 0.5) < share <= stats.binom.cdf(radius, dim, 0.5)
    assert reached_share(dim, radius) == pytest.approx(stats.binom.cdf(radius, dim, 0.5), rel=1e-9)


def test_radius_of_kanervas_example_follows_the_rule():
    assert radius_for(1000, 0.000368) == 447
    assert round(reached_share(1000, 447), 6) == 0.000445
    assert round(reached_share(1000, 451), 5) == 0.00107


def test_as_many_locations_are_active_as_the_rule_says():
    memory, cues = SparseDistributedMemory(256, locations=4000, activation=0.01, seed=1), bipolar(200, 256)
    (active,) = (block for _, block in locations.active_blocks(memory.addresses, cues, None, radii_for(cues, None, 0.01)))
    expected = 4000 * reached_share(256, memory.radius)
    # the cues share their locations: the deviation of one cue is the safe one, over the root of the cues
    deviation = (expected / len(cues)) ** 0.5
    assert abs(float(active.sum(1).double().mean()) - expected) < 3 * deviation


def test_sums_equal_a_dense_reference():
    memory = make(value_dim=7)
    keys, values, cues = bipolar(60), bipolar(60, 7, seed=1), flipped(bipolar(60), 0.1)
    memory.store(keys, values)
    addresses = memory.addresses.double()

    def active(queries):
        return ((addresses[None] != queries.double()[:, None]).sum(-1) <= memory.radius).double()

    counters = active(keys).T @ values.double()
    assert torch.equal(memory.counters.double(), counters)
    found, reached = memory._read(cues, None)
    assert torch.equal(found, active(cues) @ counters)
    assert torch.equal(reached, active(cues).any(1))
    expected = torch.where(active(cues) @ counters < 0, -1.0, 1.0).float()
    assert torch.equal(memory.recall(cues).patterns, expected)


def test_sums_equal_those_of_torchhd():
    torchhd = pytest.importorskip("torchhd")
    memory = SparseDistributedMemory(256, locations=3000, activation=0.01)
    theirs = torchhd.memory.SparseDistributed(3000, 256, 256, p=0.01)
    theirs.keys = torch.nn.Parameter(torchhd.MAPTensor(memory.addresses.float()), False)
    theirs.values.zero_()
    assert theirs.threshold == 256 - 2 * memory.radius
    patterns = bipolar(50, 256)
    memory.store(patterns)
    theirs.write(torchhd.MAPTensor(patterns), torchhd.MAPTensor(patterns))
    cues = flipped(patterns, 0.1)
    assert torch.equal(memory._read(cues, None)[0], theirs.read(torchhd.MAPTensor(cues)).double())


def test_few_patterns_are_recalled_exactly_and_too_many_are_not():
    patterns = bipolar(1600, 256, seed=1)
    memory = SparseDistributedMemory(256, activation=0.01, seed=2)
    memory.store(patterns[:100])
    cues = flipped(patterns[:100], 0.1)
    assert recalled(memory, patterns[:100], cues, max_steps=10) == 1.0
    assert 0.2 < recalled(memory, patterns[:100], cues, max_steps=1) < 0.8
    memory.store(patterns[100:])
    assert recalled(memory, patterns[:100], patterns[:100], max_steps=1) < 0.2


def test_forgetting_restores_the_counters_exactly():
    memory, patterns = make(), bipolar(40)
    memory.store(patterns[:30])
    before = memory.counters.clone()
    memory.store(patterns[30:])
    assert not torch.equal(memory.counters, before)
    memory.forget(patterns[30:])
    assert torch.equal(memory.counters, before) and len(memory) == 30
    memory.forget(patterns[:30])
    assert not memory.counters.any() and len(memory) == 0


@pytest.mark.parametrize("bound", [None, 2])
def test_block_size_changes_nothing(bound, monkeypatch):
    results = []
    for numbers in (2**24, 64 * 100):
        monkeypatch.setattr(locations, "NUMBERS_PER_BLOCK", numbers)
        memory = make(bound=bound)
        memory.store(bipolar(30))
        results.append((memory.counters.clone(), memory.recall(flipped(bipolar(30), 0.1)).patterns))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_bound_is_kept_after_each_pattern():
    memory, pattern = make(bound=3), bipolar(1)
    memory.store(torch.cat([pattern] * 5 + [-pattern] * 2))
    other = make(bound=3)
    for _ in range(5):
        other.store(pattern)
    active = (other.counters != 0).any(1)
    assert torch.equal(other.counters[active].float(), 3 * pattern.expand(int(active.sum()), -1))
    for _ in range(2):
        other.store(-pattern)
    assert torch.equal(memory.counters, other.counters)
    with pytest.raises(TypeError, match="bound"):
        memory.forget(pattern)
    assert len(memory) == 7


def test_reading_again_stops_where_nothing_changes():
    memory, patterns = make(), bipolar(12)
    memory.store(patterns)
    rest = memory.recall(patterns)
    assert torch.equal(rest.patterns, patterns) and rest.converged.all() and rest.steps.tolist() == [0] * 12
    way = memory.recall(flipped(patterns, 0.1), trace=True)
    assert way.converged.all() and bool((way.steps >= 1).all())
    assert len(way.trace) >= 2 and torch.equal(way.trace[-1], patterns) and torch.equal(way.trace[0], flipped(patterns, 0.1))
    cut = memory.recall(flipped(patterns, 0.1), max_steps=1)
    assert cut.steps.tolist() == [1] * 12 and not cut.converged.any()


def test_half_of_a_pattern_recalls_the_other_half():
    memory, patterns = SparseDistributedMemory(256, activation=0.01), bipolar(50, 256)
    memory.store(patterns)
    known = torch.arange(256).expand(50, -1) < 128
    found = memory.recall(torch.where(known, patterns, torch.nan), known)
    assert torch.equal(found.patterns, patterns) and found.accepted.all()


def test_radius_shrinks_with_what_is_known():
    memory = make()
    known = torch.arange(64) < torch.tensor([[64], [32], [5]])
    assert radii_for(bipolar(3), known, 0.02).flatten().tolist() == [radius_for(width, 0.02) for width in (64, 32, 5)]
    assert radii_for(bipolar(3), None, 0.02).tolist() == [[memory.radius]]


def test_cue_that_reaches_no_location_comes_back_and_is_not_accepted():
    memory = SparseDistributedMemory(64, locations=5, activation=1e-6)
    pattern = memory.addresses[:1].float()
    memory.store(pattern)
    found = memory.recall(torch.cat([pattern, -pattern]))
    assert found.accepted.tolist() == [True, False]
    assert torch.equal(found.patterns, torch.cat([pattern, -pattern]))


def test_nothing_is_read_with_what_a_refused_cue_left_unknown():
    memory, pattern = SparseDistributedMemory(64, locations=5, activation=1e-6), bipolar(1)
    known = torch.arange(64)[None] < 60
    # reading on with ones in the unknown entries would reach a location
    memory.addresses[0] = torch.where(known, pattern, 1)[0].to(torch.int8)
    memory.store(memory.addresses[:1].float())
    cue = torch.where(known, pattern, torch.nan)
    cue[0, : radius_for(64, 1e-6) - 1] *= -1
    found = memory.recall(cue, known)
    assert memory.recall(torch.where(known, cue, 1)).accepted.tolist() == [True]
    assert found.accepted.tolist() == [False] and found.steps.tolist() == [1]
    assert torch.equal(found.patterns, torch.where(known, cue, 1))


def test_autocast_changes_no_bit():
    # wider than the whole numbers that bfloat16 holds
    memory, other = (SparseDistributedMemory(600, locations=500, activation=0.05) for _ in range(2))
    patterns = bipolar(20, 600)
    memory.store(patterns)
    plain = memory.recall(flipped(patterns, 0.2), max_steps=1).patterns
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other.store(patterns)
        assert torch.equal(memory.recall(flipped(patterns, 0.2), max_steps=1).patterns, plain)
    assert torch.equal(other.counters, memory.counters)


def test_values_are_read_out_in_the_place_of_patterns():
    memory, keys, values = make(value_dim=5), bipolar(20), bipolar(20, 5, seed=1)
    memory.store(keys, values)
    assert torch.equal(memory.recall(flipped(keys, 0.05)).patterns, values)
    memory.forget(keys[:10], values[:10])
    assert torch.equal(memory.recall(keys[10:]).patterns, values[10:]) and len(memory) == 10


def test_sequences_are_followed():
    memory, patterns = SparseDistributedMemory(256, activation=0.01, value_dim=256), bipolar(30, 256)
    memory.store(patterns[:-1], patterns[1:])
    walk = memory.replay(flipped(patterns[:1], 0.05), 29)
    assert walk.shape == (1, 29, 256) and torch.equal(walk[0], patterns[1:])
    with pytest.raises(TypeError, match="value_dim"):
        make().replay(bipolar(1), 2)


def test_walk_that_reaches_no_location_stays_where_it_is():
    memory, patterns = SparseDistributedMemory(64, locations=200, activation=1e-6, value_dim=64), bipolar(1, seed=1)
    memory.store(memory.addresses[:1].float(), patterns)
    assert not memory.recall(patterns).accepted.any()
    walk = memory.replay(memory.addresses[:1].float(), 3)
    assert torch.equal(walk, patterns.expand(1, 3, 64))


@pytest.mark.parametrize(("name", "value"), [("locations", 10**13), ("value_dim", 10**12), ("dim", 10**12), ("locations", "a")])
def test_settings_that_do_not_fit_what_was_saved_make_nothing(name, value, tmp_path):
    memory = make(value_dim=5)
    memory.save(tmp_path / "memory")
    settings = json.loads((tmp_path / "memory" / "memory.json").read_text())
    settings["configuration"][name] = value
    (tmp_path / "memory" / "memory.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"must fit what was saved|locations must be an integer"):
        SparseDistributedMemory.load(tmp_path / "memory")


def test_activation_of_numpy_is_a_number(tmp_path):
    memory = SparseDistributedMemory(64, locations=50, activation=np.float32(0.01))
    assert memory.radius == radius_for(64, 0.01) == radius_for(64, np.float32(0.01))
    memory.store(bipolar(1))
    memory.save(tmp_path / "memory")
    assert SparseDistributedMemory.load(tmp_path / "memory").activation == pytest.approx(0.01)
    with pytest.raises(TypeError, match="seed must be an integer, got str"):
        SparseDistributedMemory(64, seed="a")


def test_saved_memory_keeps_addresses_and_bound(tmp_path):
    memory = make(value_dim=5, bound=4, seed=3)
    memory.store(bipolar(8), bipolar(8, 5, seed=1))
    memory.save(tmp_path / "memory")
    loaded = SparseDistributedMemory.load(tmp_path / "memory")
    assert torch.equal(loaded.addresses, memory.addresses) and torch.equal(loaded.counters, memory.counters)
    assert (loaded.bound, loaded.value_dim, loaded.radius, len(loaded)) == (4, 5, memory.radius, 8)


def test_it_is_registered():
    assert MEMORIES["sparse_distributed"] is SparseDistributedMemory


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"dim": 4, "locations": 0}, "locations must be at least 1, got 0"),
        ({"dim": 4, "activation": 0.0}, "activation must be a positive"),
        ({"dim": 4, "activation": 1.5}, "activation must be at most 1, got 1.5"),
        ({"dim": 4, "bound": 0}, "bound must be at least 1, got 0"),
        ({"dim": 4, "value_dim": 0}, "value_dim must be at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused_with_what_came(settings, message):
    with pytest.raises(ValueError, match=message):
        SparseDistributedMemory(**settings)


def test_bad_input_is_refused_and_changes_nothing():
    memory, patterns, values = make(value_dim=5), bipolar(4), bipolar(4, 5)
    for given, message in (
        ((patterns, None), "values must be given"),
        ((patterns, values[:3]), "one for each of 4 patterns, got 3"),
        ((patterns, values[:, :4]), "width 5"),
        ((patterns, values * 0.5), "values must be -1 or 1"),
        ((patterns * 0.5, values), "patterns must be -1 or 1"),
        ((patterns[:, 1:], values), "width 64"),
    ):
        with pytest.raises(ValueError, match=message):
            memory.store(*given)
    assert len(memory) == 0 and not memory.counters.any()
    with pytest.raises(ValueError, match="empty"):
        memory.recall(patterns)
    memory.store(patterns, values)
    with pytest.raises(ValueError, match="5 while 4 are stored"):
        memory.forget(bipolar(5), bipolar(5, 5))
    with pytest.raises(TypeError, match="value_dim"):
        make().store(patterns, values)
