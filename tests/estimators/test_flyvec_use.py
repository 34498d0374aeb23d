"""FlyVec in use: words of any kind, searches that are asked often, saved and published models, pipelines."""

import tracemalloc
import unicodedata
from copy import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from attractor.estimators import FlyVec, FlyVecVectorizer
from attractor.estimators.flyvec import Codes, reading, tokenise
from attractor.estimators.flyvec import corpus as corpus_module
from attractor.estimators.flyvec.corpus import Spool
from attractor.estimators.flyvec.learning import Learner
from attractor.estimators.flyvec.words import Numbering
from attractor.papers.p19_flyvec.rule import by_formula, random_windows

SMALL = {"cells": 12, "window": 5, "min_count": 1, "epochs": 2, "batch_size": 50, "random_state": 0}
TEXT = ["the cat drinks milk", "a dog drinks cold water", "the bank lends money", "a trader sells stocks"] * 12


def fitted(sentences=TEXT, vocabulary=None, **settings):
    return FlyVec(**{**SMALL, **settings}).fit(sentences, vocabulary=vocabulary)


@pytest.mark.parametrize(
    ("sentence", "kind", "message"),
    [
        (["a", None], TypeError, "None"),
        (["a", float("nan")], TypeError, "nan"),
        (["a", ["b"]], TypeError, r"\['b'\]"),
        (["a", True], TypeError, "True"),
        (["a", b"b"], TypeError, "b'b'"),
        (["a", -3], ValueError, "-3"),
    ],
)
@pytest.mark.parametrize("vocabulary", [None, ["a", "b"]])
def test_what_is_no_word_is_refused_wherever_it_stands(sentence, kind, message, vocabulary):
    with pytest.raises(kind, match=message):
        fitted([sentence, ["b", "a"]] * 3, vocabulary)


def test_ids_of_numpy_are_ids():
    plain = fitted([[0, 1, 2], [2, 1]] * 5, 3)
    for vocabulary in (3, np.int64(3)):
        model = fitted([[np.int64(0), np.int32(1), 2], np.array([2, 1])] * 5, vocabulary)
        assert model.words_ == [0, 1, 2] and {type(one) for one in model.words_} == {int}
        assert (model.synapses_ == plain.synapses_).all()
    assert model.codes([np.int64(1), np.int64(7)], 3).known.tolist() == [True, False]


def test_accents_are_one_letter_however_they_are_written():
    text = "Café nächste Ελλάδα Москва"
    assert tokenise(unicodedata.normalize("NFD", text)) == tokenise(text) == ["café", "nächste", "ελλάδα", "москва"]


def test_rare_words_are_forgotten_where_there_are_too_many(monkeypatch):
    monkeypatch.setattr(corpus_module, "PIECE", 16)
    monkeypatch.setattr(corpus_module, "MOST_WORDS", 30)
    text = [["first", f"new{number}", *(["often", "seen"] if number >= 100 else [])] for number in range(200)]
    with Spool(text) as spool:
        assert len(spool.words) <= 40
        words, counts = spool.choose(10, 100)
        assert words == ["first", "often", "seen"] and counts.tolist() == [200, 100, 100]
        ids = np.concatenate(list(spool.blocks()))
        assert [(ids == number).sum() for number in (0, 1, 2, -2)] == [200, 100, 100, 200]
        after = np.flatnonzero(ids == 1)
        assert (ids[after + 1] == 2).all() and (ids[after - 1] == -2).all() and (ids[after - 2] == 0).all()
    with Spool(text, [f"new{number}" for number in range(100)]) as spool:
        assert spool.counts.tolist() == [1] * 100


def memory_of_new_words(lines):
    """One word in each line that no other line holds."""
    tracemalloc.start()
    try:
        with Spool(["w", "v", "u", f"new{number}"] for number in range(lines)) as spool:
            spool.choose(100, 5)
            return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_nearly_flat_where_new_words_never_end(monkeypatch):
    monkeypatch.setattr(corpus_module, "PIECE", 2**9)
    monkeypatch.setattr(corpus_module, "MOST_WORDS", 500)
    memory_of_new_words(100)
    short, long = memory_of_new_words(1000), memory_of_new_words(7000)
    # 12 bytes for each that is forgotten, and as many again while the array grows; the words and their numbers would take a hundred
    assert long - short < 40 * 6000


def test_words_are_numbered_once_for_all_texts(monkeypatch):
    model, made = fitted(), []

    class Counted(Numbering):
        def __init__(self, *given):
            made.append(1)
            super().__init__(*given)

    monkeypatch.setattr(reading, "Numbering", Counted)
    model.document_codes(TEXT, 4)
    model.codes_in_context(["cat"] * 5, TEXT[:5], 4)
    assert len(made) == 1


def test_blocks_change_no_code(monkeypatch):
    model = fitted()
    texts = [*TEXT, "unheard", "", "cat"]
    wanted = model.document_codes(texts, 4), model.codes(None, 4)
    monkeypatch.setattr(reading, "BATCH", 3)
    for codes, same in zip((model.document_codes(texts, 4), model.codes(None, 4)), wanted, strict=True):
        assert (codes.bits == same.bits).all() and (codes.known == same.known).all()


def test_memory_of_a_search_does_not_grow_with_the_queries():
    bits = np.random.default_rng(0).integers(0, 256, (3000, 4), np.uint8)
    index = Codes(range(3000), bits, 32, np.ones(3000, bool))
    peaks = []
    for count in (10, 1000):
        queries = Codes(range(count), bits[:count], 32, np.ones(count, bool))
        tracemalloc.start()
        index.nearest(queries, 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # all distances at once would be 24 million bytes
    assert peaks[1] < peaks[0] + 1_000_000


def test_codes_of_all_words_are_made_once_and_again_after_learning(monkeypatch):
    model, asked = fitted(), []
    codes = FlyVec.codes

    def counted(self, words=None, *given, **named):
        asked.append(words is None)
        return codes(self, words, *given, **named)

    monkeypatch.setattr(FlyVec, "codes", counted)
    for _ in range(3):
        model.nearest("cat", 3, hash_length=4)
        model.nearest("cat", 3, hash_length=4, block="both")
    assert sum(asked) == 2
    model.partial_fit(["cat stocks cat money"] * 30)
    fresh = FlyVec(**SMALL)
    fresh.words_, fresh.synapses_ = model.words_, model.synapses_.copy()
    assert model.nearest("cat", 5, hash_length=4) == fresh.nearest("cat", 5, hash_length=4)
    assert sum(asked) == 4
    model.synapses_ = -model.synapses_
    assert model.nearest("cat", 5, hash_length=4) == copy(model).nearest("cat", 5, hash_length=4)
    for length in range(1, 12):
        model.nearest("cat", 3, hash_length=length)
    assert len(model._kept.codes) <= reading.KEPT
    with pytest.raises(ValueError, match="hash_length"):
        model.nearest("cat", hash_length=13)


def test_a_checkpoint_of_another_text_with_the_same_counts_is_refused(tmp_path):
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FlyVec(**SMALL).fit(TEXT, checkpoint=tmp_path / "course", progress=stop)
    # the same words in the same order of first meeting, in other sentences
    other = [*TEXT[:4], *sorted(TEXT[4:])]
    with Spool(TEXT) as one, Spool(other) as same:
        assert one.words == same.words and (one.counts == same.counts).all() and one.checksum != same.checksum
    with pytest.raises(ValueError, match="same settings and sentences"):
        FlyVec(**SMALL).fit(other, checkpoint=tmp_path / "course")
    resumed = FlyVec(**SMALL).fit(TEXT, checkpoint=tmp_path / "course")
    assert (resumed.synapses_ == fitted().synapses_).all()


def test_what_a_checkpoint_cannot_hold_is_said_before_training(tmp_path, monkeypatch):
    def no_training(*_):
        raise AssertionError("training began")

    monkeypatch.setattr(FlyVec, "_learn", no_training)
    with pytest.raises(TypeError, match="random_state"):
        FlyVec(**{**SMALL, "random_state": np.random.RandomState(0)}).fit(TEXT, checkpoint=tmp_path / "course")


def test_settings_that_were_changed_after_training_are_saved(tmp_path):
    model = fitted().set_params(cells=20)
    model.save(tmp_path / "model")
    loaded = FlyVec.load(tmp_path / "model")
    assert loaded.cells == 20 and (loaded.synapses_ == model.synapses_).all()
    assert loaded.partial_fit(TEXT).synapses_.shape == model.synapses_.shape


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_without_bounds_are_an_error(learn):
    model = FlyVec(**{**SMALL, "learning_rate": 1e9, "epochs": 50, "max_normalised": False})
    before = dict(vars(model))
    with pytest.raises(ValueError, match="learning_rate"):
        getattr(model, learn)(TEXT * 50)
    assert vars(model) == before


def test_single_precision_follows_the_formula():
    rows, synapses, counts = random_windows(0)
    start = synapses.astype(np.float32)
    for max_normalised in (True, False):
        with Learner(start, counts) as learner:
            learner.step(rows, 0.3, max_normalised=max_normalised)
            wanted = by_formula(rows, start.astype(np.float64), counts, 0.3, max_normalised=max_normalised)
            assert learner.synapses.dtype == np.float32
            np.testing.assert_allclose(learner.synapses, wanted, atol=1e-6)


def published(folder, words, synapses=None):
    if synapses is None:
        synapses = np.random.default_rng(0).normal(size=(12, 2 * len(words))).astype(np.float32)
    np.save(folder / "synapses.npy", synapses)
    return FlyVec.from_published(folder / "synapses.npy", words), synapses


def test_signs_of_the_published_model_are_read_as_signs(tmp_path):
    model, synapses = published(tmp_path, ["<UNK>", "<NUM>", "bank", "money"])
    assert model.words_ == ["0", "bank", "money"]
    unit = synapses / np.linalg.norm(synapses, axis=1, keepdims=True)
    np.testing.assert_allclose(model.synapses_, unit[:, [1, 2, 3, 5, 6, 7]], rtol=1e-6)
    assert model.codes(["<UNK>", "bank"], 3).unknown == ["<UNK>"]
    assert {word for word, _ in model.nearest("bank", 9, hash_length=3)} == {"0", "money"}
    assert model.document_codes(["5 or 7", "unheard"], 3).known.tolist() == [True, False]
    plain, _ = published(tmp_path, None, synapses)
    assert plain.words_ == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="<NUM>"):
        published(tmp_path, ["<NUM>", "0", "a", "b"])


HEADERS = (
    "(" * 900,
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, '''4",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000000000000, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -4), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (2, 4), }",
    "{'descr': [1], 'fortran_order': False, 'shape': (2, 4), }",
)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.filterwarnings("ignore")
def test_no_header_of_a_file_escapes(header, tmp_path):
    path = tmp_path / "synapses.npy"
    written = header.encode() + b" " * (63 - (len(header) + 10) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(written).to_bytes(2, "little") + written + bytes(64))
    with pytest.raises(ValueError, match="path"):
        FlyVec.from_published(path)


def test_large_synapses_keep_their_direction(tmp_path):
    model, _ = published(tmp_path, ["a", "b"], np.full((2, 4), 1e30, np.float32))
    np.testing.assert_allclose(model.synapses_, 0.5)
    with pytest.raises(ValueError, match="finite"):
        published(tmp_path, ["a", "b"], np.full((2, 4), 1e300))


def test_words_that_fit_no_synapses_are_refused(tmp_path):
    for words in ([["a"], ["b"]], [None, None], [float("nan")] * 2):
        with pytest.raises(TypeError, match="words"):
            published(tmp_path, words, np.ones((2, 4)))
    dictionary = tmp_path / "words.txt"
    for number in ("²", "9" * 5000, "-1", ""):
        dictionary.write_text(f"2\n{number}\ta\t5\n1\tb\t6\n", encoding="utf-8")
        with pytest.raises(ValueError, match="line 2"):
            published(tmp_path, dictionary, np.ones((2, 4)))


def test_a_model_that_has_learned_is_used_as_it_is_when_frozen(tmp_path):
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    model = fitted()
    vectorizer = FlyVecVectorizer(frozen(model), hash_length=4)
    wanted = model.document_codes(["the cat", "cold stocks"], 4).unpack()
    for one in (vectorizer, clone(vectorizer)):
        assert (one.fit(["other words"]).transform(["the cat", "cold stocks"]) == wanted).all()
    vectorizer.save(tmp_path / "vectorizer")
    loaded = FlyVecVectorizer.load(tmp_path / "vectorizer")
    assert (clone(loaded).fit(["other words"]).transform(["the cat", "cold stocks"]) == wanted).all()


@pytest.mark.parametrize("packed", [False, True])
def test_saved_vectorizers_come_back_whole(packed, tmp_path):
    vectorizer = FlyVecVectorizer(FlyVec(**SMALL), hash_length=4, packed=packed).fit(TEXT)
    vectorizer.save(tmp_path / "vectorizer")
    loaded = FlyVecVectorizer.load(tmp_path / "vectorizer")
    assert (loaded.transform(TEXT) == vectorizer.transform(TEXT)).all()
    assert (loaded.hash_length, loaded.packed) == (4, packed) and loaded.model.get_params() == vectorizer.model.get_params()
    assert (clone(loaded).fit(TEXT).transform(TEXT) == vectorizer.transform(TEXT)).all()
    with pytest.raises(ValueError, match="FlyVec"):
        FlyVec.load(tmp_path / "vectorizer")


def test_settings_of_the_default_model_can_be_searched():
    assert FlyVecVectorizer().set_params(model__cells=8).model.cells == 8
    settings = {f"model__{name}": [value] for name, value in SMALL.items()} | {"model__cells": [8, 12]}

    class Length(FlyVecVectorizer):
        def score(self, X, y=None):
            return self.transform(X).shape[1]

    assert GridSearchCV(Length(hash_length=4), settings, cv=2).fit(TEXT).best_params_["model__cells"] == 12
