"""The rule by which tokens are written into slots."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from memory.consolidated_patterns import by_hand, clusters, rows

from attractor.memory.consolidated import Slots, WriteRule, write


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 60),
    slots=st.integers(2, 12),
    pinned=st.integers(0, 1),
    threshold=st.sampled_from([None, -0.5, 0.5, 0.9]),
    familiar=st.sampled_from(["merge", "drop"]),
    centred=st.booleans(),
    seed=st.integers(0, 100),
)
def test_slots_equal_the_rule_written_out_with_a_log_of_members(count, slots, pinned, threshold, familiar, centred, seed):
    # where one slot holds all, its mean is the centre, and what points from one to the other is rounding
    assume(not centred or threshold != -0.5)
    keys, values = clusters(count, seed=seed).double(), rows(count, 5, seed=seed + 1).double()
    store = Slots.empty((), slots, 16, 5, threshold=threshold, pinned=pinned, dtype=torch.float64)
    write(
        store,
        keys,
        values,
        torch.arange(count),
        rule=WriteRule(centred=centred, chunk=1, compares=threshold is not None, familiar=familiar),
    )
    held = by_hand(keys, slots, threshold, pinned, familiar, centred)
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
    rule = WriteRule(chunk=chunk, compares=threshold is not None)
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
        write(store, part, part, torch.zeros(len(part)), rule=WriteRule(compares=False))
    order = store.last.argsort()
    assert torch.equal(store.keys[order], keys[-12:])
    assert int(store.evicted) == 38


@pytest.mark.parametrize(
    "rule", [WriteRule(chunk=1), WriteRule(chunk=1, centred=True), WriteRule(chunk=1, familiar="drop")], ids=str
)
def test_rows_with_gaps_equal_rows_by_themselves(rule):
    """What stands in the gaps is never read."""
    mask = torch.rand(2, 30, generator=torch.Generator().manual_seed(2)) < 0.6
    keys, values = clusters(60, seed=1).view(2, 30, 16), rows(60, 4).view(2, 30, 4)
    keys[~mask], values[~mask] = torch.nan, torch.inf
    together = Slots.empty((2,), 9, 16, 4, threshold=0.8)
    write(together, keys, values, torch.arange(30), mask, rule=rule)
    for row in range(2):
        alone = Slots.empty((), 9, 16, 4, threshold=0.8)
        kept = mask[row]
        write(alone, keys[row][kept], values[row][kept], torch.arange(30)[kept], rule=rule)
        assert torch.equal(alone.counts, together.counts[row]) and torch.equal(alone.last, together.last[row])
        torch.testing.assert_close(alone.keys, together.keys[row])
        torch.testing.assert_close(alone.positions, together.positions[row])


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
    write(store, rows(5), rows(5), torch.arange(5), rule=WriteRule(compares=False))
    for row in range(3):
        for slot in range(5):
            left, right = asked[row], store.keys[slot]
            expected = {
                "cosine": torch.cosine_similarity(left, right, dim=0),
                "dot": left @ right,
                "l2": -(left - right).square().sum(),
            }[measure]
            torch.testing.assert_close(store.similarity(asked, measure)[row, slot], expected)


@pytest.mark.parametrize("chunk", [1, 2])
@pytest.mark.parametrize(("familiar", "held", "counts"), [("merge", [0, 2], [2, 1]), ("drop", [2, 1], [1, 1])])
def test_only_what_merges_renews_a_slot(familiar, held, counts, chunk):
    """A token like the oldest slot, then a novel one when all slots are taken."""
    axes, store = torch.eye(3), Slots.empty((), 2, 3, 3, threshold=0.9)
    for part in (axes[:2], axes[[0, 2]]):
        write(store, part, part, torch.arange(2), rule=WriteRule(chunk=chunk, familiar=familiar))
    assert store.keys.argmax(-1).tolist() == held and store.counts.tolist() == counts


@pytest.mark.parametrize("chunk", [1, 8])
def test_dropped_tokens_leave_slots_as_they_were_and_are_counted_as_written(chunk):
    keys, rule = rows(6), WriteRule(chunk=chunk, familiar="drop")
    store = Slots.empty((), 6, 16, 16, threshold=0.9)
    write(store, keys[:4], keys[:4], torch.arange(4), rule=rule)
    # near one that is there, a novel one, near the novel one, near another
    more = torch.stack([1.1 * keys[0], keys[4], 1.1 * keys[4], 1.1 * keys[2]])
    write(store, more, more, torch.arange(4, 8), rule=rule)
    assert torch.equal(store.keys[:5], keys[:5]) and store.counts.tolist() == [1, 1, 1, 1, 1, 0]
    assert store.last.tolist() == [0, 1, 2, 3, 5, -1] and int(store.written) == 8 and int(store.evicted) == 3


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"measure": "hamming"}, ValueError),
        ({"chunk": 0}, ValueError),
        ({"chunk": 1.5}, TypeError),
        ({"rate": 1.0}, ValueError),
        ({"familiar": "keep"}, ValueError),
    ],
)
def test_wrong_rules_are_refused_by_name(settings, kind):
    with pytest.raises(kind, match=next(iter(settings))):
        WriteRule(**settings)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"slots": 0}, ValueError),
        ({"key_dim": 0}, ValueError),
        ({"value_dim": 2.0}, TypeError),
        ({"pinned": 4}, ValueError),
        ({"pinned": -1}, ValueError),
        ({"threshold": float("nan")}, ValueError),
    ],
)
def test_wrong_slots_are_refused_by_name(settings, kind):
    with pytest.raises(kind, match=next(iter(settings))):
        Slots.empty((), **{"slots": 4, "key_dim": 3, "value_dim": 2} | settings)


@pytest.mark.parametrize("rule", [WriteRule(), WriteRule(chunk=1), WriteRule(compares=False)], ids=str)
@pytest.mark.parametrize(("name", "wrong"), [("keys", "width"), ("values", "width"), ("keys", "nan"), ("values", "infinity")])
def test_tokens_that_do_not_fit_are_refused_and_nothing_is_written(name, wrong, rule):
    store = Slots.empty((), 4, 16, 5, threshold=0.9)
    given = {"keys": rows(3), "values": rows(3, 5)}
    if wrong == "width":
        given[name] = rows(3, 7)
    else:
        given[name][2, 1] = float(wrong)
    with pytest.raises(ValueError, match=name):
        write(store, **given, positions=torch.arange(3), rule=rule)
    assert int(store.written) == 0 and not bool(store.keys.any())
