"""Banks whose manifest is damaged or gone."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest
import torch
from bank.random_rows import random_rows
from safetensors.torch import load_file

from attractor.bank import DiskBank
from attractor.bank.database import ManifestError
from attractor.bank.manifest import FILE
from attractor.bank.segments import HEADER_BYTES

pytestmark = pytest.mark.usefixtures("small_segments")


def remove_manifest(path):
    for file in path.glob(f"{FILE}*"):
        file.unlink()


def fill(path):
    """A bank with values, gaps between ids, names, and rows forgotten since the last compaction; what it holds."""
    with DiskBank(path, 4) as bank:
        bank.append(
            random_rows(30), random_rows(30, 2, seed=1), [{"name": f"row {one}"} if one % 5 == 0 else None for one in range(30)]
        )
        bank.forget(torch.arange(0, 30, 3))
        bank.compact()
        bank.append(random_rows(9, seed=2), random_rows(9, 2, seed=3))
        bank.forget(torch.tensor([4, 33]))
        return bank.get(bank.ids()), bank.ids().tolist()


def check_rows(bank, block):
    found = bank.get(block.ids)
    assert torch.equal(found.patterns, block.patterns)
    assert torch.equal(found.values, block.values)
    assert len(bank.lost()) == 0


def test_a_manifest_that_is_gone_is_made_anew_under_the_same_ids(path):
    block, ids = fill(path)
    remove_manifest(path)
    for dim in (None, 4):
        with pytest.raises(ManifestError, match=r"missing.*DiskBank\.rebuild"):
            DiskBank(path, dim)
    done = DiskBank.rebuild(path)
    assert done.rows == len(ids) + 2
    assert [one.split()[0] for one in done.lost] == ["names", "which", "checksums"]
    with DiskBank(path) as bank:
        assert bank.ids().tolist() == sorted([*ids, 4, 33])
        check_rows(bank, block)
        assert bank.append(random_rows(1), random_rows(1, 2)).tolist() == [39]
        assert bank.named("row 5").tolist() == []
    assert not (path / "rebuilt").exists()


def test_what_the_old_manifest_still_says_is_kept(path):
    block, ids = fill(path)
    with closing(sqlite3.connect(path / FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE segments SET rows = rows + 1 WHERE number = (SELECT max(number) FROM segments)")
        connection.execute("UPDATE metadata SET entry = '{}' WHERE id = 10")
    with pytest.raises(ManifestError, match="record of segment"):
        DiskBank(path)
    done = DiskBank.rebuild(path)
    assert done.rows == len(ids)
    assert len(done.lost) == 2 and done.lost[0].startswith("names") and "checksums of segments [" in done.lost[1]
    with DiskBank(path) as bank:
        assert bank.ids().tolist() == ids
        assert bank.named("row 5").tolist() == [5]
        assert bank.metadata(torch.tensor([10])) == [None]
        check_rows(bank, block)
    with closing(sqlite3.connect(path / f"{FILE}.damaged")) as connection:
        assert connection.execute("SELECT entry FROM metadata WHERE id = 10").fetchone() == ("{}",)


@pytest.mark.parametrize("seed", range(2))
def test_no_damage_of_a_manifest_costs_a_row(path, tmp_path, seed):
    draw = random.Random(seed)
    block, ids = fill(path)
    told = 0
    for _ in range(12):
        copy = tmp_path / "copy"
        shutil.copytree(path, copy)
        content = bytearray((copy / FILE).read_bytes())
        start = draw.randrange(len(content))
        stop = start + draw.choice([1, 100, 5000])
        content[start:stop] = draw.randbytes(len(content[start:stop]))
        (copy / FILE).write_bytes(content[: draw.choice([len(content), len(content) // 2])])
        try:
            done = DiskBank.rebuild(copy)
            told += len(done.lost)
        except ValueError as error:
            left_alone = str(error)
            assert "is whole" in left_alone or "format" in left_alone
            shutil.rmtree(copy)
            continue
        with DiskBank(copy) as bank:
            assert set(ids) <= set(bank.ids().tolist())
            check_rows(bank, block)
        shutil.rmtree(copy)
    assert told > 0


def test_a_log_that_was_left_behind_is_not_taken_for_that_of_the_new_manifest(path):
    block, _ = fill(path)
    with DiskBank(path) as bank:
        bank.append(random_rows(3, seed=5), random_rows(3, 2, seed=6), [{"name": "late"}] * 3)
        logs = {file.name: file.read_bytes() for file in path.glob(f"{FILE}-*")}
        assert logs[f"{FILE}-wal"]
    remove_manifest(path)
    for name, content in logs.items():
        (path / name).write_bytes(content)
    DiskBank.rebuild(path)
    assert not (path / f"{FILE}-wal").exists()
    with DiskBank(path) as bank:
        check_rows(bank, block)
        assert bank.named("late").tolist() == []


def test_of_an_update_cut_short_the_newer_segment_counts(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(20))
        old = path / "segment-000001.safetensors"
        shutil.copy(old, path / "kept")
        bank.update(torch.tensor([3]), torch.ones(1, 4))
        shutil.move(path / "kept", old)
    remove_manifest(path)
    assert DiskBank.rebuild(path).rows == 20
    with DiskBank(path) as bank:
        expected = random_rows(20)
        expected[3] = 1
        assert torch.equal(bank.get(torch.arange(20)).patterns, expected)
        bank.compact()
    assert not old.exists()


def test_of_a_compaction_cut_short_no_row_is_lost_or_doubled(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(40))
        bank.forget(torch.arange(2, 40, 2))
        live = bank.ids()
        shutil.copytree(path, path.parent / "before")
        bank.compact()
    names = {file.name for file in path.glob("segment-*")}
    first = min(names - {file.name for file in (path.parent / "before").iterdir()})
    for file in (path.parent / "before").glob("segment-*"):
        shutil.copy(file, path / file.name)
    for name in names - {first}:
        if not (path.parent / "before" / name).exists():
            (path / name).unlink()  # as if it had not been written yet
    remove_manifest(path)
    DiskBank.rebuild(path)
    with DiskBank(path) as bank:
        assert set(live.tolist()) <= set(bank.ids().tolist())
        assert len(bank) == len(set(bank.ids().tolist()))
        assert torch.equal(bank.get(bank.ids()).patterns, random_rows(40)[bank.ids()])
        held = load_file(path / first)["ids"]
        assert [one for one in bank.ids().tolist() if int(held[0]) <= one <= int(held[-1])] == held.tolist()


def test_segments_that_cannot_be_read_are_named_and_old_ones_are_counted(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(40))
    remove_manifest(path)
    second, third = path / "segment-000002.safetensors", path / "segment-000003.safetensors"
    content = second.read_bytes()
    second.write_bytes(b"x" * HEADER_BYTES + content[HEADER_BYTES:])
    page = third.read_bytes()[:HEADER_BYTES]
    start = page.index(b', "__metadata__"')
    old = (page[:start] + b"}").ljust(HEADER_BYTES)
    third.write_bytes(old + third.read_bytes()[HEADER_BYTES:])
    done = DiskBank.rebuild(path)
    assert done.rows == 24
    assert [one for one in done.lost if "[2]" in one] == ["segments that cannot be read: [2]"]
    assert any(one.startswith("the ids: segments [3]") for one in done.lost)


def test_a_whole_manifest_a_newer_one_and_a_folder_without_segments_are_left_alone(path, tmp_path):
    fill(path)
    before = (path / FILE).read_bytes()
    with pytest.raises(ValueError, match="is whole"):
        DiskBank.rebuild(path)
    assert (path / FILE).read_bytes() == before
    with closing(sqlite3.connect(path / FILE, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(ValueError, match="format 3"):
        DiskBank.rebuild(path)
    with pytest.raises(ValueError, match="none in"):
        DiskBank.rebuild(tmp_path)


def test_an_empty_manifest_beside_segments_is_not_taken_for_a_new_bank(path):
    block, _ = fill(path)
    (path / FILE).write_bytes(b"")
    with pytest.raises(ManifestError, match="empty"):
        DiskBank(path, 4)
    DiskBank.rebuild(path)
    with DiskBank(path) as bank:
        check_rows(bank, block)
