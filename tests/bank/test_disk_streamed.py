"""Reads that pass rows of files through a buffer answer as those of rows in memory do."""

import shutil
from collections import deque

import pytest
import torch

from attractor import DiskBank, Dot, Euclidean, RamBank, SoftMax, TopK
from attractor.bank import disk, segments, streamed
from attractor.bank.segments import SegmentError
from attractor.read import Read

ROWS, DIM = 3000, 16


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """The same rows in several files, with one in another place that is far better than the first, and in memory."""
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 2**16)
    monkeypatch.setattr(streamed, "PIECE_BYTES", 100 * 4 * DIM)
    patterns = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(0))
    patterns[-5] = 3 * patterns[7]
    memory = RamBank(DIM, screen=False)
    memory.append(patterns)
    with DiskBank(tmp_path / "bank", DIM) as bank:
        bank.append(patterns)
        for _ in bank.blocks(ROWS):  # compares checksums
            pass
        yield bank, memory


def question(similarity, cues, beta=0.5):
    return Read(similarity, SoftMax(beta), cues)


def assert_same_answer(read, bank, memory):
    for found, wanted in zip(read.finish(bank.fold(read)), read.finish(memory.fold(read)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()])
@pytest.mark.parametrize("cues", [1, 2, 16, 40])
@pytest.mark.parametrize("threads", [1, 2])
def test_files_answer_as_memory_does(pair, similarity, cues, threads, restored_threads):
    bank, memory = pair
    torch.set_num_threads(threads)
    read = question(similarity, torch.randn(cues, DIM, generator=torch.Generator().manual_seed(1)))
    assert_same_answer(read, bank, memory)
    assert torch.get_num_threads() == threads


def test_a_row_far_better_than_the_first_does_not_overflow(pair, monkeypatch):
    monkeypatch.setattr(streamed, "ROWS_FOR_REFERENCE", 100)
    bank, memory = pair
    read = question(Dot(), bank.get(torch.tensor([ROWS - 5])).patterns, beta=0.8)
    *_, (_, last, _) = bank._wholes()
    logits = 0.8 * last.patterns @ read.cues[0]
    assert streamed.suits_streaming(read, last)
    assert logits.max() > logits[:100].max() + streamed.SAFE_LOGIT
    assert_same_answer(read, bank, memory)


def test_a_change_of_the_rows_is_seen(pair):
    bank, memory = pair
    for one in (bank, memory):
        one.forget(torch.tensor([3, ROWS - 5]))
        one.append(torch.ones(50, DIM))
    assert_same_answer(question(Euclidean(), torch.ones(1, DIM)), bank, memory)


def test_files_that_were_compacted_away_meanwhile_are_read_by_their_mapping(pair, monkeypatch):
    bank, memory = pair
    read = question(Euclidean(), torch.zeros(1, DIM))

    def gone(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(streamed, "open", gone, raising=False)
    assert_same_answer(read, bank, memory)


def test_a_file_that_became_shorter_is_refused(pair, tmp_path):
    bank, _ = pair
    read = question(Euclidean(), torch.zeros(1, DIM))
    file, whole, _ = next(iter(bank._wholes()))
    short = shutil.copy(file, tmp_path / "short")
    with open(short, "r+b") as handle:
        handle.truncate(file.stat().st_size - 4 * DIM)
    with pytest.raises(SegmentError, match="short has become shorter"):
        streamed.fold_file(read, streamed.Filed(short, whole), torch.empty(100, DIM))


def test_rows_that_rot_after_they_were_compared_do_not_hang_a_read(pair):
    bank, _ = pair
    file, *_ = next(iter(bank._wholes()))
    with open(file, "r+b") as handle:
        handle.seek(segments.HEADER_BYTES + 500 * 4 * DIM)
        handle.write(torch.full((DIM,), torch.nan).numpy().tobytes())
    with pytest.raises(SegmentError, match="not finite"):
        bank.fold(question(Euclidean(), torch.zeros(1, DIM)))


def test_a_file_system_may_hand_out_less_than_was_asked_for():
    class Slow:
        def __init__(self, content):
            self.content = content

        def readinto(self, view):
            some, self.content = self.content[:7], self.content[7:]
            view[: len(some)] = some
            return len(some)

    rows, wanted = torch.zeros(5, 3), torch.arange(15.0).view(5, 3)
    streamed.fill(rows, Slow(wanted.numpy().tobytes()))
    assert torch.equal(rows, wanted)


@pytest.fixture
def streams(monkeypatch):
    """The numbers of files in each stream."""
    counts, fold_files = [], disk.fold_files
    monkeypatch.setattr(disk, "fold_files", lambda read, filed: (counts.append(len(filed)), fold_files(read, filed))[1])
    return counts


def test_only_whole_soft_max_reads_of_few_cues_are_streamed(pair, streams):
    bank, _ = pair
    cue = torch.zeros(1, DIM)
    bank.fold(question(Dot(), cue.expand(40, DIM)))
    bank.fold(Read(Dot(), TopK(3, 1.0), cue))
    bank.fold(Read(Dot(), SoftMax(1.0), cue, known=torch.ones(1, DIM, dtype=torch.bool)))
    assert streams == []
    bank.fold(question(Dot(), cue))
    assert streams == [3]


def test_rows_are_compared_with_their_checksums_before_they_are_streamed(pair, streams):
    bank, memory = pair
    with DiskBank(bank.path) as again:
        for _ in range(2):
            assert_same_answer(question(Dot(), torch.zeros(1, DIM)), again, memory)
    assert streams == [3]


def test_a_file_is_let_go_of_when_it_is_done(pair, monkeypatch):
    bank, _ = pair
    whole = [one for _, one, _ in bank._wholes()]
    filed = deque(streamed.Filed(bank.path / "none", one) for one in whole)
    held, fold_file = [], streamed.fold_file
    monkeypatch.setattr(streamed, "fold_file", lambda read, one, buffer: (held.append(len(filed)), fold_file(read, one, buffer))[1])
    streamed.fold_in_turn(question(Dot(), torch.zeros(1, DIM)), filed)
    assert held == [2, 1, 0]


@pytest.fixture
def restored_threads():
    usual = torch.get_num_threads()
    yield
    torch.set_num_threads(usual)
