"""The bank over a cluster, with workers that run in this process and are lost at will; with Ray: test_cluster_ray.py."""

import json
import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from cluster_engine import Here, question, read_out, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.bank import RamBank, cluster
from attractor.bank.cluster import ClusterBank, first_at, lowest_free
from attractor.bank.cluster_manifest import State
from attractor.read import Read, separation_from, similarity_from


@pytest.fixture
def here():
    engine = Here()
    with patch.object(cluster, "engine", lambda address: engine):
        yield engine


def check_same(bank, twin, cues):
    """`twin` is a bank in memory that was told the same."""
    assert len(bank) == len(twin)
    assert torch.equal(bank.ids(), twin.ids())
    if len(twin):
        found, expected = (read_out(one, question(cues)) for one in (bank, twin))
        torch.testing.assert_close(found.values, expected.values)
        torch.testing.assert_close(found.potential, expected.potential)
        assert torch.equal(found.ids, expected.ids)
    shuffled = twin.ids().flip(0)
    assert torch.equal(bank.get(shuffled).patterns, twin.get(shuffled).patterns) or not len(twin)
    assert bank.metadata(shuffled) == twin.metadata(shuffled)
    blocks = list(bank.blocks(3))
    assert all(0 < len(block) <= 3 for block in blocks)
    assert [one for block in blocks for one in block.ids.tolist()] == twin.ids().tolist()


verbs = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 12)),
    st.tuples(st.just("forget"), st.floats(0, 1)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
)
losses = st.lists(st.tuples(st.sampled_from(["append", "forget", "fold", "get"]), st.integers(0, 12)), max_size=6)


@settings(max_examples=8)
@given(st.lists(verbs, min_size=1, max_size=8), st.integers(1, 4), losses, st.integers(0, 2**16))
def test_a_bank_over_lossy_workers_equals_one_in_memory(steps, workers, losses, seed):
    generator, twin, engine = torch.Generator().manual_seed(seed), RamBank(4, screen=False), Here()
    engine.trouble = dict.fromkeys(losses, "is lost")
    lost_appends = any(method == "append" for method, _ in losses)
    with tempfile.TemporaryDirectory() as folder, patch.object(cluster, "engine", lambda address: engine):
        bank = ClusterBank(Path(folder, "bank"), 4, workers=workers)
        for verb, argument in steps:
            if verb == "append":
                patterns = torch.randn(argument, 4, generator=generator)
                metadata = [{"row": row} if row % 2 else None for row in range(argument)]
                before, ids = bank.version, bank.append(patterns, metadata=metadata)
                assert bank.version > before and bool((ids.diff() > 0).all())
                if lost_appends:  # ids may be passed over then
                    twin = renamed(twin, patterns, metadata, ids)
                else:
                    assert torch.equal(ids, twin.append(patterns, metadata=metadata))
            elif verb == "forget":
                drawn = twin.ids()[torch.rand(len(twin), generator=generator) < argument]
                bank.forget(drawn)
                twin.forget(drawn)
            elif verb == "compact":
                bank.compact()
            else:
                bank.close()
                bank = ClusterBank(Path(folder, "bank"))
            check_same(bank, twin, torch.randn(3, 4, generator=generator))
        bank.close()


def renamed(twin, patterns, metadata, ids):
    """`twin` with rows under ids that it did not choose."""
    kept, order = twin.get(twin.ids()), torch.cat([twin.ids(), ids]).argsort()
    entries = [*twin.metadata(twin.ids()), *metadata]
    grown = RamBank(4, screen=False)
    grown.append(torch.cat([kept.patterns, patterns])[order], metadata=[entries[place] for place in order.tolist()])
    contents = grown.contents() | {"ids": torch.cat([kept.ids, ids])[order], "next_id": torch.tensor(10**6)}
    named = {str(int(contents["ids"][place])): entries[row] for place, row in enumerate(order.tolist()) if entries[row]}
    contents["metadata"] = torch.frombuffer(bytearray(json.dumps(named).encode()), dtype=torch.uint8)
    fresh = RamBank(4, screen=False)
    fresh.restore(contents)
    return fresh


@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize("again", ["same object", "reopened"])
def test_an_append_that_fails_on_one_shard_counts_on_none(here, tmp_path, turn, again):
    bank, twin = ClusterBank(tmp_path / "bank", 4, workers=3), RamBank(4)
    for one in (bank, twin):
        one.append(rows(7))
    here.trouble["append", 3 + turn] = "fails"
    version = bank.version
    with pytest.raises(OSError, match="the disk is full"):
        bank.append(rows(5, seed=1))
    assert bank.version == version and len(bank) == 7
    check_same(bank, twin, rows(2, seed=3))
    if again == "reopened":
        bank.close()
        bank = ClusterBank(tmp_path / "bank")
        check_same(bank, twin, rows(2, seed=3))
    late = rows(6, seed=2)
    ids = bank.append(late)
    assert bool((ids.diff() > 0).all()) and not torch.isin(ids, twin.ids()).any()
    assert torch.equal(bank.get(ids).patterns, late)
    assert len(bank) == 13 and len(bank.ids().unique()) == 13


def test_a_first_append_that_fails_does_not_bind_the_dtype(here, tmp_path):
    bank = ClusterBank(tmp_path / "bank", 4, workers=2)
    here.trouble["append", 1] = "fails"
    with pytest.raises(OSError, match="full"):
        bank.append(rows(4, dtype=torch.float32), rows(4, 2, dtype=torch.float32))
    assert bank.dtype is None
    assert bank.append(rows(4)).tolist() == [0, 1, 2, 3]
    assert (bank.dtype, bank.value_dim) == (torch.float64, None)
    bank.close()


def test_values_are_read_out_and_stay_with_their_patterns(here, tmp_path):
    twin = RamBank(4)
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank:
        for one in (bank, twin):
            one.append(rows(20), rows(20, 2, seed=1))
            one.forget(torch.tensor([3, 4, 19]))
        similarity, separation = similarity_from({"name": "dot"}), separation_from({"name": "softmax", "beta": 1.0})
        read = Read(similarity, separation, rows(5, seed=2), project="values")
        torch.testing.assert_close(read_out(bank, read).values, read_out(twin, read).values)
        ids = torch.tensor([18, 0, 5])
        assert torch.equal(bank.get(ids).values, twin.get(ids).values)
        assert bank.value_dim == 2


def test_a_restarted_worker_has_what_it_had(here, tmp_path):
    bank, twin = ClusterBank(tmp_path / "bank", 4, workers=2), RamBank(4)
    for one in (bank, twin):
        one.append(rows(30))
        one.forget(torch.tensor([0, 7, 29]))
    check_same(bank, twin, rows(3, seed=1))
    here.trouble["fold", here.called["fold"] + 1] = "is lost"
    check_same(bank, twin, rows(3, seed=2))


def test_what_stands_in_the_mirror_follows_the_disk(here, tmp_path):
    bank = ClusterBank(tmp_path / "bank", 4, workers=2)
    twin = RamBank(4)
    for turn in range(4):
        for one in (bank, twin):
            one.append(rows(9, seed=turn))
        check_same(bank, twin, rows(2, seed=9))
        for one in (bank, twin):
            one.forget(one.ids()[1::4])
        check_same(bank, twin, rows(2, seed=9))
        bank.compact()


def test_unknown_ids_are_refused_by_name_and_nothing_is_removed(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(6))
        bank.forget(torch.tensor([2]))
        for wrong in (2, 6, -1, 2**63 - 1):
            with pytest.raises(ValueError, match=f"unknown: .*{wrong}"):
                bank.forget(torch.tensor([0, wrong]))
        assert bank.ids().tolist() == [0, 1, 3, 4, 5]
        assert bank.positions(torch.tensor([5, 0, 3])).tolist() == [4, 0, 2]


def test_presence_is_asked_of_every_shard(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank:
        bank.append(rows(10))
        bank.forget(torch.tensor([4]))
        assert bank.contains(torch.cat([rows(10), rows(2, seed=5)])).tolist() == [*[True] * 4, False, *[True] * 5, False, False]


SEPARATIONS = {
    "softmax": {"beta": 0.5},
    "top-k": {"beta": 0.5, "k": 4},
    "sparsemax": {"beta": 0.5},
    "entmax": {"beta": 0.5, "alpha": 1.5},
    "exponential": {"beta": 0.5},
    "polynomial": {"n": 3},
    "rectified-polynomial": {"n": 3},
    "identity": {},
}


@pytest.mark.parametrize("name", SEPARATIONS)
def test_shards_of_few_rows_or_none_are_merged_as_blocks_are(here, tmp_path, name):
    twin = RamBank(4, screen=False)
    with ClusterBank(tmp_path / "bank", 4, workers=4) as bank:
        for one in (bank, twin):
            one.append(rows(7))
            one.forget(torch.tensor([1, 5]))
        similarity = "euclidean" if SEPARATIONS[name].get("beta") and name != "exponential" else "dot"
        read = question(rows(3, seed=1), {"name": name, **SEPARATIONS[name]}, similarity)
        found, expected = read_out(bank, read), read_out(twin, read)
        for part in ("values", "potential", "scores", "ids"):
            torch.testing.assert_close(getattr(found, part), getattr(expected, part))


def test_an_empty_bank_refuses_a_read(here, tmp_path):
    with ClusterBank(tmp_path, 4) as bank:
        assert (bank.workers, len(bank), bank.ids().tolist(), list(bank.blocks(5))) == (3, 0, [], [])
        with pytest.raises(ValueError, match="the memory is empty"):
            bank.fold(question(rows(1)))


def test_metadata_that_is_no_json_is_refused_by_its_row(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        with pytest.raises(TypeError, match=r"metadata\[3\]"):
            bank.append(rows(4), metadata=[None, None, None, {"x": {1, 2}}])
        assert bank.dtype is None and "append" not in here.called


def test_gradients_are_refused_rather_than_lost(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(4))
        with pytest.raises(ValueError, match="no gradients"):
            bank.fold(question(rows(1).requires_grad_()))
        with torch.no_grad():
            bank.fold(question(rows(1).requires_grad_()))


def test_a_folder_belongs_to_one_bank_at_a_time(here, tmp_path):
    bank = ClusterBank(tmp_path / "bank", 4, workers=2)
    with pytest.raises(TimeoutError, match="is open in another process"):
        ClusterBank(tmp_path / "bank")
    bank.close()
    with pytest.raises(ValueError, match="is closed"):
        len(bank)
    with ClusterBank(tmp_path / "bank"), pytest.raises(TimeoutError, match="is open in another process"):
        ClusterBank(tmp_path / "bank")
    ClusterBank(tmp_path / "bank").close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"dim": 5}, "dim must be"), ({"workers": 3}, "workers must be"), ({"dim": 0}, "dim must be"), ({"workers": 0}, "workers")],
)
def test_another_shape_than_the_stored_one_is_refused(here, tmp_path, arguments, message):
    ClusterBank(tmp_path / "bank", 4, workers=2).close()
    with pytest.raises(ValueError, match=message):
        ClusterBank(tmp_path / "bank", **arguments)


def test_what_is_no_bank_is_refused_and_left_alone(here, tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*give dim"):
        ClusterBank(tmp_path / "bank")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ValueError, match="path must be new"):
        ClusterBank(tmp_path / "notes", 4, workers=2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cluster.db").write_text("no database " * 500)
    with pytest.raises(ValueError, match="cannot be read"):
        ClusterBank(tmp_path / "other", 4, workers=2)


def test_a_newer_format_is_refused(here, tmp_path):
    ClusterBank(tmp_path / "bank", 4, workers=2).close()
    connection = sqlite3.connect(tmp_path / "bank" / "cluster.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="format 99"):
        ClusterBank(tmp_path / "bank")


def test_lost_rows_are_named_by_the_ids_of_the_bank(here, tmp_path):
    bank = ClusterBank(tmp_path / "bank", 4, workers=2)
    bank.append(rows(6))
    with patch.object(bank._workers[1].shard.disk, "lost", lambda: torch.tensor([0, 2, 7])):
        assert bank.lost().tolist() == [1, 5]
    bank.close()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 30))
def test_the_lowest_free_ids_are_given(ends, count):
    shards = len(ends)
    free = [one for one in range(20 * shards + 30 + count) if one // shards >= ends[one % shards]]
    assert lowest_free(ends, count).tolist() == free[:count]


@given(st.integers(-5, 60), st.integers(1, 5), st.data())
def test_bounds_are_those_of_the_shard(bound, shards, data):
    shard = data.draw(st.integers(0, shards - 1))
    first = next(own for own in range(-10, 100) if own * shards + shard >= bound)
    assert int(first_at(torch.tensor([bound]), shard, shards)) == first


def test_a_state_survives_its_json():
    state = State(4, (3, 2), 7, torch.bfloat16, 5)
    assert State.from_json(state.to_json()) == state
    assert State.from_json(State(4, (0,)).to_json()) == State(4, (0,))
