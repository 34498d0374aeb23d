import json
import multiprocessing
import os
import sqlite3
import tempfile
import threading
import warnings
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from bank.random_rows import random_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from attractor.bank import RamBank, database, segments, store
from attractor.bank.disk import DiskBank
from attractor.errors import AttractorWarning
from attractor.read import Read, separation_from, similarity_from

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SEPARATIONS = [
    {"name": "softmax", "beta": 2.0},
    {"name": "top-k", "k": 5, "beta": 2.0},
    {"name": "sparsemax", "beta": 1.0},
    {"name": "polynomial", "n": 3},
]


def contents(bank, rows=5):
    """Ids, patterns and values as a scan gives them."""
    blocks = list(bank.blocks(rows))
    assert all(0 < len(block) <= rows for block in blocks)
    return {
        int(one): (pattern.tolist(), None if block.values is None else value.tolist())
        for block in blocks
        for one, pattern, value in zip(
            block.ids, block.patterns, block.patterns if block.values is None else block.values, strict=True
        )
    }


def manifest_of(path):
    return sqlite3.connect(path / "bank.db", isolation_level=None)


def lock_as_another_process(path, locked, release):
    connection = manifest_of(path)
    connection.execute("BEGIN IMMEDIATE")
    locked.set()
    release.wait(30)
    connection.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 40)),
        st.tuples(st.just("forget"), st.floats(0, 1)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("refuse"), st.none()),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=12)
@given(steps, st.sampled_from(DTYPES), st.booleans(), st.sampled_from([1, 256, 2048, 2**26]), st.integers(0, 2**16))
def test_a_bank_on_disk_equals_one_in_memory(steps, dtype, with_values, segment_bytes, seed):
    generator = torch.Generator().manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder, patch.object(segments, "SEGMENT_BYTES", segment_bytes):
        path, twin = Path(folder, "bank"), RamBank(4, screen=False)
        bank = DiskBank(path, 4)
        other = DiskBank(path)  # reads what `bank` writes
        for verb, argument in steps:
            version = bank.version
            if verb == "append":
                patterns = torch.randn(argument, 4, generator=generator).to(dtype)
                values = torch.randn(argument, 3, generator=generator).to(dtype) if with_values else None
                metadata = [{"row": i} if i % 2 else None for i in range(argument)]
                assert torch.equal(bank.append(patterns, values, metadata), twin.append(patterns, values, metadata))
                assert bank.version > version
            elif verb == "forget":
                drawn = twin.ids()[torch.rand(len(twin), generator=generator) < argument]
                bank.forget(drawn)
                twin.forget(drawn)
                assert bank.version > version or not len(drawn)
            elif verb == "compact":
                bank.compact()
                twin.compact()
            elif verb == "reopen":
                bank.close()
                bank = DiskBank(path)
            else:
                with pytest.raises(ValueError, match="finite"):
                    bank.append(torch.full((2, 4), torch.nan, dtype=dtype))
                assert bank.version == version
            assert len(bank) == len(other) == len(twin)
            assert bank.version == other.version
        for one in (bank, other):
            assert torch.equal(one.ids(), twin.ids())
            assert contents(one) == contents(twin)
            assert one.metadata(twin.ids()) == twin.metadata(twin.ids())
            shuffled = twin.ids()[torch.randperm(len(twin), generator=generator)]
            assert torch.equal(one.get(shuffled).patterns, twin.get(shuffled).patterns) or not len(twin)
            assert (one.dtype, one.value_dim) == (twin.dtype, twin.value_dim)
        bank.close()
        other.close()


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("separation", SEPARATIONS, ids=lambda settings: settings["name"])
def test_a_read_over_disk_equals_one_over_memory(path, separation):
    similarity = similarity_from({"name": "dot" if separation["name"] == "polynomial" else "euclidean"})
    patterns, values, cues = (rows.double() for rows in (random_rows(300), random_rows(300, 3, seed=1), random_rows(6, seed=2)))
    gone = torch.arange(0, 300, 7)
    twin = RamBank(4, screen=False)
    with DiskBank(path, 4) as bank:
        for one in (bank, twin):
            one.append(patterns, values)
            one.forget(gone)
        for project in ("patterns", "values"):
            read = Read(similarity, separation_from(separation), cues, project=project)
            found, expected = (read.finish(one.fold(read)) for one in (bank, twin))
            torch.testing.assert_close(found.values, expected.values, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(found.potential, expected.potential, rtol=1e-9, atol=1e-9)
            assert torch.equal(found.ids, expected.ids)


def test_large_appends_without_metadata_take_few_statements(path):
    with DiskBank(path, 4) as bank:
        statements = []
        bank._manifest._database._connection.set_trace_callback(statements.append)
        bank.append(random_rows(10_000))
        assert len(statements) < 50


def test_ids_are_never_given_again(path):
    with DiskBank(path, 4) as bank:
        bank.forget(bank.append(random_rows(5)))
        bank.compact()
    with DiskBank(path) as bank:
        assert len(bank) == 0
        assert bank.append(random_rows(2)).tolist() == [5, 6]
        with pytest.raises(ValueError, match="unknown: \\[0\\]"):
            bank.get(torch.tensor([0]))


@pytest.mark.usefixtures("small_segments")
def test_compact_erases_what_was_forgotten(path):
    secret = torch.full((1, 4), 1234.5)
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(40))
        ids = bank.append(secret, metadata=[{"name": "a secret name"}])
        bank.append(random_rows(40))
        before = contents(bank)
        bank.forget(ids)
        assert any(secret.numpy().tobytes() in file.read_bytes() for file in path.iterdir())
        bank.compact()
        for file in path.iterdir():
            assert secret.numpy().tobytes() not in file.read_bytes(), file
            assert b"a secret name" not in file.read_bytes(), file
        del before[int(ids)]
        assert contents(bank) == before


@pytest.mark.usefixtures("small_segments")
def test_compact_joins_short_segments_and_leaves_full_ones(path):
    with DiskBank(path, 4) as bank:
        ids = bank.append(random_rows(160))
        full = {file: file.stat().st_mtime_ns for file in path.glob("*.safetensors")}
        assert len(full) == 10
        bank.forget(ids[16:80:2])
        before = contents(bank)
        bank.compact()
        assert contents(bank) == before
        left = {file: file.stat().st_mtime_ns for file in path.glob("*.safetensors")}
        assert len(left) == 8
        assert sum(left.get(file) == time for file, time in full.items()) == 6
        version = bank.version
        bank.compact()
        assert bank.version == version


@pytest.mark.usefixtures("small_segments")
def test_a_reader_keeps_its_state_while_another_writer_compacts(path):
    with DiskBank(path, 4) as bank, DiskBank(path) as reader:
        ids = bank.append(random_rows(64))
        before = contents(bank)
        reading = reader.blocks(8)
        seen = [next(reading)]
        bank.forget(ids[::2])
        bank.compact()
        seen += list(reading)
        assert {
            int(one): (row.tolist(), None) for block in seen for one, row in zip(block.ids, block.patterns, strict=True)
        } == before
        assert torch.equal(torch.cat([block.ids for block in reader.blocks(8)]), ids[1::2])


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("verb", ["get", "blocks"])
def test_a_read_that_a_compaction_overtakes_starts_again(path, verb):
    with patch.object(database, "SECONDS_TO_WAIT", 0.05), DiskBank(path, 4) as bank, DiskBank(path) as reader:
        ids = bank.append(random_rows(64))
        bank.forget(ids[::2])
        files_then = reader._store.folder.rows

        def overtaken(*arguments):
            reader._store.folder.rows = files_then
            bank.compact()
            return files_then(*arguments)

        reader._store.folder.rows = overtaken
        found = reader.get(ids[1::2]).patterns if verb == "get" else torch.cat([block.patterns for block in reader.blocks(8)])
        assert torch.equal(found, random_rows(64)[1::2])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_segments_are_safetensors_files(path, dtype):
    patterns, values = random_rows(9, dtype=dtype), random_rows(9, 2, dtype)
    with DiskBank(path, 4) as bank:
        bank.append(patterns[:4], values[:4])
        bank.append(patterns[4:], values[4:])
        assert torch.equal(load_file(path / "segment-000001.safetensors")["patterns"], patterns)
        assert torch.equal(load_file(path / "segment-000001.values.safetensors")["values"], values)


def test_blocks_are_views_of_the_file_and_private(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(9))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            first, second = bank.blocks(5)
        assert first.patterns.untyped_storage().data_ptr() == second.patterns.untyped_storage().data_ptr()
        first.patterns.zero_()
        assert torch.equal(bank.get(torch.arange(9)).patterns, random_rows(9))


def test_rows_that_are_no_plain_matrix_are_stored_right(path):
    rows = random_rows(4, 6)
    with DiskBank(path, 4) as bank:
        bank.append(rows.T)
        bank.append(torch.nn.Parameter(rows[:, :4]))
        bank.append(rows[:1, :4].expand(3, 4))
        expected = torch.cat([rows.T, rows[:, :4], rows[:1, :4].expand(3, 4)])
        assert torch.equal(bank.get(bank.ids()).patterns, expected)


# what a crash leaves behind


@pytest.mark.parametrize("garbage", [b"\xff", b"\x7f" * 1000])
def test_a_torn_tail_is_ignored_and_written_over(path, garbage):
    file = path / "segment-000001.safetensors"
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
    with file.open("r+b") as handle:
        handle.write(b"{torn header")
        handle.seek(0, os.SEEK_END)
        handle.write(garbage)
    with DiskBank(path) as bank:
        assert torch.equal(bank.get(bank.ids()).patterns, random_rows(3))
        assert bank.append(random_rows(2, seed=1)).tolist() == [3, 4]
        assert torch.equal(bank.get(bank.ids()).patterns, torch.cat([random_rows(3), random_rows(2, seed=1)]))
    assert len(load_file(file)["patterns"]) == 5


def test_a_failing_disk_changes_nothing(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
        version, before = bank.version, contents(bank)
        with (
            patch.object(segments.os, "fsync", side_effect=OSError(28, "No space left on device")),
            pytest.raises(OSError, match="space"),
        ):
            bank.append(random_rows(50, seed=1))
        assert (bank.version, contents(bank)) == (version, before)
        assert bank.append(random_rows(2, seed=2)).tolist() == [3, 4]
        assert torch.equal(bank.get(torch.tensor([3, 4])).patterns, random_rows(2, seed=2))


@pytest.mark.usefixtures("small_segments")
def test_files_of_an_unfinished_write_are_swept_away(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(20))
        orphan = path / "segment-000077.values.safetensors"
        orphan.write_bytes(b"left behind")
        before = contents(bank)
        bank.compact()
        assert not orphan.exists()
        assert contents(bank) == before


@pytest.mark.parametrize("left", [b"", None])
def test_an_unfinished_creation_is_finished(path, left):
    path.mkdir()
    if left is not None:
        (path / "bank.db").write_bytes(left)
    with pytest.raises(ValueError, match="give dim"):
        DiskBank(path)
    with DiskBank(path, 4) as bank:
        assert len(bank) == 0


# damage


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("how", ["truncated", "removed", "emptied", "values truncated"])
def test_damage_is_named_and_the_rest_is_readable(path, how):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(20), random_rows(20))  # 8 rows a segment
        whole = bank.get(bank.ids())
    file = path / ("segment-000002.values.safetensors" if how == "values truncated" else "segment-000002.safetensors")
    if how == "removed":
        file.unlink()
    else:
        os.truncate(file, 10 if how == "emptied" else segments.HEADER_BYTES + 3 * 16 + 5)
    lost = list(range(8, 16)) if how in ("removed", "emptied") else list(range(11, 16))
    with pytest.warns(AttractorWarning, match=str(lost)[1:10]):
        bank = DiskBank(path)
    with bank:
        assert bank.lost().tolist() == lost
        with pytest.raises(ValueError, match="segment-000002"):
            list(bank.blocks(5))
        with pytest.raises(ValueError, match="segment-000002"):
            bank.get(torch.tensor([3, 15]))
        bank.forget(torch.tensor([15]))
        with pytest.raises(ValueError, match="segment-000002"):
            bank.compact()
        kept = torch.tensor([one for one in range(20) if one not in lost])
        assert torch.equal(bank.get(kept).values, whole.values[kept])
        bank.forget(bank.lost())
        assert sorted(contents(bank)) == kept.tolist()
        bank.compact()
        assert torch.equal(bank.get(kept).patterns, whole.patterns[kept])
        assert torch.equal(bank.get(kept).values, whole.values[kept])
        assert bank.append(random_rows(1), random_rows(1)).tolist() == [20]


def test_rows_after_damage_go_to_a_new_file(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(6))
    os.truncate(path / "segment-000001.safetensors", segments.HEADER_BYTES + 16)
    with pytest.warns(AttractorWarning):
        bank = DiskBank(path)
    with bank:
        ids = bank.append(random_rows(2, seed=1))
        assert torch.equal(bank.get(ids).patterns, random_rows(2, seed=1))
        assert bank.lost().tolist() == [1, 2, 3, 4, 5]


# who may write


def test_a_second_writer_is_refused_while_readers_go_on(path):
    context = multiprocessing.get_context("spawn") if os.name != "posix" else multiprocessing.get_context("fork")
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(3))
    locked, release = context.Event(), context.Event()
    process = context.Process(target=lock_as_another_process, args=(path, locked, release))
    process.start()
    try:
        assert locked.wait(30)
        with patch.object(database, "SECONDS_TO_WAIT", 0.05), DiskBank(path) as bank:
            for change in (lambda: bank.append(random_rows(1)), lambda: bank.forget(torch.tensor([0])), bank.compact):
                with pytest.raises(TimeoutError, match="written by another"):
                    change()
            assert sorted(contents(bank)) == [0, 1, 2]
    finally:
        release.set()
        process.join()
    with DiskBank(path) as bank:
        assert bank.append(random_rows(1)).tolist() == [3]


def test_writers_that_take_turns_share_the_ids(path):
    with DiskBank(path, 4) as first, DiskBank(path, 4) as second:
        assert first.append(random_rows(2)).tolist() == [0, 1]
        assert second.append(random_rows(2, seed=1)).tolist() == [2, 3]
        with pytest.raises(ValueError, match="float32"):
            second.append(random_rows(2).double())
        first.forget(torch.tensor([2]))
        assert first.append(random_rows(2, seed=2)).tolist() == [4, 5]
        for bank in (first, second):
            assert torch.equal(bank.get(torch.tensor([3])).patterns, random_rows(2, seed=1)[1:])
            assert bank.ids().tolist() == [0, 1, 3, 4, 5]


def test_threads_may_share_a_bank(path):
    given = []

    def append_a_few():
        for _ in range(4):
            given.extend(bank.append(random_rows(3)).tolist())

    with DiskBank(path, 4) as bank:
        threads = [threading.Thread(target=append_a_few) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(given) == list(range(48))
        assert len(contents(bank)) == 48


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_forked_process_must_open_the_bank_again(path):
    with DiskBank(path, 4) as bank, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        bank.append(random_rows(3))
        child = os.fork()
        if child == 0:
            try:
                len(bank)
            except RuntimeError as error:
                bank.close()
                os._exit(7 if "fork" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert bank.append(random_rows(1)).tolist() == [3]


# what is refused


def bad_metadata():
    loop = {}
    loop["self"] = loop
    return [
        ({"when": object()}, TypeError),
        ("a name", TypeError),
        ({"x": float("nan")}, ValueError),
        ({"x": (1, 2)}, ValueError),
        ({1: "x"}, ValueError),
        (loop, ValueError),
        ({"x": "y" * store.LARGEST_ENTRY}, ValueError),
        ({"x": torch.ones(2)}, TypeError),
    ]


@pytest.mark.parametrize(("entry", "error"), bad_metadata(), ids=lambda value: str(value)[:20])
def test_bad_metadata_is_refused_by_row_and_nothing_is_stored(path, entry, error):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(1), metadata=[{"name": "ü\ud800", "deep": {"list": [1, None, 2.5]}}])
        version = bank.version
        with pytest.raises(error, match=r"metadata\[1\]"):
            bank.append(random_rows(3), metadata=[{"fine": True}, entry, None])
        assert (len(bank), bank.version) == (1, version)
        assert bank.metadata(torch.tensor([0])) == [{"name": "ü\ud800", "deep": {"list": [1, None, 2.5]}}]


def test_another_width_is_refused_with_both(path):
    DiskBank(path, 4).close()
    with pytest.raises(ValueError, match=r"4, got 5"):
        DiskBank(path, 5)


def test_a_missing_bank_is_not_made_without_dim(path):
    with pytest.raises(ValueError, match="give dim"):
        DiskBank(path)
    assert not path.exists()


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, "4"])
def test_a_useless_dim_is_refused_and_nothing_is_made(path, dim):
    with pytest.raises((ValueError, TypeError), match="dim"):
        DiskBank(path, dim)
    assert not path.exists()


def test_a_path_that_holds_something_else_is_refused_and_left_alone(tmp_path):
    file, folder, other, text = (tmp_path / name for name in ("file", "folder", "other", "text"))
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    other.mkdir()
    with manifest_of(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    text.mkdir()
    (text / "bank.db").write_text("no database at all, but long enough to look at" * 50)
    before = (other / "bank.db").read_bytes()
    for path, complaint in ((file, "file"), (folder, "other files"), (other, "another SQLite"), (text, "not a database")):
        for dim in (None, 4):
            with pytest.raises(ValueError, match=complaint if dim or path != folder else "no .*bank.db"):
                DiskBank(path, dim)
    assert (other / "bank.db").read_bytes() == before
    assert [one.name for one in folder.iterdir()] == ["mine.txt"]


def test_a_newer_format_is_refused(path):
    DiskBank(path, 4).close()
    with manifest_of(path) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(ValueError, match="format 3"):
        DiskBank(path)


def test_a_closed_bank_says_so(path):
    bank = DiskBank(path, 4)
    bank.append(random_rows(3))
    block = next(bank.blocks(3))
    bank.close()
    bank.close()
    with pytest.raises(ValueError, match="closed"):
        bank.append(random_rows(3))
    with pytest.raises(ValueError, match="closed"):
        len(bank)
    assert torch.equal(block.patterns, random_rows(3))


def test_a_dtype_that_is_refused_does_not_decide_the_layout(path):
    with DiskBank(path, 4) as bank:
        with pytest.raises((ValueError, TypeError), match="patterns"):
            bank.append(torch.ones(2, 4, dtype=torch.int64))
        assert (bank.dtype, bank.value_dim) == (None, None)
        bank.append(random_rows(2).double())
        assert bank.dtype == torch.float64


def test_metadata_is_json_in_the_manifest(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(2), metadata=[None, {"name": "second"}])
    with manifest_of(path) as connection:
        assert [(one, json.loads(entry)) for one, entry in connection.execute("SELECT id, entry FROM metadata")] == [
            (1, {"name": "second"})
        ]
    connection.close()
