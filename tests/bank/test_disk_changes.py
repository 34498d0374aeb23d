"""What may be done to a bank on disk, against a plain list and against a bank in memory."""

import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from bank.random_rows import random_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.bank import DiskBank, RamBank, norms, segments, store
from attractor.bank.store import RowStore
from attractor.read import Read, separation_from, similarity_from
from attractor.read.catalogue import SEPARATIONS

STREAMING = {"softmax": {"beta": 2.0}, "exponential": {"beta": 0.5}, "top-k": {"k": 5, "beta": 2.0}, "sparsemax": {"beta": 1.0}}
STREAMING |= {"entmax": {"alpha": 1.5, "beta": 1.0}, "polynomial": {"n": 3}, "rectified-polynomial": {"n": 2}, "identity": {}}


verbs = st.sampled_from(["append", "append", "forget", "update", "update metadata", "compact", "reopen", "without torch"])


@settings(max_examples=15)
@given(st.lists(verbs, min_size=1, max_size=12), st.sampled_from([1, 256, 2**26]), st.booleans(), st.integers(0, 2**16))
def test_a_bank_holds_what_a_plain_list_would(steps, segment_bytes, with_values, seed):
    draw = random.Random(seed)

    def rows_of(count):
        return [[draw.gauss(0, 1) for _ in range(3)] for _ in range(count)]

    def matrix(rows):
        return torch.tensor(rows, dtype=torch.float64)

    plain: list[list | None] = []  # by id: pattern, value, metadata; None once forgotten
    with tempfile.TemporaryDirectory() as folder, patch.object(segments, "SEGMENT_BYTES", segment_bytes):
        bank = DiskBank(Path(folder, "bank"), 3)
        for step in steps:
            alive = [one for one, row in enumerate(plain) if row is not None]
            some = draw.sample(alive, draw.randint(0, len(alive)))
            if step in ("append", "without torch"):
                patterns, values = rows_of(draw.randint(1, 30)), rows_of(30)
                notes = [draw.choice([None, {"name": f"n{draw.randint(0, 3)}"}, {"x": 1}]) for _ in patterns]
                values = values[: len(patterns)] if with_values else None
                if step == "append":
                    ids = bank.append(matrix(patterns), None if values is None else matrix(values), notes).tolist()
                else:
                    with RowStore(Path(folder, "bank")) as writer:
                        ids = writer.append(np.array(patterns), None if values is None else np.array(values), notes).tolist()
                assert ids == list(range(len(plain), len(plain) + len(patterns)))
                plain += [list(row) for row in zip(patterns, values or [None] * len(patterns), notes, strict=True)]
            elif step == "forget":
                bank.forget(torch.tensor(some, dtype=torch.int64))
                for one in some:
                    plain[one] = None
            elif step == "update" and some:
                patterns = rows_of(len(some))
                values = rows_of(len(some)) if with_values and draw.random() < 0.5 else None
                bank.update(torch.tensor(some), matrix(patterns), None if values is None else matrix(values))
                for row, one in enumerate(some):
                    plain[one][0] = patterns[row]
                    plain[one][1] = plain[one][1] if values is None else values[row]
            elif step == "update metadata" and some:
                notes = [draw.choice([None, {"name": "new"}]) for _ in some]
                bank.update(torch.tensor(some), metadata=notes)
                for one, note in zip(some, notes, strict=True):
                    plain[one][2] = note or plain[one][2]
            elif step == "compact":
                bank.compact()
            elif step == "reopen":
                bank.close()
                bank = DiskBank(Path(folder, "bank"))
        alive = [one for one, row in enumerate(plain) if row is not None]
        assert bank.ids().tolist() == alive
        assert bank.positions(torch.tensor(alive, dtype=torch.int64)).tolist() == list(range(len(alive)))
        assert bank.metadata(bank.ids()) == [plain[one][2] for one in alive]
        for name in ("n0", "n1", "n2", "n3", "new", "none"):
            assert bank.named(name).tolist() == [one for one in alive if (plain[one][2] or {}).get("name") == name]
        streamed = list(bank.blocks(7))
        assert [row for block in streamed for row in block.patterns.tolist()] == [plain[one][0] for one in alive]
        if with_values:
            assert [row for block in streamed for row in block.values.tolist()] == [plain[one][1] for one in alive]
        for block in streamed:
            torch.testing.assert_close(block.squared_norms, block.patterns.square().sum(-1))
        assert len(bank.lost()) == 0
        bank.close()


def test_every_separation_with_a_streaming_form_is_tried():
    assert set(STREAMING) == set(SEPARATIONS)


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("separation", sorted(STREAMING))
def test_a_read_over_disk_equals_one_over_memory(path, separation, masked):
    separation = separation_from({"name": separation, **STREAMING[separation]})
    twin = RamBank(4, screen=False)
    known = torch.tensor([True, True, False, True]).expand(6, 4) if masked else None
    with DiskBank(path, 4) as bank:
        for one in (bank, twin):
            one.append(random_rows(300) / 2, random_rows(300, 3, seed=1))
            one.forget(torch.arange(0, 300, 7))
        for similarity in ("euclidean", "dot", "cosine", "manhattan"):
            if similarity == "euclidean" and not separation.normalised:
                continue
            for project in ("patterns", "values"):
                read = Read(similarity_from({"name": similarity}), separation, random_rows(6, seed=2), known, project)
                found, expected = (read.finish(one.fold(read)) for one in (bank, twin))
                for one, other in ((found.values, expected.values), (found.potential, expected.potential)):
                    assert (one - other).abs().max() <= 1e-5 * other.abs().max().clamp_min(1)
                assert torch.equal(found.ids, expected.ids)


@pytest.mark.usefixtures("small_segments")
def test_norms_follow_rows_that_change_and_stay_within_their_room(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(20))
        list(bank.blocks(20))
        bank.append(random_rows(4, seed=1))
        for block in bank.blocks(64):
            torch.testing.assert_close(block.squared_norms, block.patterns.square().sum(-1))
        bank.update(torch.tensor([3, 22]), 10 * random_rows(2, seed=2))
        with patch.object(norms, "LARGEST", 16):
            again = DiskBank(path)
            for one in (bank, again):
                blocks = list(one.blocks(64))
                for block in blocks:
                    torch.testing.assert_close(block.squared_norms, block.patterns.square().sum(-1))
            assert any(block.norms is None for block in blocks)
            again.close()


@pytest.mark.usefixtures("small_segments")
def test_an_update_erases_what_was_there_and_others_see_it(path):
    secret = torch.full((1, 4), 1234.5)
    with DiskBank(path, 4) as bank, DiskBank(path) as other:
        bank.append(random_rows(20))
        ids = bank.append(secret, metadata=[{"name": "a secret name"}])
        bank.append(random_rows(20, seed=1))
        assert torch.equal(other.get(ids).patterns, secret)
        changed = other.changed_at
        bank.update(ids, torch.ones(1, 4), metadata=[{"name": "open"}])
        assert other.changed_at > changed
        assert torch.equal(other.get(ids).patterns, torch.ones(1, 4))
        assert (other.named("a secret name").tolist(), other.named("open").tolist()) == ([], ids.tolist())
        for file in path.iterdir():
            assert secret.numpy().tobytes() not in file.read_bytes(), file
            assert b"a secret name" not in file.read_bytes(), file
        assert torch.equal(other.get(torch.arange(21, 41)).patterns, random_rows(20, seed=1))


def test_an_update_that_is_refused_changes_nothing(path):
    with DiskBank(path, 4) as bank:
        bank.append(random_rows(5), metadata=[{"name": "a"}] * 5)
        version, before = bank.version, bank.get(bank.ids()).patterns
        two = torch.tensor([1, 2])
        for ids, given, message in [
            (torch.tensor([1, 9]), {"patterns": torch.ones(2, 4)}, "unknown: \\[9\\]"),
            (torch.tensor([1, 1]), {"patterns": torch.ones(2, 4)}, "repeat"),
            (two, {"patterns": torch.ones(2, 3)}, "width 4"),
            (two, {"patterns": torch.full((2, 4), torch.nan)}, "finite"),
            (two, {"patterns": torch.ones(2, 4).double()}, "float32"),
            (two, {"patterns": torch.ones(3, 4)}, "2 ids, got 3"),
            (two, {"values": torch.ones(2, 4)}, "no values"),
            (two, {"metadata": [{"x": 1}]}, "2 ids, got 1"),
            (two, {"patterns": torch.ones(2, 4), "metadata": [{"x": float("nan")}, None]}, "metadata\\[0\\]"),
        ]:
            with pytest.raises(ValueError, match=message):
                bank.update(ids, **given)
        assert bank.version == version
        assert torch.equal(bank.get(bank.ids()).patterns, before)
        assert bank.named("a").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("small_segments")
def test_readers_see_whole_states_while_one_writes(path):
    with DiskBank(path, 4) as bank, DiskBank(path) as reader:
        bank.append(torch.zeros(40, 4))
        stop, wrong = threading.Event(), []

        def read_on():
            while not stop.is_set():
                rows = torch.cat([block.patterns for block in reader.blocks(16)])
                if len(rows.unique(dim=0)) != 1 or len(rows) % 40:
                    wrong.append(rows)

        thread = threading.Thread(target=read_on)
        thread.start()
        for turn in range(1, 12):
            if turn % 4 == 0:
                ids = bank.append(torch.full((40, 4), float(turn - 1)))
                bank.forget(ids)
                bank.compact()
            bank.update(bank.ids(), torch.full((40, 4), float(turn)))
        stop.set()
        thread.join()
        assert not wrong


def test_appending_needs_no_torch(path):
    program = f"""
import sys, numpy
from attractor.bank import RowStore
with RowStore({str(path)!r}, 2) as store:
    assert store.append(numpy.ones((3, 2), "float32"), metadata=[None, None, {{"name": "last"}}]).tolist() == [0, 1, 2]
    store.compact()
with RowStore({str(path)!r}) as store:
    assert len(store) == 3
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    with DiskBank(path) as bank:
        assert torch.equal(bank.get(torch.arange(3)).patterns, torch.ones(3, 2))
        assert bank.named("last").tolist() == [2]


@pytest.mark.parametrize(
    ("patterns", "values", "metadata"),
    [
        (np.ones(3, np.float32), None, None),
        (np.ones((2, 4), np.float32), None, None),
        (np.ones((2, 3), np.int64), None, None),
        (np.full((2, 3), np.nan, np.float32), None, None),
        (np.ones((2, 3), np.float32), np.ones((3, 1), np.float32), None),
        (np.ones((2, 3), np.float32), np.ones((2, 1), np.float64), None),
        (np.ones((2, 3), np.float32), None, [{}]),
        (np.ones((2, 3), np.float64), None, None),
    ],
)
def test_the_store_refuses_what_does_not_fit(path, patterns, values, metadata):
    with RowStore(path, 3) as store:
        store.append(np.zeros((1, 3), np.float32))
        with pytest.raises(ValueError):
            store.append(patterns, values, metadata)
        assert len(store.manifest.snapshot()) == 1


def test_the_store_reads_other_byte_orders(path):
    with RowStore(path, 3) as store:
        store.append(np.arange(6, dtype=">f4").reshape(2, 3))
    with DiskBank(path) as bank:
        assert bank.get(torch.tensor([1])).patterns.tolist() == [[3.0, 4.0, 5.0]]


def test_entries_are_limited_in_size(path):
    with RowStore(path, 3) as writer, pytest.raises(ValueError, match="at most"):
        writer.append(np.zeros((1, 3), np.float32), metadata=[{"x": "y" * store.LARGEST_ENTRY}])
