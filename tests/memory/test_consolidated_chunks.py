"""Tokens written in chunks, beside tokens written one by one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory.consolidated_patterns import clusters, rows

from attractor.memory.consolidated import Slots, WriteRule, write


def interaction_free(generator, chunk=16, chunks=6, dim=24, slots=128):
    """Tokens that are far from each other in each chunk and near those of earlier ones: no two of a chunk meet in a slot."""
    centres = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0]
    parts = []
    for _ in range(chunks):
        chosen = torch.randperm(dim, generator=generator)[:chunk]
        parts.append(centres[chosen] + 0.02 * torch.randn(chunk, dim, generator=generator))
    return torch.cat(parts)


@pytest.mark.parametrize("familiar", ["merge", "drop"])
@pytest.mark.parametrize("seed", range(3))
def test_chunks_equal_single_tokens_where_tokens_do_not_meet(seed, familiar):
    generator = torch.Generator().manual_seed(seed)
    keys = interaction_free(generator).double()
    values = torch.randn(len(keys), 3, generator=generator, dtype=torch.float64)
    stores = [Slots.empty((), 128, 24, 3, threshold=0.9, dtype=torch.float64) for _ in range(2)]
    for store, size in zip(stores, (1, 16), strict=True):
        write(store, keys, values, torch.arange(len(keys)), rule=WriteRule(chunk=size, familiar=familiar))
    one, many = stores
    assert int(one.written - one.used) > 0
    assert torch.equal(one.counts, many.counts) and torch.equal(one.last, many.last)
    for name in ("keys", "values", "positions"):
        torch.testing.assert_close(getattr(one, name), getattr(many, name), rtol=1e-12, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    chunk=st.integers(1, 12),
    tokens=st.integers(1, 60),
    pinned=st.integers(0, 3),
    measure=st.sampled_from(["cosine", "l2"]),
    familiar=st.sampled_from(["merge", "drop"]),
    seed=st.integers(0, 100),
)
def test_every_chunk_equals_single_tokens_while_slots_are_free_and_its_tokens_unlike(
    chunk, tokens, pinned, measure, familiar, seed
):
    """The same twelve centres in turn: of any twelve tokens no two are alike, and all that come later match a slot."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.linalg.qr(torch.randn(24, 24, generator=generator, dtype=torch.float64))[0][:12]
    keys = centres.repeat(5, 1)[:tokens] + 0.02 * torch.randn(tokens, 24, generator=generator, dtype=torch.float64)
    stores = [
        Slots.empty((), 32, 24, 24, threshold={"cosine": 0.9, "l2": -0.2}[measure], pinned=pinned, dtype=torch.float64)
        for _ in range(2)
    ]
    for store, size in zip(stores, (1, chunk), strict=True):
        write(store, keys, keys, torch.arange(tokens), rule=WriteRule(measure, chunk=size, familiar=familiar))
    one, many = stores
    assert int(one.used) == min(tokens, 12 + pinned)
    for name, value in one.tensors().items():
        torch.testing.assert_close(getattr(many, name), value, rtol=1e-12, atol=1e-12)


def test_a_chunk_keeps_the_slot_that_a_later_one_of_its_tokens_matches():
    """Where a chunk differs: one by one, the novel token takes the oldest slot, and the next finds nothing like itself."""
    axes, found = torch.eye(3), []
    for chunk in (1, 2):
        store = Slots.empty((), 2, 3, 3, threshold=0.9)
        for part in (axes[:2], axes[[2, 0]]):
            write(store, part, part, torch.arange(2), rule=WriteRule(chunk=chunk))
        found.append((store.keys.argmax(-1).tolist(), store.counts.tolist()))
    assert found == [([2, 0], [1, 1]), ([0, 2], [2, 1])]


def test_a_chunk_does_not_see_the_means_that_it_moves():
    """Where a chunk differs: the second token is near enough only once the first has moved the slot towards it."""
    angles = torch.tensor([0.0, 0.4, 0.6])
    keys = torch.stack([angles.cos(), angles.sin()], 1)
    counts = []
    for chunk in (1, 2):
        store = Slots.empty((), 4, 2, 2, threshold=float(torch.tensor(0.45).cos()))
        for part in (keys[:1], keys[1:]):
            write(store, part, part, torch.zeros(len(part)), rule=WriteRule(chunk=chunk))
        counts.append(store.counts.tolist())
    assert counts == [[3, 0, 0, 0], [2, 1, 0, 0]]


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


@pytest.mark.parametrize("compares", [True, False])
def test_more_novel_tokens_than_slots_in_one_chunk(compares):
    """The rest replaces the oldest, one by one: as many are held as there are slots, each once."""
    keys, store = rows(40), Slots.empty((), 10, 16, 16, threshold=0.99 if compares else None, pinned=2)
    write(store, keys, keys, torch.arange(40), rule=WriteRule(chunk=40, compares=compares))
    assert int(store.used) == 10 and int(store.written) == 40 and int(store.counts.sum()) == 10
    assert sorted(store.positions.long().tolist()) == [0, 1, *range(32, 40)]
