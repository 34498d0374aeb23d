"""Where a bank on disk writes, what it leaves behind, and what it believes of its manifest."""

import os
import sqlite3
import threading
from contextlib import closing
from unittest.mock import patch

import numpy as np
import pytest
import torch
from bank.random_rows import random_rows
from safetensors.torch import load_file

from attractor.bank import DiskBank, RowStore, database, segments
from attractor.bank.database import ManifestError
from attractor.bank.schema import checksum
from attractor.errors import AttractorWarning


def test_a_bank_stays_where_it_is_when_the_process_changes_its_folder(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    with DiskBank(there / "bank", 4) as bank:
        bank.append(random_rows(6))
    here.mkdir()
    monkeypatch.chdir(here)
    with DiskBank("bank", 4) as bank:
        bank.append(random_rows(3, seed=1))
        monkeypatch.chdir(there)
        bank.append(random_rows(3, seed=2))
        assert torch.equal(bank.get(torch.arange(6)).patterns, torch.cat([random_rows(3, seed=1), random_rows(3, seed=2)]))
    with DiskBank("bank") as bank:
        assert torch.equal(bank.get(torch.arange(6)).patterns, random_rows(6))


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs links that can be refused")
def test_what_a_link_leads_to_is_never_written(path, tmp_path):
    precious = tmp_path / "precious"
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
        file = path / "segment-000001.safetensors"
        file.rename(precious)
        file.symlink_to(precious)
        before = precious.read_bytes()
        with pytest.raises(OSError, match="segment-000001"):
            bank.append(random_rows(3))
        assert torch.equal(bank.get(torch.arange(3)).patterns, random_rows(3))
        (path / "segment-000002.safetensors").symlink_to(precious)
        bank.update(torch.tensor([0]), torch.ones(1, 4))
    assert precious.read_bytes() == before
    assert not (path / "segment-000002.safetensors").is_symlink()


def test_a_segment_says_its_ids_in_terms_of_safetensors(path):
    with patch.object(segments, "SEGMENT_BYTES", 256), DiskBank(path, 4) as bank:
        bank.append(random_rows(20), random_rows(20, 2))
        bank.forget(torch.tensor([1, 3]))
        bank.compact()
        block = bank.get(bank.ids())
    files = [load_file(file) for file in sorted(path.glob("segment-*[0-9].safetensors"))]
    assert torch.equal(torch.cat([file["patterns"] for file in files]).sort(0).values, block.patterns.sort(0).values)
    (gaps,) = (file["ids"] for file in files if "ids" in file)
    assert gaps.tolist()[:3] == [0, 2, 4]
    values = [load_file(file)["values"] for file in path.glob("*.values.safetensors")]
    assert sum(map(len, values)) == 18


@pytest.mark.parametrize("how", ["compact", "update"])
def test_copies_that_an_index_keeps_go_with_what_is_erased(path, how):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(5))
        copies = path / "index"
        copies.mkdir()
        (copies / "segment-000001.safetensors").write_bytes(b"rows")
        bank.forget(torch.tensor([1]))
        assert copies.exists()
        bank.compact() if how == "compact" else bank.update(torch.tensor([0]), torch.ones(1, 4))
        assert not copies.exists()


def test_metadata_that_a_reader_keeps_from_being_erased_is_told(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3), metadata=[{"name": "a secret name"}, None, None])
    with (
        patch.object(database, "SECONDS_TO_WAIT", 0.05),
        DiskBank(path) as bank,
        closing(sqlite3.connect(path / "bank.db")) as other,
    ):
        other.execute("BEGIN")
        other.execute("SELECT * FROM bank").fetchone()
        with pytest.warns(AttractorWarning, match="erased"):
            bank.update(torch.tensor([0]), metadata=[{"name": "open"}])
        other.rollback()
        bank.compact()
        assert not any(b"a secret name" in file.read_bytes() for file in path.iterdir())


@pytest.mark.parametrize("dim", [2**31, 2**70, 2.5, True, 0, "4"])
def test_a_width_that_cannot_be_is_refused_before_anything_is_made(path, dim):
    with pytest.raises(ValueError, match="dim must be an integer"):
        RowStore(path, dim)
    assert not path.exists()


def test_the_store_takes_a_width_of_numpy_and_names_what_is_no_array(path):
    with RowStore(path, np.int64(3)) as store:
        with pytest.raises(TypeError, match="patterns must be a numpy array, got list"):
            store.append([[1.0, 2.0, 3.0]])
        with pytest.raises(TypeError, match="values must be a numpy array, got Tensor"):
            store.append(np.ones((1, 3)), torch.ones(1, 3))
        assert len(store) == 0


@pytest.mark.parametrize(
    ("table", "change", "complaint"),
    [
        ("bank", {"dtype": "I8"}, "dtype 'I8'"),
        ("segments", {"rows": 2**50}, "does not fit"),
        ("segments", {"checks": b""}, "does not fit"),
        ("segments", {"ids": np.arange(2).tobytes()}, "does not fit"),
    ],
)
def test_a_manifest_that_was_made_up_is_refused_by_its_sizes(path, table, change, complaint):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
    with closing(sqlite3.connect(path / "bank.db", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        fields = dict(connection.execute(f"SELECT * FROM {table}").fetchone()) | change
        del fields["crc"]
        marks = ", ".join(f"{name} = ?" for name in fields)
        connection.execute(f"UPDATE {table} SET {marks}, crc = ?", (*fields.values(), checksum(list(fields.values()))))
    with pytest.raises(ManifestError, match=complaint):
        DiskBank(path)


@pytest.mark.parametrize("statement", ["DELETE FROM bank", "DROP TABLE segments", "PRAGMA application_id = 5"])
def test_a_manifest_that_lacks_something_names_the_remedy(path, statement):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
    with closing(sqlite3.connect(path / "bank.db", isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(ManifestError, match=r"DiskBank\.rebuild"):
        DiskBank(path)


def test_a_state_that_was_not_committed_is_never_seen(path):
    """Another writer reaches the same version meanwhile."""
    with DiskBank(path, 4) as bank, DiskBank(path) as other:
        bank.append(random_rows(3))

        def append_and_fail():
            with bank._manifest.writing():
                bank.append(random_rows(5, seed=1))
                assert len(bank) == 8
                raise RuntimeError("on the way")

        with pytest.raises(RuntimeError, match="on the way"):
            append_and_fail()
        other.append(random_rows(5, seed=2))
        assert bank.version == other.version
        assert torch.equal(bank.get(torch.arange(3, 8)).patterns, random_rows(5, seed=2))
        assert len(bank.lost()) == 0


def test_a_bank_that_is_closed_waits_for_who_works_on_it(path):
    bank = DiskBank(path, 4)
    begun, done = threading.Event(), threading.Event()

    def write():
        with bank._manifest.writing():
            begun.set()
            done.wait(0.2)
            bank.append(random_rows(3))

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    bank.close()
    thread.join()
    with DiskBank(path) as again:
        assert len(again) == 3


def test_lengths_of_rows_are_kept_only_while_their_segment_is_there(path):
    with patch.object(segments, "SEGMENT_BYTES", 256), DiskBank(path, 4) as bank:
        bank.append(random_rows(40))
        for _ in range(3):
            list(bank.blocks(64))
            bank.update(torch.tensor([0, 20]), torch.ones(2, 4))
        assert all(block.norms is not None for block in bank.blocks(64))
        assert set(bank._norms._kept) == {segment.number for segment in bank._manifest.snapshot().segments}
