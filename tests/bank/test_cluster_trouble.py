"""What goes wrong around a bank over a cluster: calls that come late or twice, threads, interruptions, damaged files."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from unittest.mock import patch

import pytest
import torch
from cluster_engine import Here, end, question, read_out, rows

from attractor.bank import RamBank, cluster, cluster_shard
from attractor.bank.cluster import ClusterBank
from attractor.bank.cluster_engine import leads_to
from attractor.bank.cluster_shard import Shard, locked
from attractor.bank.segments import SegmentError


@pytest.fixture
def here():
    engine = Here()
    with patch.object(cluster, "engine", lambda address: engine):
        yield engine


def test_shards_without_rows_do_not_hold_up_an_append_behind_an_unfinished_one(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank:
        first = bank.append(rows(1))
        here.trouble["append", 2] = "fails"
        with pytest.raises(OSError, match="the disk is full"):
            bank.append(rows(3, seed=1))
        late = rows(3, seed=2)
        ids = bank.append(late)
        assert torch.equal(bank.get(torch.cat([first, ids])).patterns, torch.cat([rows(1), late]))
        assert len(bank) == 4


def test_rows_that_went_to_another_shard_in_the_end_count_once(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank:
        bank.append(rows(3))
        here.trouble["append", 3] = "is lost"
        assert bank.append(rows(1, seed=1)).tolist() == [4]
        assert bank.ids().tolist() == [0, 1, 2, 4] and len(bank) == 4


def test_threads_that_append_keep_each_others_rows(here, tmp_path):
    finish = here.get
    here.get = lambda answers: time.sleep(0.05) or finish(answers)
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank, ThreadPoolExecutor(3) as pool:
        ids = torch.cat(list(pool.map(lambda seed: bank.append(rows(2, seed=seed)), range(3))))
        assert bank.ids().tolist() == ids.sort().values.tolist() == list(range(6))
        assert torch.equal(bank.get(ids).patterns, torch.cat([rows(2, seed=seed) for seed in range(3)]))


def test_an_interrupted_append_cannot_be_carried_out_later(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(3))
        before = list(bank._workers)
        here.interrupt = True
        with pytest.raises(KeyboardInterrupt):
            bank.append(rows(4, seed=1))
        assert here.killed == before and not set(map(id, before)) & set(map(id, bank._workers))
        ids = bank.append(rows(2, seed=2))
        assert torch.equal(bank.get(ids).patterns, rows(2, seed=2)) and len(bank) == 5


def test_a_shard_that_dies_while_it_starts_anew_is_a_bank_again(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        here.trouble["append", 1] = "fails"
        with pytest.raises(OSError, match="full"):
            bank.append(rows(4))
        with patch.object(cluster_shard.shutil, "rmtree", dies_half_way), pytest.raises(OSError, match="killed"):
            bank.append(rows(4))
    with ClusterBank(tmp_path / "bank") as bank:
        assert bank.append(rows(4)).tolist() == [0, 1, 2, 3]
    assert not list((tmp_path / "bank").glob("*.dropped"))


def dies_half_way(folder, **_):
    (folder / "bank.db").unlink()
    raise OSError("killed here")


def test_a_read_that_comes_late_does_not_take_rows_in_twice(tmp_path):
    shard = Shard(tmp_path / "shard", 4)
    shard.append(0, 0, rows(5), None, None)
    for limit in (5, 3, 5):
        shard.fold(question(rows(1)), limit, 0, 1)
    assert len(shard.mirror) == 5
    end(shard)


def test_a_shard_has_one_worker_at_a_time(tmp_path):
    first = Shard(tmp_path / "shard", 4)
    first.append(0, 0, rows(2), None, None)
    late = Shard(tmp_path / "shard", 4)
    with patch.object(cluster_shard, "SECONDS_TO_WAIT", 0.05), pytest.raises(TimeoutError, match=r"shard\.lock cannot be locked"):
        late.append(2, 2, rows(1), None, None)
    second, answers = Shard(tmp_path / "shard", 4), []
    waiting = threading.Thread(target=lambda: answers.append(second.count(2)))
    waiting.start()
    end(first)
    waiting.join(20)
    assert answers == [2]
    end(second)
    locked(tmp_path / "shard.lock").close()


def test_the_files_of_a_shard_are_told_of_by_the_call_that_needs_them(here, tmp_path):
    ClusterBank(tmp_path / "bank", 4, workers=2).close()
    (tmp_path / "bank" / "shard-0001").mkdir()
    (tmp_path / "bank" / "shard-0001" / "bank.db").write_text("no database " * 500)
    with ClusterBank(tmp_path / "bank") as bank, pytest.raises(ValueError, match="shard-0001"):
        bank.append(rows(4))


def test_damaged_rows_are_reported_and_the_rest_can_be_read(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(8))
    file = next((tmp_path / "bank" / "shard-0001").glob("*.safetensors"))
    content = file.read_bytes()
    file.write_bytes(content[:-32])
    with ClusterBank(tmp_path / "bank") as bank:
        with pytest.warns(UserWarning, match="rows are lost"):
            len(bank)
        with pytest.raises(SegmentError, match=r"the bank's own lost\(\)"):
            bank.fold(question(rows(1)))
        assert bank.lost().tolist() == [7]
        bank.forget(bank.lost())
        assert read_out(bank, question(rows(8)[[3]])).ids[0, 0] == 3


@pytest.mark.parametrize("method", ["get", "metadata", "forget"])
def test_unknown_ids_are_named_as_the_bank_counts_them(here, tmp_path, method):
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank:
        bank.append(rows(7))
        bank.forget(torch.tensor([4]))
        with pytest.raises(ValueError, match=r"unknown: \[4, 9\]|unknown: \[9, 4\]"):
            getattr(bank, method)(torch.tensor([0, 4, 9]))
        assert len(bank) == 6


def test_metadata_of_any_mapping_goes_to_the_workers_as_a_dictionary(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        ids = bank.append(rows(2), metadata=[MappingProxyType({"a": 1}), None])
        assert type(here.given["append"][0][-1][0]) is dict
        assert bank.metadata(ids) == [{"a": 1}, None]


@pytest.mark.parametrize("count", [4, 40])
def test_a_sample_by_id_is_of_stored_rows_each_once_and_the_same_for_a_seed(here, tmp_path, count):
    with ClusterBank(tmp_path / "bank", 4, workers=3) as bank, patch.object(cluster, "LARGEST_LISTED", 10):
        twin = RamBank(4)
        for one in (bank, twin):
            one.append(rows(60))
            one.forget(torch.arange(0, 60, 3))
        drawn = bank.sample(count, seed=5)
        assert len(drawn) == count and bool((drawn.ids.diff() > 0).all())
        assert torch.equal(drawn.patterns, twin.get(drawn.ids).patterns)
        assert torch.equal(drawn.ids, bank.sample(count, seed=5).ids)
        if count == 4:
            assert len({tuple(bank.sample(4, seed=seed).ids.tolist()) for seed in range(8)}) > 4


def test_a_bank_closes_when_its_engine_has_gone(here, tmp_path):
    bank = ClusterBank(tmp_path / "bank", 4, workers=2)
    with patch.object(here, "is_initialized", lambda: False):
        bank.close()
    bank.close()
    assert here.killed == []
    ClusterBank(tmp_path / "bank").close()


def test_a_closed_bank_gives_its_room_back(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2):
        assert [len(group) for group in here.groups] == [2]
    assert here.groups == []


def test_an_empty_file_is_made_a_bank_and_one_of_somebody_else_is_not(here, tmp_path):
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "cluster.db").touch()
    with ClusterBank(tmp_path / "bank", 4) as bank:
        assert bank.workers == here.cluster_resources()["CPU"]
    (tmp_path / "other").mkdir()
    connection = sqlite3.connect(tmp_path / "other" / "cluster.db")
    connection.execute("CREATE TABLE notes (line TEXT)")
    connection.close()
    with pytest.raises(ValueError, match="is another SQLite file"):
        ClusterBank(tmp_path / "other", 4, workers=2)


def test_a_record_that_differs_from_what_was_written_is_refused(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(4))
    connection = sqlite3.connect(tmp_path / "bank" / "cluster.db", isolation_level=None)
    connection.execute("""UPDATE bank SET state = replace(state, '"ends": [2, 2]', '"ends": [2, 1]')""")
    connection.close()
    with pytest.raises(ValueError, match="is damaged"):
        ClusterBank(tmp_path / "bank")


def test_a_bank_of_format_1_is_read_and_gets_a_checksum(here, tmp_path):
    with ClusterBank(tmp_path / "bank", 4, workers=2) as bank:
        bank.append(rows(4))
    connection = sqlite3.connect(tmp_path / "bank" / "cluster.db", isolation_level=None)
    connection.execute("ALTER TABLE bank DROP COLUMN crc")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    for _ in range(2):
        with ClusterBank(tmp_path / "bank") as bank:
            assert torch.equal(bank.get(torch.arange(4)).patterns, rows(4))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("auto", True),
        ("192.0.2.7:6379", True),
        ("127.0.0.1:6379", True),
        ("192.0.2.7:6380", False),
        ("192.0.2.9:6379", False),
        ("no-such-host.invalid:6379", False),
    ],
)
def test_an_address_leads_to_the_engine_or_elsewhere(address, expected):
    assert leads_to(address, "192.0.2.7:6379") is expected
