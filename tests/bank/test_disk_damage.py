"""Files that are cut, changed or of an older format, and disks that are full."""

import json
import os
import random
import shutil
import sqlite3
import warnings
from contextlib import closing
from unittest.mock import patch

import numpy as np
import pytest
import torch
from bank.random_rows import random_rows

from attractor.bank import DiskBank, segments
from attractor.bank.segments import HEADER_BYTES, SegmentError
from attractor.errors import AttractorWarning

DIM = 4096
"""Rows of 16 KB, of which a handful share a checksum."""


def flip(file, bit):
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


@pytest.mark.parametrize("values", [False, True])
def test_a_bit_that_flipped_is_found_and_the_rest_is_readable(path, values):
    beside = random_rows(20, 3, seed=1) if values else None
    with DiskBank(path, DIM) as bank:
        for row in range(20):  # checksums grow row by row
            bank.append(random_rows(20, DIM)[row : row + 1], None if beside is None else beside[row : row + 1])
    name = "segment-000001.values.safetensors" if values else "segment-000001.safetensors"
    row_bytes = 12 if values else 4 * DIM
    together = segments.CHECKED_BYTES // (4 * DIM + (12 if values else 0))
    flip(path / name, 8 * (HEADER_BYTES + 13 * row_bytes) + 5)
    first = 13 // together * together
    lost = list(range(first, first + together))
    kept = torch.tensor([one for one in range(20) if one not in lost])
    with DiskBank(path) as bank:
        with pytest.raises(SegmentError, match="segment-000001"):
            bank.get(torch.tensor([0, 13]))
        assert torch.equal(bank.get(kept).patterns, random_rows(20, DIM)[kept])
        kept = kept[1:]
        with pytest.raises(SegmentError, match=str(lost)[1:-1]):
            list(bank.blocks(5))
        with pytest.raises(SegmentError):
            bank.update(torch.tensor([0]), torch.ones(1, DIM))
        bank.forget(torch.tensor([0]))
        with pytest.raises(SegmentError):
            bank.compact()
        assert bank.lost().tolist() == lost
        bank.forget(bank.lost())
        assert torch.equal(torch.cat([block.patterns for block in bank.blocks(5)]), random_rows(20, DIM)[kept])
        bank.compact()
        assert torch.equal(bank.get(kept).patterns, random_rows(20, DIM)[kept])
        assert len(bank.lost()) == 0


def test_what_was_sound_once_is_looked_at_again_when_asked(path):
    with DiskBank(path, DIM) as bank:
        bank.append(random_rows(8, DIM))
        list(bank.blocks(8))
        flip(path / "segment-000001.safetensors", 8 * (HEADER_BYTES + 100))
        list(bank.blocks(8))
        assert len(bank.lost()) > 0
        with pytest.raises(SegmentError):
            list(bank.blocks(8))


def test_a_damaged_row_that_is_forgotten_harms_nobody(path):
    with DiskBank(path, DIM) as bank:
        bank.append(random_rows(8, DIM))
        together = segments.CHECKED_BYTES // (4 * DIM)
        bank.forget(torch.arange(together))
    flip(path / "segment-000001.safetensors", 8 * HEADER_BYTES)
    with DiskBank(path) as bank:
        assert len(bank.lost()) == 0
        bank.update(torch.tensor([7]), torch.ones(1, DIM))
        assert torch.equal(bank.get(torch.tensor([6])).patterns, random_rows(8, DIM)[6:7])


def whatever_reads(path, original):
    """Read all of a bank; whatever it gives must be as it was. Returns whether damage was told."""
    try:
        with warnings.catch_warnings(), DiskBank(path) as bank:
            warnings.simplefilter("error", AttractorWarning)
            ids = bank.ids()
            found = {int(one): row.tolist() for block in bank.blocks(4) for one, row in zip(block.ids, block.patterns, strict=True)}
            found |= {f"metadata {one}": bank.metadata(torch.tensor([one]))[0] for one in ids.tolist()}
            named = bank.named("row 3").tolist()
            assert found == original, "damage went unnoticed"
            assert named == [3]
            bank.lost()
    except (ValueError, OSError, AttractorWarning):
        return True
    return False


@pytest.mark.parametrize("seed", range(3))
def test_no_flipped_bit_in_any_file_goes_unnoticed_where_it_matters(path, tmp_path, seed):
    draw = random.Random(seed)
    with patch.object(segments, "SEGMENT_BYTES", 256):
        with DiskBank(path, 4) as bank:
            bank.append(random_rows(60, 4), metadata=[{"name": f"row {one}"} if one % 3 == 0 else None for one in range(60)])
            bank.forget(torch.arange(5, 60, 9))
            bank.append(random_rows(3, 4, seed=1))
            live = bank.get(bank.ids())
            original = {int(one): row.tolist() for one, row in zip(live.ids, live.patterns, strict=True)}
            original |= {f"metadata {one}": entry for one, entry in zip(live.ids.tolist(), bank.metadata(live.ids), strict=True)}
        told = 0
        for _ in range(60):
            copy = tmp_path / "copy"
            shutil.copytree(path, copy)
            file = draw.choice(sorted(copy.iterdir()) + [copy / "bank.db"] * 8)
            flip(file, draw.randrange(8 * file.stat().st_size))
            told += whatever_reads(copy, original)
            shutil.rmtree(copy)
        assert told > 0
        for file in sorted(path.iterdir()):
            for size in (0, 100, file.stat().st_size // 2, file.stat().st_size - 1):
                shutil.copytree(path, copy)
                os.truncate(copy / file.name, size)
                noticed = whatever_reads(copy, original)
                assert noticed or file.name == "bank.db", (file.name, size)  # the end of a manifest may be unused
                shutil.rmtree(copy)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE segments SET first_id = 1", "segment 1"),
        ("UPDATE segments SET rows = rows - 1", "segment 1"),
        ("UPDATE bank SET next_id = 2", "record"),
        ("UPDATE tombstones SET id = 3", "forgotten"),
        ("DELETE FROM tombstones", "forgotten"),
    ],
)
def test_a_changed_manifest_is_refused(path, statement, named):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(5, 4))
        bank.forget(torch.tensor([2]))
    with closing(sqlite3.connect(path / "bank.db", isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(ValueError, match=f"damaged.*{named}"):
        DiskBank(path)


def test_damaged_metadata_is_told_by_id_and_the_others_are_given(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3, 4), metadata=[{"x": 1}, {"x": 2}, None])
    with closing(sqlite3.connect(path / "bank.db", isolation_level=None)) as connection:
        connection.execute("UPDATE metadata SET entry = '{\"x\": 3}' WHERE id = 1")
    with DiskBank(path) as bank:
        assert bank.metadata(torch.tensor([0, 2])) == [{"x": 1}, None]
        with pytest.raises(ValueError, match="id 1"):
            bank.metadata(torch.tensor([1]))
        with pytest.raises(ValueError, match="id 1"):
            bank.lost()


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_changes_nothing(path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DiskBank(path, 64) as bank:
        bank.append(random_rows(10, 64))
        bank.append(random_rows(10, 64, seed=1), metadata=[{"name": "kept"}] * 10)
        before, version = bank.get(bank.ids()).patterns, bank.version
        changes = [
            lambda: bank.append(random_rows(2000, 64), metadata=[{"note": "x" * 200}] * 2000),
            lambda: bank.update(torch.tensor([3, 12]), torch.ones(2, 64)),
            lambda: (bank.forget(torch.tensor([4])), bank.compact()),
        ]
        refused = 0
        for limit in (1, 4096, 6000, 30_000, 60_000, 200_000, 400_000):
            for change in changes[: 3 if limit < 6000 else 1]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
                try:
                    with pytest.raises(OSError):
                        change()
                    refused += 1
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                if len(bank) == 20:
                    assert torch.equal(bank.get(bank.ids()).patterns, before)
                    assert bank.version == version
        assert refused == 11
        assert bank.append(random_rows(1, 64)).tolist() == [20]
        assert len(bank.lost()) == 0


FORMAT_1 = (
    "CREATE TABLE bank (dim INTEGER NOT NULL, dtype TEXT, value_dim INTEGER, next_id INTEGER NOT NULL,"
    " next_segment INTEGER NOT NULL, version INTEGER NOT NULL, forgot_at INTEGER NOT NULL)",
    "CREATE TABLE segments (number INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, rows INTEGER NOT NULL, ids BLOB)",
    "CREATE TABLE metadata (id INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE tombstones (id INTEGER PRIMARY KEY)",
    "PRAGMA application_id = 1635021938",
    "PRAGMA user_version = 1",
)


def write_format_1(path, patterns, values):
    """A bank as format 1 wrote it: two segments, the second with gaps in its ids, two rows forgotten."""
    path.mkdir()
    ids = np.array([9, 11, 12, 15], "<i8")
    connection = sqlite3.connect(path / "bank.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in FORMAT_1:
        connection.execute(statement)
    connection.execute("INSERT INTO bank VALUES (?, 'F32', ?, 17, 3, 6, 5)", (patterns.shape[1], values.shape[1]))
    connection.execute("INSERT INTO segments VALUES (1, 0, 6, NULL), (2, 9, 4, ?)", (ids.tobytes(),))
    connection.execute("INSERT INTO metadata VALUES (2, ?), (11, ?)", (json.dumps({"name": "two"}), json.dumps({"name": 2})))
    connection.execute("INSERT INTO tombstones VALUES (1), (12)")
    connection.close()
    for number, part in ((1, slice(0, 6)), (2, slice(6, 10))):
        for name, tensor, ending in (("patterns", patterns, ""), ("values", values, ".values")):
            rows = tensor[part].numpy()
            entry = {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}
            page = (HEADER_BYTES - 8).to_bytes(8, "little") + json.dumps({name: entry}).encode()
            content = page.ljust(HEADER_BYTES) + rows.tobytes()
            (path / f"segment-{number:06d}{ending}.safetensors").write_bytes(content)


def test_a_bank_of_format_1_is_read_and_written_on(path):
    patterns, values = random_rows(10, 4), random_rows(10, 2, seed=1)
    write_format_1(path, patterns, values)
    for _ in range(2):
        with DiskBank(path, 4) as bank:
            assert bank.ids().tolist() == [0, 2, 3, 4, 5, 9, 11, 15]
            block = bank.get(bank.ids())
            kept = torch.tensor([0, 2, 3, 4, 5, 6, 7, 9])
            assert torch.equal(block.patterns, patterns[kept])
            assert torch.equal(block.values, values[kept])
            assert (bank.version, bank.named("two").tolist()) == (6, [2])
            assert bank.metadata(torch.tensor([2, 11, 3])) == [{"name": "two"}, {"name": 2}, None]
            assert len(bank.lost()) == 0
    with DiskBank(path) as bank:
        assert bank.append(patterns[:1], values[:1]).tolist() == [17]
        bank.compact()
        assert torch.equal(bank.get(torch.tensor([9, 17])).patterns, patterns[[6, 0]])
    flip(next(path.glob("segment-*[0-9].safetensors")), 8 * HEADER_BYTES)
    with DiskBank(path) as bank:
        assert len(bank.lost()) > 0


def test_a_damaged_bank_of_format_1_keeps_what_it_has(path):
    patterns, values = random_rows(10, 4), random_rows(10, 2, seed=1)
    write_format_1(path, patterns, values)
    os.truncate(path / "segment-000001.values.safetensors", HEADER_BYTES + 3 * 8)
    with pytest.warns(AttractorWarning, match=r"\[3, 4, 5\]"):
        bank = DiskBank(path)
    with bank:
        assert bank.lost().tolist() == [3, 4, 5]
        assert torch.equal(bank.get(torch.tensor([0, 2, 9])).patterns, patterns[[0, 2, 6]])
