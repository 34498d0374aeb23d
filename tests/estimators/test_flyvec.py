import pickle
import time
import tracemalloc
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from attractor.errors import AttractorWarning
from attractor.estimators import FlyVec, FlyVecVectorizer
from attractor.estimators.flyvec import Codes, learning, tokenise
from attractor.estimators.flyvec import corpus as corpus_module
from attractor.estimators.flyvec.corpus import END, Spool, windows
from attractor.estimators.flyvec.learning import Learner
from attractor.papers.p19_flyvec.rule import by_formula, descent, inputs, random_windows, winning_norms

SMALL = {"cells": 12, "window": 5, "min_count": 1, "epochs": 3, "batch_size": 50, "random_state": 0}
PETS = ["the cat drinks milk", "a dog drinks cold water", "the small cat sees a dog", "dogs and cats like milk"]
MONEY = ["the bank lends money", "stocks rise and banks sell money", "a trader sells stocks"]
TEXT = (PETS + MONEY) * 12


def fitted(sentences=TEXT, vocabulary=None, **settings):
    return FlyVec(**{**SMALL, **settings}).fit(sentences, vocabulary=vocabulary)


def learned(rows, synapses, counts, *, rate=0.3, max_normalised=True, threads=1, steps=1):
    with Learner(synapses, counts, threads) as learner:
        for _ in range(steps):
            learner.step(rows, rate, max_normalised=max_normalised)
        return np.array(learner.synapses)


@pytest.mark.parametrize("max_normalised", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_one_window_moves_its_winner_by_the_formula(seed, max_normalised):
    rows, synapses, counts = random_windows(seed)
    after = learned(rows[:1], synapses, counts, max_normalised=max_normalised)
    winner = int((synapses @ inputs(rows[:1])[0]).argmax())
    np.testing.assert_allclose(after, by_formula(rows[:1], synapses, counts, 0.3, max_normalised=max_normalised), atol=1e-12)
    assert (np.delete(after, winner, 0) == np.delete(synapses, winner, 0)).all() and (after[winner] != synapses[winner]).any()


@pytest.mark.parametrize("max_normalised", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_batch_is_the_sum_of_its_windows_at_the_starting_weights(seed, max_normalised):
    rows, synapses, counts = random_windows(seed)
    after = wanted = synapses
    for _ in range(30):
        after, wanted = (
            learned(rows, after, counts, max_normalised=max_normalised),
            by_formula(rows, wanted, counts, 0.3, max_normalised=max_normalised),
        )
    np.testing.assert_allclose(after, wanted, atol=1e-10)


@pytest.mark.parametrize("rate", [0.3, 3.0])
def test_many_steps_in_one_learner_are_those_of_the_formula(rate):
    """Scales that shrink, vanish or change their sign go into the weights."""
    rows, synapses, counts = random_windows(0)
    wanted = synapses
    with Learner(synapses, counts) as learner:
        for number in range(40):
            some = rows[number % 3 :: 3]
            learner.step(some, rate, max_normalised=True)
            wanted = by_formula(some, wanted, counts, rate, max_normalised=True)
        np.testing.assert_allclose(learner.synapses, wanted, rtol=1e-8, atol=1e-8)


def test_largest_change_is_found_where_nothing_is_pushed():
    """One weight that no window touches decays more than any other entry moves."""
    rows = np.array([[6, 3, 6]], np.int32)
    synapses = np.zeros((2, 6))
    synapses[0] = [0, 0, 40.0, 0.5, 0, 0]
    counts = np.array([1, 1, 1])
    after = learned(rows, synapses, counts)
    np.testing.assert_allclose(after, by_formula(rows, synapses, counts, 0.3, max_normalised=True))
    assert np.abs(after - synapses).max() == pytest.approx(0.3) and np.abs(after - synapses).argmax() == 2


def test_winner_is_chosen_by_x_and_moved_by_x_over_p():
    rows = np.array([[0, 3, 1]], np.int32)
    counts = np.array([100, 1, 10])
    synapses = np.zeros((2, 6))
    synapses[0, 0], synapses[1, 1] = 2.0, 1.0
    x, shares = inputs(rows, 6), 1 / np.tile(counts, 2)
    assert (synapses @ x[0]).argmax() == 0 and (synapses @ (x[0] * shares)).argmax() == 1
    after = learned(rows, synapses, counts, max_normalised=False, rate=1.0)
    assert (after[1] == synapses[1]).all()
    push = x[0] * shares
    np.testing.assert_allclose(after[0], synapses[0] + push - (synapses[0] @ push) * synapses[0])


@pytest.mark.parametrize("factor", [1000, 0.01])
def test_scale_of_counts_changes_nothing(factor):
    rows, synapses, counts = random_windows(3)
    one, other = (learned(rows, synapses, some, steps=20) for some in (counts, counts * factor))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_energy_never_rises_while_winners_are_fixed(seed):
    rises = descent(seed)
    assert len(rises) >= 40 and max(rises) <= 1e-12


def test_steps_uphill_are_seen(monkeypatch):
    step = Learner.step
    monkeypatch.setattr(Learner, "step", lambda self, rows, rate, **how: step(self, rows, -rate, **how))
    assert max(descent(0)) > 1e-6


def test_energy_is_that_of_the_formula():
    rows, synapses, counts = random_windows(4)
    x = inputs(rows)
    winners = (x @ synapses.T).argmax(1)
    wanted = -sum(synapses[w] @ (one / np.tile(counts, 2)) / np.linalg.norm(synapses[w]) for w, one in zip(winners, x, strict=True))
    with Learner(synapses, counts) as learner:
        assert learner.energy(rows) == pytest.approx(wanted, rel=1e-12)
    model = fitted()
    ids = {word: place for place, word in enumerate(model.words_)}
    one = np.array([[2 * len(ids), 2 * len(ids), len(ids) + ids["cat"], ids["drinks"], 2 * len(ids)]], np.int32)
    other = np.array([[2 * len(ids), ids["cat"], len(ids) + ids["drinks"], 2 * len(ids), 2 * len(ids)]], np.int32)
    with Learner(model.synapses_, model.counts_) as learner:
        assert model.energy(["cat drinks"]) == pytest.approx(learner.energy(np.concatenate([one, other])))


@pytest.mark.parametrize("seed", range(2))
def test_winning_cells_come_to_unit_norm(seed):
    assert np.abs(winning_norms(seed) - 1).max() <= 0.02


@pytest.mark.parametrize("cells", [2, 5, 12])
def test_number_of_threads_changes_nothing(cells):
    rows, synapses, counts = random_windows(0, count=400)
    synapses = np.random.default_rng(0).normal(size=(cells, synapses.shape[1])).astype(np.float32)
    results = [learned(rows, synapses, counts, threads=threads, steps=5) for threads in (1, 2, 3)]
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_windows_end_with_their_sentence_and_skip_unknown_words():
    ids = np.array([0, 1, -2, 2, END, 1, END], np.int32)
    (rows,) = windows(ids, 5, 3, None, 100)
    nothing = 6
    assert rows.tolist() == [
        [nothing, nothing, 3, 1, nothing],
        [nothing, 0, 4, nothing, 2],
        [1, nothing, 5, nothing, nothing],
        [nothing, nothing, 4, nothing, nothing],
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=8), min_size=1, max_size=6), st.integers(1, 9), st.booleans())
def test_shuffling_and_batches_change_no_window(sentences, batch_size, shuffled):
    ids = np.array(
        list(chain.from_iterable([-2 if one < 0 else one for one in sentence] + [END] for sentence in sentences)), np.int32
    )
    order = np.random.default_rng(0) if shuffled else None
    batches = list(windows(ids, 3, 4, order, batch_size))
    wanted = []
    for sentence in sentences:
        padded = [8, *(8 if one < 0 else one for one in sentence), 8]
        wanted += [[padded[p - 1], padded[p] + 4, padded[p + 1]] for p in range(1, len(padded) - 1) if padded[p] < 4]
    assert sorted(row.tolist() for batch in batches for row in batch) == sorted(wanted)
    assert all(len(batch) <= batch_size for batch in batches)
    assert not batches or max(map(len, batches)) - min(map(len, batches)) <= 1


def test_blocks_hold_every_sentence_once_in_any_order(monkeypatch):
    monkeypatch.setattr(corpus_module, "PIECE", 8)
    monkeypatch.setattr(corpus_module, "PIECES", 3)
    sentences = [[number, number + 1] for number in range(40)]
    with Spool(sentences) as spool:
        plain = np.concatenate(list(spool.blocks()))
        mixed = list(spool.blocks(np.random.default_rng(0)))
        assert len(mixed) == len(spool) > 3
        assert (np.concatenate(mixed) != plain).any()
        assert sorted(np.concatenate(mixed)) == sorted(plain)
        later = list(spool.blocks(np.random.default_rng(0), 2))
        assert all((one == other).all() for one, other in zip(later, mixed[2:], strict=True))
        assert spool.counts.tolist() == [1] + [2] * 39 + [1]


def test_sentences_come_from_anywhere(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("\n".join(TEXT) + "\n\n", encoding="utf-8")
    models = [
        fitted(TEXT),
        fitted(file),
        fitted(one for one in TEXT),
        fitted([tokenise(one) for one in TEXT]),
    ]
    for model in models[1:]:
        assert model.words_ == models[0].words_ and (model.synapses_ == models[0].synapses_).all()


def test_ids_of_another_tokeniser_are_words():
    numbers = {word: 7 * place for place, word in enumerate(fitted().words_)}
    ids = [[numbers[word] for word in tokenise(one)] for one in TEXT]
    model = fitted([np.array(one) for one in ids])
    assert model.words_ == [numbers[word] for word in fitted().words_]
    assert (model.synapses_ == fitted().synapses_).all()
    assert model.codes([7, 8], 3).known.tolist() == [True, False]
    with pytest.raises(ValueError, match=r"below 5.*got 14"):
        fitted(ids, vocabulary=5)


def test_words_that_are_not_met_are_dropped_with_a_warning():
    with pytest.warns(AttractorWarning, match="'unicorn'"):
        model = fitted(vocabulary=["cat", "unicorn", "dog", "milk"])
    assert model.words_ == ["cat", "dog", "milk"] and model.counts_.min() > 0
    assert np.isfinite(model.synapses_).all()


def test_rare_words_are_unknown_and_the_most_frequent_stay():
    counted = {"a": 9, "b": 5, "c": 5, "d": 1}
    text = [[word] * times for word, times in counted.items()]
    assert fitted(text, min_count=5).words_ == ["a", "b", "c"]
    assert fitted(text, max_words=2).words_ == ["a", "b"]


def memory_of(lines, path):
    with path.open("w", encoding="utf-8") as file:
        chance = np.random.default_rng(0)
        for _ in range(lines // 500):
            file.writelines(" ".join(f"w{chr(97 + one)}" for one in row) + "\n" for row in chance.integers(0, 20, (500, 10)))
    tracemalloc.start()
    try:
        fitted(path, epochs=1, batch_size=10**6, cells=2)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat_in_the_length_of_the_text(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus_module, "PIECE", 2**9)
    monkeypatch.setattr(corpus_module, "PIECES", 4)
    memory_of(500, tmp_path / "warm.txt")
    short, long = (memory_of(lines, tmp_path / f"{lines}.txt") for lines in (1000, 8000))
    # the ids of the long text alone would take 352,000 bytes
    assert long < short + 70_000


def test_same_seed_same_synapses_another_seed_others():
    one, same, other = fitted(), fitted(), fitted(random_state=1)
    assert (one.synapses_ == same.synapses_).all() and (one.synapses_ != other.synapses_).any()


def test_training_goes_on_where_it_was_interrupted(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus_module, "PIECE", 32)
    monkeypatch.setattr(corpus_module, "PIECES", 2)
    monkeypatch.setattr("attractor.estimators.flyvec.model.SAVED_AFTER", 2)
    whole, file = fitted(), tmp_path / "course"
    for moment in (1, 2, 4, 3):
        seen = []

        def interrupt(done, seen=seen, moment=moment):
            seen.append(done)
            if len(seen) == moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            FlyVec(**SMALL).fit(TEXT, checkpoint=file, progress=interrupt)
    resumed = FlyVec(**SMALL).fit(TEXT, checkpoint=file)
    assert (resumed.synapses_ == whole.synapses_).all() and resumed.epochs_ == whole.epochs_ == 3
    assert (FlyVec(**SMALL).fit(TEXT, checkpoint=file).synapses_ == whole.synapses_).all()
    with pytest.raises(ValueError, match="checkpoint"):
        FlyVec(**{**SMALL, "window": 7}).fit(TEXT, checkpoint=file)
    with pytest.raises(ValueError, match="checkpoint"):
        FlyVec(**SMALL).fit(TEXT[1:], checkpoint=file)


def test_progress_rises_to_one():
    told = []
    FlyVec(**SMALL).fit(TEXT, progress=told.append)
    assert told == sorted(told) and told[-1] == 1


def test_the_step_falls_to_zero_by_epoch(monkeypatch):
    rates, step = [], Learner.step

    def seen(self, rows, rate, **how):
        rates.append(rate)
        step(self, rows, rate, **how)

    monkeypatch.setattr(Learner, "step", seen)
    fitted(batch_size=10_000, epochs=3)
    assert rates == pytest.approx([0.3, 0.2, 0.1])


def test_partial_fit_keeps_the_words_and_adds_counts():
    model = FlyVec(**SMALL).partial_fit(TEXT)
    words, counts, synapses = model.words_, model.counts_.copy(), model.synapses_.copy()
    model.partial_fit(["the cat and an unheard word"])
    assert model.words_ == words and model.epochs_ == 2
    assert (model.counts_ - counts).sum() == 3 and (model.synapses_ != synapses).any()
    before = model.synapses_
    with pytest.raises(ValueError, match="know"):
        model.partial_fit(["nothing heard before"])
    assert model.synapses_ is before


def test_words_that_are_used_alike_have_alike_codes():
    chance = np.random.default_rng(0)
    topics = [[f"{topic}{number}" for number in range(12)] for topic in "ab"]
    text = [list(chance.choice(topics[number % 2], 8)) for number in range(600)]
    model = fitted(text, cells=30, epochs=5)
    for block in ("target", "context", "both"):
        codes = model.codes([*topics[0], *topics[1]], 6, block=block)
        alike = codes.similarity(codes)
        assert alike[:12, :12].mean() > alike[:12, 12:].mean() + 0.05
    assert {word[0] for word, _ in model.nearest("a3", 5, hash_length=6)} == {"a"}
    assert {word[0] for word, _ in model.nearest("a3", 5, hash_length=6, context=["a5", "a1"])} == {"a"}
    for cell in range(30):
        named = model.concept(cell, 3)
        assert named[0][1] >= named[1][1] >= named[2][1]


def test_codes_read_the_synapses_that_are_named():
    model = fitted()
    V, place = len(model.words_), model.words_.index("cat")
    drives = {
        "target": model.synapses_[:, V + place],
        "context": model.synapses_[:, place],
        "both": model.synapses_[:, V + place] + model.synapses_[:, place],
    }
    for block, drive in drives.items():
        on = np.zeros(12, bool)
        on[np.argsort(-drive, kind="stable")[:4]] = True
        assert (model.codes(["cat"], 4, block=block).unpack()[0] == on).all()
    sees, drinks = model.words_.index("sees"), model.words_.index("drinks")
    drive = drives["target"] + model.synapses_[:, sees] + 2 * model.synapses_[:, drinks]
    wanted = np.zeros(12, bool)
    wanted[np.argsort(-drive, kind="stable")[:4]] = True
    for context in ("drinks sees drinks", "drinks cat sees unheard drinks"):
        assert (model.codes_in_context(["cat"], [context], 4).unpack()[0] == wanted).all()
    drive = model.synapses_[:, sees] + 2 * model.synapses_[:, drinks]
    wanted = np.argsort(-drive, kind="stable")[:4]
    assert set(np.flatnonzero(model.document_codes(["drinks sees drinks"], 4).unpack()[0])) == set(wanted)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12))
def test_exactly_k_cells_are_on_and_packing_loses_nothing(k):
    model = fitted_once()
    codes = model.codes(None, k)
    on = codes.unpack()
    assert (on.sum(1) == k).all() and codes.bits.dtype == np.uint8
    assert (np.packbits(on, axis=1) == codes.bits).all()
    assert (model.codes(None, k).bits == codes.bits).all()


def fitted_once(kept=[]):  # noqa: B006  # one fit for all examples
    if not kept:
        kept.append(fitted())
    return kept[0]


def test_ties_go_to_the_lower_cell():
    model = fitted()
    model.synapses_ = np.zeros_like(model.synapses_)
    assert (model.codes(None, 5).unpack() == (np.arange(12) < 5)).all()


def test_codes_in_an_empty_context_are_static_codes():
    model = fitted()
    for empty in ("", [], "unheard words only"):
        contexts = [empty] * len(model.words_)
        assert (model.codes_in_context(model.words_, contexts, 4).bits == model.codes(None, 4).bits).all()


def test_unknown_words_have_no_code_and_are_named():
    model = fitted()
    codes = model.codes(["cat", "unicorn"], 4)
    assert codes.unknown == ["unicorn"] and codes.unpack().sum(1).tolist() == [4, 0]
    assert model.codes_in_context(["unicorn"], ["a cat"], 4).unknown == ["unicorn"]
    assert model.document_codes(["unheard", "the cat"], 4).known.tolist() == [False, True]
    for call in (
        lambda: model.codes(["unicorn"], 4, on_unknown="raise"),
        lambda: model.codes_in_context(["unicorn"], ["a cat"], 4, on_unknown="raise"),
        lambda: model.nearest("unicorn"),
    ):
        with pytest.raises((KeyError, ValueError), match=r"unicorn|hash_length"):
            call()
    with pytest.raises(KeyError, match="unicorn"):
        model.nearest("unicorn", hash_length=4)
    assert codes.nearest(codes, 5)[1] == [] and codes.nearest(codes, 5)[0] == []


def random_codes(count, cells, on, seed=0):
    bits = np.zeros((count, cells), np.uint8)
    bits[np.arange(count)[:, None], np.random.default_rng(seed).random(bits.shape).argpartition(on, 1)[:, :on]] = 1
    return Codes(range(count), np.packbits(bits, axis=1), cells, np.ones(count, bool))


@pytest.mark.parametrize("counts_bits", [True, False])
def test_nearest_words_are_those_of_a_full_sort(counts_bits, monkeypatch):
    if not counts_bits:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    codes = random_codes(200, 70, 7)
    on = codes.unpack().astype(int)
    distances = (on[:, None] != on[None]).sum(-1)
    assert (codes.distances(codes) == distances).all()
    np.testing.assert_allclose(codes.similarity(codes), 1 - distances / 70)
    for query, found in enumerate(codes.nearest(codes, 5)):
        order = [one for one in np.argsort(distances[query], kind="stable") if one != query][:5]
        assert [word for word, _ in found] == order
        assert [alike for _, alike in found] == pytest.approx([1 - distances[query, one] / 70 for one in order])
    assert len(codes.nearest(codes, 500)[0]) == 199


def test_codes_of_20000_words_are_small_and_searched_in_milliseconds():
    codes = random_codes(20_000, 400, 32)
    assert codes.bits.nbytes <= 1_000_000
    taken = []
    for number in range(20):
        query = Codes([number], codes.bits[number : number + 1], 400, np.ones(1, bool))
        start = time.perf_counter()
        codes.nearest(query, 10)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.005


def test_saved_models_come_back_whole(tmp_path):
    model = fitted()
    model.save(tmp_path / "model")
    loaded = FlyVec.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params() and loaded.words_ == model.words_
    assert (loaded.synapses_ == model.synapses_).all() and (loaded.counts_ == model.counts_).all()
    again = [one.partial_fit(TEXT).synapses_ for one in (model, loaded)]
    assert (again[0] == again[1]).all()
    copied = pickle.loads(pickle.dumps(model))
    assert (copied.codes(None, 4).bits == model.codes(None, 4).bits).all()
    assert not hasattr(clone(model), "words_")
    (tmp_path / "model").write_bytes((tmp_path / "model").read_bytes()[:-100])
    with pytest.raises(ValueError, match="model"):
        FlyVec.load(tmp_path / "model")


def test_published_synapses_are_read(tmp_path):
    """The layout of the published package: `numpy.save` of single precision `(cells, 2 V)`, neighbours first."""
    chance = np.random.default_rng(0)
    stored = chance.normal(size=(20, 10)).astype(np.float32)
    np.save(tmp_path / "synapses.npy", stored)
    (tmp_path / "words.txt").write_text(
        "12\n" + "".join(f"{n}\t{w}\t{9 - n}\n" for n, w in [(3, "d"), (0, "<UNK>"), (1, "b"), (2, "c"), (4, "e")])
    )
    model = FlyVec.from_published(tmp_path / "synapses.npy", tmp_path / "words.txt")
    assert model.words_ == ["b", "c", "d", "e"]
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    np.testing.assert_allclose(model.synapses_, np.delete(unit, [0, 5], 1), rtol=1e-6)
    wanted = np.argsort(-unit[:, 5 + 2], kind="stable")[:4]
    assert set(np.flatnonzero(model.codes(["c"], 4).unpack()[0])) == set(wanted)
    raw = FlyVec.from_published(tmp_path / "synapses.npy", normalise=False)
    assert (raw.synapses_ == stored).all() and raw.words_ == [0, 1, 2, 3, 4]
    assert model.partial_fit(["b c d", "e b"]).counts_.tolist() == [2, 1, 1, 1]
    assert np.isfinite(model.synapses_).all()


def test_damaged_or_hostile_synapses_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "synapses.npy"

    def refused(words=None, match="path"):
        with pytest.raises(ValueError, match=match):
            FlyVec.from_published(path, words)

    np.save(path, np.array([object()]), allow_pickle=True)
    refused()
    path.write_bytes(pickle.dumps([1]))
    refused()
    for bad in (
        np.ones(4, np.float32),
        np.ones((2, 3), np.float32),
        np.ones((2, 4), np.int32),
        np.full((2, 4), np.nan),
        np.ones((0, 4)),
    ):
        np.save(path, bad)
        refused()
    np.save(path, np.ones((2, 4)))
    refused(["a"], match="words")
    refused(["a", "a"], match="words")
    path.write_bytes(path.read_bytes()[:-8])
    refused()
    monkeypatch.setattr("attractor.estimators.flyvec.published.MAXIMUM_BYTES", 10)
    np.save(path, np.ones((2, 4)))
    refused(match="at most 10 bytes")
    with pytest.raises(FileNotFoundError):
        FlyVec.from_published(tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"window": 4}, "window"),
        ({"window": 1}, "window"),
        ({"cells": 0}, "cells"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"min_count": 0}, "min_count"),
        ({"max_words": 1}, "max_words"),
        ({"min_count": 1000}, "at least two words"),
    ],
)
def test_bad_settings_are_refused(bad, message):
    model = fitted()
    before = model.synapses_
    model.set_params(**bad)
    with pytest.raises(ValueError, match=message):
        model.fit(TEXT)
    assert model.synapses_ is before


@pytest.mark.parametrize(
    ("sentences", "kind", "message"),
    [
        ([], ValueError, "at least one word"),
        (["", "..."], ValueError, "at least one word"),
        (["same same"], ValueError, "at least two words"),
        ("a string", TypeError, "Path"),
        (5, TypeError, "iterable"),
        ([3], TypeError, "sentence"),
        ([[1, -2]], ValueError, "negative"),
        ([[1.5]], TypeError, r"1\.5"),
    ],
)
def test_bad_sentences_are_refused(sentences, kind, message):
    with pytest.raises(kind, match=message):
        fitted(sentences)


def test_bad_vocabularies_are_refused():
    with pytest.raises(ValueError, match="'a' twice"):
        fitted(vocabulary=["a", "a"])
    with pytest.raises(TypeError, match="vocabulary"):
        fitted(vocabulary="ab")
    with pytest.raises(ValueError, match="vocabulary"):
        fitted([[0, 1]], vocabulary=1)


def test_bad_questions_are_refused():
    model = fitted()
    for call in (
        lambda: model.codes(["cat"], 13),
        lambda: model.codes(["cat"], 0),
        lambda: model.codes(["cat"], 4, block="middle"),
        lambda: model.codes(["cat"], 4, on_unknown="guess"),
        lambda: model.codes_in_context(["cat", "dog"], ["a"], 4),
        lambda: model.concept(12),
        lambda: model.nearest("cat", 0, hash_length=4),
        lambda: model.energy(["unheard"]),
        lambda: model.codes(None, 4).distances(random_codes(3, 20, 2)),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (lambda: model.codes("cat", 4), lambda: model.codes(["cat"], 2.5)):
        with pytest.raises(TypeError):
            call()


def test_without_division_frequent_words_take_the_cells():
    chance = np.random.default_rng(0)
    text = [["the", chance.choice(["a", "b"]), "the", f"rare{chance.integers(40)}", "the"] for _ in range(400)]
    shares = {}
    for divided in (True, False):
        weights = fitted(text, divide_by_counts=divided).synapses_
        shares[divided] = (weights[:, 0] ** 2 / (weights**2).sum(1)).mean()
    assert shares[False] > 5 * shares[True]


@pytest.mark.parametrize("packed", [False, True])
def test_vectorizer_makes_bits_of_texts(packed):
    vectorizer = FlyVecVectorizer(FlyVec(**SMALL), hash_length=4, packed=packed).fit(TEXT)
    codes = vectorizer.model_.document_codes(TEXT, 4)
    found = vectorizer.transform(TEXT)
    assert (found == (codes.bits if packed else codes.unpack())).all() and found.dtype == np.uint8
    names = vectorizer.get_feature_names_out()
    assert len(names) == found.shape[1] and names[1] == ("byte1" if packed else "cell1")


def test_vectorizer_works_in_a_pipeline():
    labels = [one in PETS for one in TEXT]
    pipeline = make_pipeline(FlyVecVectorizer(FlyVec(**SMALL), hash_length=4), LogisticRegression())
    assert pipeline.fit(TEXT, labels).score(TEXT, labels) > 0.9


@parametrize_with_checks([FlyVecVectorizer(FlyVec(cells=16, min_count=1, epochs=1), hash_length=4)])
def test_vectorizer_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_chunks_change_no_winner(monkeypatch):
    rows, synapses, counts = random_windows(1, count=300)
    with Learner(synapses, counts) as learner:
        wanted = learner.winners(rows)
        monkeypatch.setattr(learning, "CHUNK", 7)
        assert (learner.winners(rows) == wanted).all()
    assert (wanted == (inputs(rows) @ synapses.T).argmax(1)).all()


def test_global_generator_is_not_touched():
    state = torch.random.get_rng_state()
    np.random.seed(0)
    expected = np.random.RandomState(0).rand()
    fitted()
    assert torch.equal(torch.random.get_rng_state(), state) and np.random.rand() == expected
