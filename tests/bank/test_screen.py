import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attractor.bank.ram
from attractor import Cosine, Dot, Entmax, Euclidean, RamBank, SoftMax, Sparsemax, TopK
from attractor.bank.screen import GROUP, Screen, fits_screen
from attractor.read import Block, Read

SEPARATIONS = [lambda beta: SoftMax(beta), lambda beta: TopK(5, beta), lambda beta: Sparsemax(beta), lambda beta: Entmax(1.5, beta)]


def exact_scores(similarity, cues, patterns):
    scores = cues.double() @ patterns.double().T
    return scores if isinstance(similarity, Dot) else scores - patterns.double().square().sum(-1) / 2


def rows_that_matter(read, patterns):
    """In float64: within reach of the best, or no worse than the last of those that a read must know."""
    scores = exact_scores(read.similarity, read.cues, patterns)
    rank = min(read.separation.rank, len(patterns))
    cut = scores.amax(-1) - read.separation.reach(len(patterns), torch.float32)
    last = scores.topk(rank, -1).values[:, -1]
    return (scores >= torch.minimum(cut, last)[:, None]).any(0).nonzero().flatten().tolist()


def awkward(kind, count, dim, generator):
    patterns = torch.randn(count, dim, generator=generator)
    if kind == "near ties":
        patterns = patterns[:1] + 1e-4 * patterns
    elif kind == "duplicates":
        patterns = patterns[torch.randint(max(1, count // 8), (count,), generator=generator)]
    elif kind == "outlier":
        patterns[torch.randint(count, (1,), generator=generator)] *= 1e4
    elif kind == "zeros":
        patterns[torch.rand(count, generator=generator) < 0.5] = 0
    elif kind == "negative":
        patterns = -patterns.abs() - 1
    elif kind == "tiny":
        patterns = patterns * 1e-12
    elif kind == "huge":
        patterns = patterns * 1e12
    elif kind == "between two bfloat16":
        patterns = 1 + 2.0**-8 * (0.5 + 1e-3 * patterns)
    return patterns


KINDS = ["random", "near ties", "duplicates", "outlier", "zeros", "negative", "tiny", "huge", "between two bfloat16"]


@settings(max_examples=250)
@given(
    st.sampled_from(KINDS),
    st.sampled_from([1, 2, GROUP - 1, GROUP, GROUP + 1, 100, 5 * GROUP, 7 * GROUP + 3]),
    st.sampled_from([1, 3, 8, 40]),
    st.sampled_from(SEPARATIONS),
    st.sampled_from([Euclidean(), Dot()]),
    st.floats(-2, 4),
    st.integers(0, 2**31),
)
def test_candidates_hold_every_row_that_can_matter(kind, count, dim, separation, similarity, log_beta, seed):
    generator = torch.Generator().manual_seed(seed)
    patterns = awkward(kind, count, dim, generator)
    cues = patterns[torch.randint(count, (3,), generator=generator)]
    cues = cues + 0.3 * cues.std() * torch.randn(3, dim, generator=generator) if cues.numel() > 1 else cues
    scale = float(exact_scores(similarity, cues, patterns).abs().amax().clamp_min(1e-30))
    read = Read(similarity, separation(10.0**log_beta / scale * 10), cues)
    places = Screen(Block(torch.arange(count), patterns)).candidates(read)
    if places is not None:
        assert places.tolist() == sorted(set(places.tolist()))
        assert set(rows_that_matter(read, patterns)) <= set(places.tolist())


@pytest.mark.parametrize("similarity", [Euclidean(), Dot()])
@pytest.mark.parametrize("separation", SEPARATIONS)
def test_peaked_reads_are_screened_down_to_few_rows(similarity, separation, generator):
    patterns = torch.nn.functional.normalize(torch.randn(4099, 64, generator=generator), dim=-1)
    cues = patterns[::500] + 0.01 * torch.randn(9, 64, generator=generator)
    read = Read(similarity, separation(200.0), cues)
    places = Screen(Block(torch.arange(4099), patterns)).candidates(read)
    assert places is not None and len(places) < 400
    assert set(rows_that_matter(read, patterns)) <= set(places.tolist())


@pytest.fixture
def small_banks_are_screened(monkeypatch):
    monkeypatch.setattr(attractor.bank.ram, "LEAST_ENTRIES_PER_RANK", 0)


@pytest.mark.usefixtures("small_banks_are_screened")
@pytest.mark.parametrize("similarity", [Euclidean(), Dot()])
@pytest.mark.parametrize("k", [1, 2, 32, 200])
def test_k_best_are_exact_with_ties_to_the_lower_id(similarity, k, generator):
    patterns = torch.randint(-3, 4, (1000, 6), generator=generator).float()
    cues = torch.randint(-3, 4, (7, 6), generator=generator).float()
    bank = RamBank(6, screen=True)
    bank.append(patterns, torch.eye(1000))
    gone = torch.arange(0, 1000, 7)
    bank.forget(gone)
    scores = exact_scores(similarity, cues, patterns)
    scores[:, gone] = -math.inf
    order = scores.argsort(dim=-1, descending=True, stable=True)
    read = Read(similarity, TopK(k, beta=1e-3), cues, project="values")
    answer = read.finish(bank.fold(read))
    assert bank._screen is not None
    assert answer.ids.tolist() == order[:, :2].tolist()
    chosen = [set(weights.nonzero().flatten().tolist()) for weights in answer.values]
    assert chosen == [set(one) for one in order[:, :k].tolist()]


@pytest.mark.usefixtures("small_banks_are_screened")
@pytest.mark.parametrize("similarity", [Euclidean(), Dot()])
@pytest.mark.parametrize("beta", [0.01, 1.0, 100.0])
def test_screened_bank_answers_as_an_unscreened_one(similarity, beta, generator):
    patterns = torch.randn(2000, 16, generator=generator)
    cues = patterns[:20] + 0.1 * torch.randn(20, 16, generator=generator)
    screened, plain = RamBank(16, screen=True), RamBank(16, screen=False)
    read = Read(similarity, SoftMax(beta), cues)
    answers = []
    for bank in (screened, plain):
        bank.append(patterns)
        bank.forget(torch.arange(100, 200))
        answers.append(read.finish(bank.fold(read)))
    torch.testing.assert_close(answers[0].values, answers[1].values, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(answers[0].potential, answers[1].potential, rtol=1e-5, atol=1e-5)
    assert answers[0].ids.tolist() == answers[1].ids.tolist()


def test_too_many_candidates_are_left_to_the_whole_read():
    block = Block(torch.arange(200 * GROUP), torch.ones(200 * GROUP, 4))
    for separation in (SoftMax(1000.0), TopK(3, 1.0)):
        assert Screen(block).candidates(Read(Dot(), separation, torch.ones(2, 4))) is None


@pytest.mark.usefixtures("small_banks_are_screened")
def test_bank_of_equal_rows_is_read_right_all_the_same():
    bank = RamBank(4, screen=True)
    bank.append(torch.ones(200 * GROUP, 4))
    read = Read(Dot(), SoftMax(1000.0), torch.ones(2, 4))
    answer = read.finish(bank.fold(read))
    torch.testing.assert_close(answer.values, torch.ones(2, 4))
    torch.testing.assert_close(answer.potential, torch.full((2,), 4 + math.log(200 * GROUP) / 1000))
    assert answer.ids.tolist() == [[0, 1], [0, 1]]


@pytest.mark.usefixtures("small_banks_are_screened")
def test_shadow_is_counted_and_dropped_when_the_bank_changes(generator):
    bank = RamBank(8, screen=True)
    bank.append(torch.randn(500, 8, generator=generator))
    bare, read = bank.nbytes, Read(Dot(), SoftMax(50.0), torch.randn(2, 8, generator=generator))
    bank.fold(read)
    assert bank.nbytes >= bare + 500 * 8 * 2
    late = 5 * read.cues[:1]
    bank.append(late)
    assert bank._screen is None
    assert read.finish(bank.fold(read)).ids[0, 0] == 500
    bank.forget(torch.tensor([500]))
    assert bank._screen is None
    assert read.finish(bank.fold(read)).ids[0, 0] != 500


def test_reads_that_a_screen_cannot_answer_are_left_alone():
    patterns, cues = torch.ones(4, 2), torch.ones(1, 2)
    known = torch.ones(1, 2, dtype=torch.bool)
    assert fits_screen(Read(Dot(), SoftMax(1.0), cues), patterns)
    assert not fits_screen(Read(Cosine(), SoftMax(1.0), cues), patterns)
    assert not fits_screen(Read(Dot(), SoftMax(1.0), cues, known), patterns)
    assert not fits_screen(Read(Dot(), SoftMax(1.0), cues.double()), patterns.double())
    assert not fits_screen(Read(Dot(), SoftMax(1.0), cues.requires_grad_()), patterns)
