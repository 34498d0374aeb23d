"""Emotions of dialogues with scikit-learn's interface: what it learns, its probabilities, its files, and the contract it claims."""

import pickle
import sys

import numpy as np
import pytest
import torch

import attractor.estimators
from attractor.data import Exchange
from attractor.estimators.saving import load_estimator, save_estimator
from attractor.language.iamm import Vocabulary, associated_words

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score  # noqa: E402
from sklearn.utils import estimator_checks, get_tags  # noqa: E402

from attractor.estimators.emotion_classifier import AssociativeEmotionClassifier  # noqa: E402
from attractor.estimators.emotion_classifier.calibration import parted, temperature_of  # noqa: E402
from attractor.estimators.emotion_classifier.talks import talks_of  # noqa: E402

SMALL = {"dim": 16, "partners": 3, "keep": 2, "epochs": 4, "batch_size": 8, "learning_rate": 0.01, "random_state": 0}
FEELINGS = {"glad": ("won", "sun", "great"), "sad": ("died", "rain", "lost")}
FILLING = ("my", "dog", "and", "the", "i", "today", "it", "we")


def small(**settings):
    return AssociativeEmotionClassifier(**(SMALL | settings))


def talks(count=48, *, seed=0, glad=0.5):
    """One word of each dialogue, in any of its utterances, tells how it is."""
    random = np.random.RandomState(seed)
    said, y = [], []
    for number in range(count):
        feeling = "glad" if number < glad * count else "sad"
        texts = [" ".join(random.choice(FILLING, 4)) for _ in range(1 + number % 3)]
        place = random.randint(len(texts))
        texts[place] = f"{texts[place]} {random.choice(FEELINGS[feeling])}"
        said.append(texts)
        y.append(feeling)
    order = random.permutation(count)
    return [said[place] for place in order], np.array(y)[order]


@pytest.fixture(scope="module")
def fitted():
    X, y = talks()
    return small(epochs=8).fit(X, y)


def test_what_tells_the_emotion_is_learned_and_found_in_other_dialogues(fitted):
    X, y = talks(40, seed=1)
    assert fitted.score(X, y) > 0.9 and fitted.classes_.tolist() == ["glad", "sad"]
    chances = fitted.predict_proba(X)
    assert chances.shape == (40, 2) and np.allclose(chances.sum(1), 1)
    assert np.array_equal(fitted.classes_[chances.argmax(1)], fitted.predict(X))
    assert np.mean(fitted.losses_[-5:]) < fitted.losses_[0]


def test_order_and_batches_of_prediction_change_nothing(fitted):
    X, _ = talks(9, seed=2)
    whole = fitted.predict_proba(X)
    assert np.allclose(fitted.predict_proba(X[::-1])[::-1], whole, atol=1e-5)
    assert np.allclose(np.concatenate([fitted.predict_proba([one]) for one in X]), whole, atol=1e-5)


def test_same_seed_same_chances_and_the_global_generators_are_left_alone():
    X, y = talks(24)
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    one, two, other = (small(epochs=1, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before) and np.array_equal(np.random.get_state()[1], numbers)


def test_a_dialogue_is_the_same_in_every_form(fitted):
    texts = ["My dog died.", "Oh no!"]
    words = [["my", "dog", "died", "."], ("oh", "no", "!")]
    forms = [texts, tuple(texts), words, np.array(texts), Exchange("1", tuple(texts), "an answer")]
    told = fitted.predict_proba(forms)
    assert np.allclose(told, told[0], atol=1e-6)
    with_scene = fitted.predict_proba([Exchange("1", tuple(texts), "an answer", "we won")])
    assert not np.allclose(with_scene, told[:1], atol=1e-6)


def test_the_situation_is_read_apart_from_the_utterances():
    (one,) = talks_of([Exchange("1", ("A b.",), "c", "D e")])
    assert one.utterances == (("a", "b", "."),) and one.situation == ("d", "e")


def test_words_that_were_held_out_are_unknown():
    X, y = talks(40)
    X = [[f"{one[0]} only{place}"] for place, one in enumerate(X)]
    classifier = small(epochs=1, held_out=0.25).fit(X, y)
    known = {word for word in classifier.vocabulary_.words if word.startswith("only")}
    assert len(known) == 40 - 2 * round(0.25 * 20)
    assert len(small(epochs=1, words=10).fit(X, y).vocabulary_.own) == 10


def test_a_share_of_each_class_is_held_out_and_never_all_of_it():
    labels = np.array([0] * 40 + [1] * 10 + [2])
    learned, held = parted(labels, 0.2, np.random.RandomState(0))
    assert sorted(learned + held) == list(range(51)) and np.bincount(labels[held], minlength=3).tolist() == [8, 2, 0]
    assert parted(labels, 0.0, np.random.RandomState(0))[1] == []
    assert np.bincount(labels[parted(labels, 0.99, np.random.RandomState(0))[0]]).tolist() == [1, 1, 1]


def test_the_temperature_is_what_scores_were_multiplied_by():
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    even = torch.ones(3, dtype=torch.float64)
    for factor in (0.2, 1.0, 5.0):
        assert temperature_of(factor * honest, labels, even) == pytest.approx(factor, rel=0.1)
    # where the second class counts ten times, what speaks against it is less sure
    weighted = temperature_of(honest, labels, torch.tensor([1.0, 10.0, 1.0]).double())
    assert abs(weighted - temperature_of(honest, labels, even)) > 1e-3


def test_what_is_right_without_exception_has_a_temperature_too():
    scores = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double()
    assert 0.1 < temperature_of(scores, torch.tensor([0, 1]), torch.ones(2).double()) < 10
    assert np.isfinite(temperature_of(torch.zeros(2, 2).double(), torch.tensor([0, 1]), torch.ones(2).double()))


def test_probabilities_are_calibrated_where_labels_are_noisy():
    X, y = talks(120)
    other, truth = talks(80, seed=1)
    random = np.random.RandomState(0)
    y, truth = (np.where(random.rand(len(one)) < 0.4, random.permutation(one), one) for one in (y, truth))
    classifier = small(held_out=0.25).fit(X, y)

    def surprise():
        chances = classifier.predict_proba(other)
        return -np.log(chances[np.arange(len(truth)), np.searchsorted(classifier.classes_, truth)]).mean()

    calibrated, before = surprise(), classifier.predict(other)
    assert classifier.temperature_ > 1
    classifier.temperature_ = 1.0
    assert calibrated < surprise() and np.array_equal(classifier.predict(other), before)


def test_without_anything_held_out_the_heads_are_averaged():
    X, y = talks(16)
    assert small(epochs=1, held_out=0.0).fit(X, y).temperature_ == 3
    assert small(epochs=1).fit(X[:4], ["a", "b", "c", "d"]).temperature_ == 3


def test_rare_classes_are_told_more_often_where_they_count_more():
    X, y = talks(60, glad=0.1)
    other, _ = talks(60, seed=1)
    weights = (None, "balanced", {"glad": 30})
    fits = [small(epochs=2, class_weight=weight).fit(X, y) for weight in weights]
    even, balanced, dear = (one.predict_proba(other)[:, 0].mean() for one in fits)
    assert even + 0.05 < balanced < dear


def test_associated_words_of_a_fitted_model_are_found(fitted):
    talk = fitted.vocabulary_.dialogue([["my", "dog"]], ["died"])
    (found,) = associated_words(fitted.model_, [talk], fitted.vocabulary_)
    assert {one.partner for one in found} == {"died"}
    with pytest.raises(ValueError, match="vocabulary must be that of the model"):
        associated_words(fitted.model_, [talk], Vocabulary(fitted.vocabulary_.own[::-1]))


def test_a_saved_classifier_comes_back_with_identical_chances(fitted, tmp_path):
    X, _ = talks(9, seed=3)
    fitted.save(tmp_path / "emotions")
    again = AssociativeEmotionClassifier.load(tmp_path / "emotions")
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X)) and np.array_equal(again.predict(X), fitted.predict(X))
    assert again.get_params() == fitted.get_params() and again.losses_ == fitted.losses_
    assert again.vocabulary_.words == again.model_.vocabulary.words == fitted.vocabulary_.words
    copied = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copied.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize(
    "damage",
    [
        lambda settings, extra: settings.update(dim=10**6),
        lambda settings, extra: settings.update(dim="wide"),
        lambda settings, extra: extra.update(words=extra["words"][1:]),
        lambda settings, extra: extra.update(temperature=0.0),
        lambda settings, extra: extra.pop("classes"),
    ],
)
def test_files_that_do_not_fit_are_refused_before_anything_large_is_built(fitted, tmp_path, damage):
    fitted.save(tmp_path / "emotions")
    settings, state, extra = load_estimator(tmp_path / "emotions", AssociativeEmotionClassifier)
    damage(settings, extra)
    save_estimator(small().set_params(**settings), tmp_path / "emotions", state, extra)
    with pytest.raises(ValueError, match="path must be a saved AssociativeEmotionClassifier"):
        AssociativeEmotionClassifier.load(tmp_path / "emotions")


@pytest.mark.parametrize(
    ("X", "error", "told"),
    [
        ("my dog died", TypeError, "X must be a sequence of dialogues, got str"),
        (["my dog died", "oh"], TypeError, r"X\[0\] must be a sequence of utterances, .* got str"),
        ([["a"], []], ValueError, r"X\[1\] must have at least one utterance"),
        ([["a"], [3]], TypeError, r"X\[1\] must hold texts, .* got 3"),
        ([["a"], [["b", 3]]], TypeError, r"X\[1\] must hold texts"),
        (np.zeros((2, 3)), TypeError, r"X\[0\] must hold texts"),
        ([], ValueError, "X must hold at least one dialogue"),
        ([[""], [""]], ValueError, "words must hold at least one"),
    ],
)
def test_what_are_no_dialogues_is_refused_by_name(X, error, told):
    classifier = small()
    with pytest.raises(error, match=told):
        classifier.fit(X, ["glad", "sad"])
    assert not hasattr(classifier, "classes_")


@pytest.mark.parametrize(
    ("settings", "y", "told"),
    [
        ({}, ["glad"], "y must have 2 labels, one for each dialogue, got 1"),
        ({}, ["glad", "glad"], "y must hold at least two classes"),
        ({}, [0.5, 1.5], "Unknown label type"),
        ({"epochs": 0}, ["glad", "sad"], "epochs"),
        ({"held_out": 1.0}, ["glad", "sad"], "held_out"),
        ({"learning_rate": -1.0}, ["glad", "sad"], "learning_rate"),
        ({"selection": "both"}, ["glad", "sad"], "selection"),
        ({"device": "nowhere"}, ["glad", "sad"], "device"),
        ({"learning_rate": 1e30, "epochs": 40}, ["glad", "sad"], "learning_rate must be smaller, training diverged"),
    ],
)
def test_a_fit_that_raises_changes_nothing(fitted, settings, y, told):
    before = pickle.dumps(fitted.__dict__)
    classifier = pickle.loads(pickle.dumps(fitted)).set_params(**settings)
    state = {name: value for name, value in vars(classifier).items() if name.endswith("_")}
    with pytest.raises(ValueError, match=told):
        classifier.fit([["a b"], ["c d"]], y)
    assert {name: value for name, value in vars(classifier).items() if name.endswith("_")} == state
    assert pickle.dumps(fitted.__dict__) == before


def test_nothing_is_told_before_fit(tmp_path):
    for call in (small().predict, small().predict_proba, lambda X: small().save(tmp_path / "file")):
        with pytest.raises(NotFittedError):
            call([["a"]])


def test_cross_validation_and_searches_of_scikit_learn_take_lists_of_dialogues():
    X, y = talks(96)
    cuts = StratifiedKFold(2, shuffle=True, random_state=0)
    assert cross_val_score(small(epochs=8), X, y, cv=cuts).mean() > 0.7
    X, y = X[:32], y[:32]
    assert cross_val_predict(small(epochs=1), X, y, cv=2, method="predict_proba").shape == (32, 2)
    grid = {"keep": np.arange(1, 3), "learning_rate": np.array([0.01], dtype=np.float32)}
    search = GridSearchCV(small(epochs=1), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.keep in (1, 2)
    copied = clone(search.best_estimator_)
    assert copied.get_params() == search.best_estimator_.get_params() and not hasattr(copied, "model_")


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_the_part_of_the_contract_that_is_not_about_arrays_is_kept(check):
    getattr(estimator_checks, check)("AssociativeEmotionClassifier", AssociativeEmotionClassifier())


def test_it_says_that_it_takes_no_arrays():
    tags = get_tags(small())
    assert (tags.input_tags.two_d_array, tags.input_tags.string, tags.estimator_type) == (False, True, "classifier")


def test_progress_goes_to_the_end():
    X, y = talks(16)
    done = []
    small(epochs=2).fit(X, y, progress=done.append)
    assert done == sorted(done) and done[-1] == 1


def test_without_scikit_learn_the_name_is_there_and_says_what_to_install(monkeypatch):
    assert "AssociativeEmotionClassifier" in attractor.estimators.__all__
    for name in [one for one in sys.modules if one.startswith("attractor.estimators.emotion_classifier")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ImportError, match=r"pip install 'attractor\[sklearn\]'"):
        _ = attractor.estimators.AssociativeEmotionClassifier
