"""Slots in which similar tokens merge, and the memory made of them."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.memory import ConsolidatedMemory
from attractor.memory.consolidated import Slots, WriteRule, check_threshold, write
from attractor.testing import check_memory

make = partial(ConsolidatedMemory, 16)


def rows(count, dim=16, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def clusters(count, centres=6, dim=16, noise=0.15, seed=0):
    """Tokens about a few centres: some merge, some do not."""
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(centres, dim, generator=generator)
    chosen = torch.randint(centres, (count,), generator=generator)
    return middle[chosen] + noise * torch.randn(count, dim, generator=generator)


def by_hand(keys, values, positions, slots, threshold, pinned=0):
    """The rule of writing, one token after the other, in plain Python with a log of members: (tokens, last) of each slot."""
    held = [None] * slots
    for number, key in enumerate(keys):
        means = [None if each is None else keys[each[0]].mean(0) for each in held]
        scores = [
            -2.0 if mean is None or index < pinned else float(torch.cosine_similarity(key, mean, dim=0))
            for index, mean in enumerate(means)
        ]
        best = max(range(slots), key=lambda index: scores[index])
        if number >= pinned and threshold is not None and scores[best] > threshold:
            held[best] = ([*held[best][0], number], number)
            continue
        empty = [index for index in range(slots) if held[index] is None]
        target = empty[0] if empty else min(range(pinned, slots), key=lambda index: (held[index][1], index))
        held[target] = ([number], number)
    return held


@pytest.mark.parametrize(
    "settings",
    [{}, {"slots": 8}, {"threshold": None}, {"measure": "l2", "threshold": -0.1}, {"threshold": "auto:0.5"}, {"chunk": 1}],
    ids=str,
)
def test_the_contract_of_a_memory_is_kept(settings):
    check_memory(partial(make, **settings))


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(1, 60),
    slots=st.integers(2, 12),
    pinned=st.integers(0, 1),
    threshold=st.sampled_from([None, -0.5, 0.5, 0.9]),
    seed=st.integers(0, 100),
)
def test_slots_equal_the_rule_written_out_with_a_log_of_members(count, slots, pinned, threshold, seed):
    keys, values = clusters(count, seed=seed).double(), rows(count, 5, seed=seed + 1).double()
    store = Slots.empty((), slots, 16, 5, threshold=threshold, pinned=pinned, dtype=torch.float64)
    write(store, keys, values, torch.arange(count), rule=WriteRule(chunk=1, merges=threshold is not None))
    held = by_hand(keys, values, None, slots, threshold, pinned)
    for slot, expected in enumerate(held):
        members, last = expected if expected is not None else ([], -1)
        assert int(store.counts[slot]) == len(members)
        assert int(store.last[slot]) == last
        if members:
            torch.testing.assert_close(store.keys[slot], keys[members].mean(0), rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(store.values[slot], values[members].mean(0), rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(float(store.positions[slot]), sum(members) / len(members))
            assert int(store.ages[slot]) == count - 1 - last
    kept = sum(len(each[0]) for each in held if each is not None)
    assert int(store.counts.sum()) == kept == int(store.written - store.evicted)


@pytest.mark.parametrize("chunk", [1, 7, 32])
@pytest.mark.parametrize("threshold", [None, 0.9])
def test_used_slots_are_as_many_as_novel_tokens_up_to_all(chunk, threshold):
    store = Slots.empty((), 20, 16, 16, threshold=threshold)
    rule = WriteRule(chunk=chunk, merges=threshold is not None)
    for count in (5, 10, 50):
        keys = rows(count, seed=count)
        write(store, keys, keys, torch.arange(count), rule=rule)
        novel = int(store.written)
        assert int(store.used) == min(20, novel)
        assert int(store.counts.sum()) == novel - int(store.evicted)


@pytest.mark.parametrize(("chunk", "count"), [(1, 300), (16, 3000)])
def test_means_over_many_tokens_stay_exact_to_five_digits(chunk, count):
    keys = clusters(count, centres=3, noise=0.05).bfloat16()
    store = Slots.empty((), 8, 16, 16, threshold=0.9)
    write(store, keys, keys, torch.arange(count), rule=WriteRule(chunk=chunk))
    nearest = store.similarity(keys).masked_fill(~store.occupied, -2).argmax(-1)
    assert store.keys.dtype == torch.float32 and int(store.used) == 3
    for slot in range(3):
        members = keys[nearest == slot].double()
        assert int(store.counts[slot]) == len(members)
        torch.testing.assert_close(store.keys[slot].double(), members.mean(0), rtol=1e-5, atol=1e-5)


def test_pinned_slots_never_change():
    store = Slots.empty((), 10, 16, 16, threshold=0.0, pinned=3)
    keys = clusters(5, seed=1)
    write(store, keys, keys, torch.arange(5))
    first = store.keys[:3].clone()
    assert torch.equal(first, keys[:3])
    for seed in range(5):
        # copies of what is pinned would merge with it, and many novel ones would replace it
        more = torch.cat([keys[:3], rows(40, seed=seed)])
        write(store, more, more, torch.arange(43))
    assert torch.equal(store.keys[:3], first)
    assert store.counts[:3].tolist() == [1, 1, 1] and store.last[:3].tolist() == [0, 1, 2]


def test_without_merging_the_newest_tokens_are_held():
    keys, store = rows(50), Slots.empty((), 12, 16, 16)
    for part in keys.split(17):
        write(store, part, part, torch.zeros(len(part)), rule=WriteRule(merges=False))
    order = store.last.argsort()
    assert torch.equal(store.keys[order], keys[-12:])
    assert int(store.evicted) == 38


def interaction_free(generator, chunk=16, chunks=6, dim=24, slots=128):
    """Tokens that are far from each other in each chunk and near those of earlier ones: no two of a chunk meet in a slot."""
    centres = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0]
    parts = []
    for _ in range(chunks):
        chosen = torch.randperm(dim, generator=generator)[:chunk]
        parts.append(centres[chosen] + 0.02 * torch.randn(chunk, dim, generator=generator))
    return torch.cat(parts)


@pytest.mark.parametrize("seed", range(5))
def test_chunks_equal_single_tokens_where_tokens_do_not_meet(seed):
    generator = torch.Generator().manual_seed(seed)
    keys = interaction_free(generator).double()
    values = torch.randn(len(keys), 3, generator=generator, dtype=torch.float64)
    stores = [Slots.empty((), 128, 24, 3, threshold=0.9, dtype=torch.float64) for _ in range(2)]
    for store, size in zip(stores, (1, 16), strict=True):
        write(store, keys, values, torch.arange(len(keys)), rule=WriteRule(chunk=size))
    one, many = stores
    assert int(one.counts.max()) > 1
    assert torch.equal(one.counts, many.counts) and torch.equal(one.last, many.last)
    for name in ("keys", "values", "positions"):
        torch.testing.assert_close(getattr(one, name), getattr(many, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 8])
def test_equal_novel_tokens_make_one_slot(chunk):
    keys = torch.cat([rows(2), rows(2), rows(1), rows(2, seed=1)])
    store = Slots.empty((), 6, 16, 16, threshold=0.9)
    write(store, keys, keys, torch.arange(7), rule=WriteRule(chunk=chunk))
    assert store.counts.tolist() == [3, 2, 1, 1, 0, 0]
    assert store.last.tolist() == [4, 3, 5, 6, -1, -1]
    torch.testing.assert_close(store.positions[:2], torch.tensor([2.0, 2.0]))


@pytest.mark.parametrize("seed", range(4))
def test_chunks_hold_about_as_much_as_single_tokens(seed):
    """Tokens that do meet: the novel ones of a chunk that are alike share a slot too."""
    keys = clusters(400, centres=60, noise=0.25, seed=seed)
    used = []
    for chunk in (1, 32):
        store = Slots.empty((), 400, 16, 16, threshold=0.85)
        write(store, keys, keys, torch.arange(400), rule=WriteRule(chunk=chunk))
        used.append(int(store.used))
    assert used[1] == pytest.approx(used[0], rel=0.15)


@pytest.mark.parametrize("merges", [True, False])
def test_more_novel_tokens_than_slots_in_one_chunk(merges):
    """The rest replaces the oldest, one by one: as many are held as there are slots, each once."""
    keys, store = rows(40), Slots.empty((), 10, 16, 16, threshold=0.99 if merges else None, pinned=2)
    write(store, keys, keys, torch.arange(40), rule=WriteRule(chunk=40, merges=merges))
    assert int(store.used) == 10 and int(store.written) == 40 and int(store.counts.sum()) == 10
    assert sorted(store.positions.long().tolist()) == [0, 1, *range(32, 40)]


def test_rows_with_gaps_equal_rows_by_themselves():
    keys, values = clusters(60, seed=1).view(2, 30, 16), rows(60, 4).view(2, 30, 4)
    mask = torch.rand(2, 30, generator=torch.Generator().manual_seed(2)) < 0.6
    together = Slots.empty((2,), 9, 16, 4, threshold=0.8)
    write(together, keys, values, torch.arange(30), mask, rule=WriteRule(chunk=1))
    for row in range(2):
        alone = Slots.empty((), 9, 16, 4, threshold=0.8)
        kept = mask[row]
        write(alone, keys[row][kept], values[row][kept], torch.arange(30)[kept], rule=WriteRule(chunk=1))
        assert torch.equal(alone.counts, together.counts[row]) and torch.equal(alone.last, together.last[row])
        torch.testing.assert_close(alone.keys, together.keys[row])
        torch.testing.assert_close(alone.positions, together.positions[row])


def test_threshold_is_chosen_for_a_wanted_share():
    keys = clusters(512, centres=200, noise=0.5)
    first = torch.nn.functional.normalize(keys[:256], dim=1)
    nearest = (first @ first.T - 2 * torch.eye(256)).amax(1)
    shares = []
    for rate in (0.2, 0.5, 0.8):
        store = Slots.empty((2,), 600, 16, 16)
        # cosines do not see the lengths
        both = torch.stack([keys, 3 * keys])
        for part in both.split(128, 1):
            write(store, part, part, torch.arange(128), rule=WriteRule(rate=rate))
        torch.testing.assert_close(store.threshold, nearest.quantile(1 - rate).expand(2))
        assert float((nearest > store.threshold[0]).double().mean()) == pytest.approx(rate, abs=0.01)
        shares.append(1 - float(store.used[0] - 256) / 256)
    assert shares == sorted(shares) and shares[0] < shares[2] - 0.2


@pytest.mark.parametrize("calls", [1, 10, 100])
def test_first_patterns_of_a_wanted_share_are_compared_however_they_are_given(calls):
    """What comes behind the first ones in the same call merges too."""
    keys = clusters(2000, centres=50, dim=32)
    memory = ConsolidatedMemory(32, slots=300, threshold="auto:0.5")
    for part in keys.chunk(calls):
        memory.store(part)
    first = torch.nn.functional.normalize(keys[:256], dim=1)
    nearest = (first @ first.T - 2 * torch.eye(256)).amax(1)
    assert float(memory._held.threshold) == pytest.approx(float(nearest.quantile(0.5)), abs=1e-6)
    assert len(memory) > 1000 and int(memory.counts.max()) > 5


def test_choosing_a_threshold_compares_the_first_tokens_only():
    """Not all slots with all: most of many are empty."""
    store = Slots.empty((2,), 3000, 4, 4)
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, given=(), options=None):
            output = function(*given, **(options or {}))
            largest.append(output.numel() if isinstance(output, torch.Tensor) else 0)
            return output

    keys = rows(300, 4).expand(2, -1, -1)
    with Watch():
        write(store, keys, keys, torch.arange(300), rule=WriteRule(rate=0.5))
    assert bool(store.threshold.isfinite().all())
    assert max(largest) < 3000 * 3000 / 10


def test_centred_similarity_takes_the_mean_of_all_keys_away():
    keys = rows(40) + 5.0
    store = Slots.empty((), 64, 16, 16, threshold=0.9)
    write(store, keys, keys, torch.arange(40), rule=WriteRule(chunk=8, centred=True))
    torch.testing.assert_close(store.centre, keys.mean(0), rtol=1e-5, atol=1e-5)
    plain = Slots.empty((), 64, 16, 16, threshold=0.9)
    write(plain, keys, keys, torch.arange(40), rule=WriteRule(chunk=8))
    # what all keys share makes them look alike
    assert int(plain.used) < int(store.used)


@pytest.mark.parametrize("measure", ["cosine", "dot", "l2"])
def test_similarities_are_what_they_are_called(measure):
    store, asked = Slots.empty((), 5, 16, 16), rows(3, seed=9)
    write(store, rows(5), rows(5), torch.arange(5), rule=WriteRule(merges=False))
    for row in range(3):
        for slot in range(5):
            left, right = asked[row], store.keys[slot]
            expected = {
                "cosine": torch.cosine_similarity(left, right, dim=0),
                "dot": left @ right,
                "l2": -(left - right).square().sum(),
            }[measure]
            torch.testing.assert_close(store.similarity(asked, measure)[row, slot], expected)


def test_energy_is_the_formula_with_counts():
    memory = make(beta=0.7, threshold=0.8)
    patterns = clusters(40).double()
    memory.store(patterns)
    states = rows(5, seed=3).double()
    used = memory.counts > 0
    assert int(memory.counts.max()) > 1
    inside = memory.counts[used] * (0.7 * states @ memory.keys[used].T).exp()
    torch.testing.assert_close(memory.energy(states), -inside.sum(1).log() / 0.7)


def test_read_is_the_softmax_over_slots_with_counts():
    memory = make(beta=0.7, threshold=0.8)
    values = rows(40, 3, seed=5)
    memory.store(clusters(40), values)
    cues = rows(5, seed=3)
    used = memory.counts > 0
    weights = (0.7 * cues @ memory.keys[used].T + memory.counts[used].float().log()).softmax(1)
    torch.testing.assert_close(memory.recall(cues).patterns, weights @ memory.values[used])


def test_a_damaged_cue_recalls_what_merged():
    centres = torch.nn.functional.normalize(rows(10, 64), dim=1)
    memory = ConsolidatedMemory(64, slots=32, threshold=0.8, beta=40.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        memory.store(centres + 0.03 * torch.randn(10, 64, generator=generator))
    assert int((memory.counts > 0).sum()) == 10 and len(memory) == 200
    known = torch.rand(10, 64, generator=generator) < 0.5
    found = memory.recall(torch.where(known, centres, torch.nan), known).patterns
    assert float(torch.cosine_similarity(found, centres).min()) > 0.99
    slot, score = memory.assign(centres)
    assert len(slot.unique()) == 10 and float(score.min()) > 0.99


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"threshold": 1.0}, ValueError, "threshold"),
        ({"threshold": -1.5}, ValueError, "threshold"),
        ({"threshold": "auto:2"}, ValueError, "threshold"),
        ({"threshold": "sometimes"}, ValueError, "threshold"),
        ({"threshold": True}, TypeError, "threshold"),
        ({"measure": "l2"}, ValueError, "threshold"),
        ({"measure": "l2", "threshold": 0.0}, ValueError, "threshold"),
        ({"slots": 1, "threshold": "auto:0.5"}, ValueError, "slots"),
        ({"slots": 0}, ValueError, "slots"),
        ({"beta": 0.0}, ValueError, "beta"),
        ({"chunk": 0}, ValueError, "chunk"),
        ({"measure": "hamming"}, ValueError, "measure"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, kind, message):
    with pytest.raises(kind, match=message):
        make(**settings)


def test_other_measures_take_other_thresholds():
    assert check_threshold(7.5, "dot").value == 7.5 and check_threshold(-3, "l2").value == -3


def test_values_are_given_always_or_never():
    memory = make()
    memory.store(rows(3))
    with pytest.raises(ValueError, match="values"):
        memory.store(rows(3), rows(3, 2))
    assert len(memory) == 3
