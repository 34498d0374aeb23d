"""The dense memory as a classifier of scikit-learn."""

import sys
import warnings

import numpy as np
import pytest
import torch

import attractor.estimators
from attractor import AttractorWarning
from attractor.data import load
from attractor.estimators import DenseMemoryClassifier
from attractor.estimators.dense_classifier import TEMPERATURES, temperature_of
from attractor.estimators.sequential import SequentialLearner

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402


def blobs(seed=0, classes=3, rows=150):
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = generator.normal(size=(classes, 6)) * 4
    return centres[labels] + generator.normal(size=(rows, 6)), labels


@parametrize_with_checks([DenseMemoryClassifier(memories=16, epochs=6, random_state=0)])
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n", [2, 5, 10, 20])
def test_digits_are_classified_at_the_documented_temperature(n):
    images, tests = load("digits").split(1400, 397, seed=1)
    initialise = "krotov" if n < 5 else "data"
    classifier = DenseMemoryClassifier(n=n, initialise=initialise, limits=(0, 1), epochs=15, random_state=1)
    classifier.fit(images.patterns.numpy(), images.labels.numpy())
    assert classifier.model_.temperature == temperature_of(n) == TEMPERATURES[n]
    assert classifier.score(tests.patterns.numpy(), tests.labels.numpy()) >= 0.94


def test_partial_fit_learns_from_batches():
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=12, random_state=0, limits=(-20, 20))
    for _ in range(10):
        for start in range(0, 150, 50):
            classifier.partial_fit(X[start : start + 50], y[start : start + 50], classes=[0, 1, 2])
    assert classifier.score(X, y) > 0.95


def test_partial_fit_keeps_what_it_has_learned():
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=12, random_state=0).fit(X, y)
    before = classifier.model_
    classifier.partial_fit(X[:10], y[:10])
    assert classifier.model_ is before and classifier.score(X, y) > 0.9


def test_classes_missing_in_the_first_batch_are_kept_open():
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=12, random_state=0).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert classifier.decision_function(X).shape == (150, 3)
    for _ in range(20):
        classifier.partial_fit(X, y)
    assert classifier.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("calls", "word"),
    [
        ([{}], "classes"),
        ([{"classes": [0, 1, 2]}, {"classes": [0, 1]}], "first call"),
        ([{"classes": [0, 1]}], r"\[2\]"),
    ],
)
def test_bad_classes_of_partial_fit_are_named(calls, word):
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=4)
    for call in calls[:-1]:
        classifier.partial_fit(X, y, **call)
    with pytest.raises(ValueError, match=word):
        classifier.partial_fit(X, y, **calls[-1])


def test_same_seed_same_scores_and_the_global_generator_is_left_alone():
    X, y = blobs()
    before = torch.get_rng_state()
    one, two, other = (DenseMemoryClassifier(memories=6, epochs=2, random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert np.array_equal(one.decision_function(X), two.decision_function(X))
    assert not np.array_equal(one.decision_function(X), other.decision_function(X))
    assert torch.equal(torch.get_rng_state(), before)


def test_precision_is_that_of_the_features():
    X, y = blobs()
    for dtype, expected in ((np.float32, torch.float32), (np.float64, torch.float64), (np.int64, torch.float64)):
        classifier = DenseMemoryClassifier(memories=6, epochs=1, random_state=0).fit(X.astype(dtype), y)
        assert classifier.model_.memories.dtype == expected
        assert classifier.predict(X.astype(np.float32)).shape == (150,)


def test_labels_come_back_as_they_were():
    X, y = blobs(classes=2)
    names = np.array(["yes", "no"])[y]
    classifier = DenseMemoryClassifier(memories=6, random_state=0).fit(X, names)
    scores = classifier.decision_function(X)
    assert scores.shape == (150,) and np.array_equal(classifier.predict(X), np.where(scores > 0, "yes", "no"))
    assert classifier.score(X, names) > 0.95


def test_values_beyond_the_range_are_cut_off():
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=6, epochs=2, random_state=0).fit(X, y)
    assert np.array_equal(classifier.decision_function(X + 1e6), classifier.decision_function(X + 1e3))


def test_dead_memories_are_told_with_their_share():
    X, y = blobs()
    # at one end of the range nothing overlaps with memories from noise
    with pytest.warns(AttractorWarning, match="% of 8 memories are dead"):
        DenseMemoryClassifier(memories=8, n=30, epochs=1, temperature=1000.0, random_state=0).fit(X.astype(np.float32), y)


def test_dead_memories_are_judged_by_all_items():
    # memories that start below zero answer to the last items alone
    X = np.ones((1300, 64))
    X[1200:] = -1
    y = np.arange(1300) % 2
    classifier = DenseMemoryClassifier(memories=8, initialise="krotov", limits=(-1, 1), epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, y)
    assert classifier.model_.dead_share(torch.from_numpy(X[:1200])) == 1
    with pytest.warns(AttractorWarning, match="100% of 8 memories are dead"):
        classifier.fit(X[:1200], y[:1200])


REFUSED = [
    ({}, lambda X, y: (X[:, :4], np.zeros(len(X)))),
    ({"learning_rate": -1.0}, lambda X, y: (X[:, :4], y)),
    ({"limits": (1, 0)}, lambda X, y: (X[:, :4], y)),
    ({"n": 1}, lambda X, y: (X[:, :4], y)),
]


@pytest.mark.parametrize(("settings", "change"), REFUSED)
def test_refused_fit_leaves_the_estimator_as_it_was(settings, change):
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=6, epochs=2, random_state=0).fit(X, y)
    before = classifier.decision_function(X)
    with pytest.raises(ValueError):
        classifier.set_params(**settings).fit(*change(X, y))
    assert np.array_equal(classifier.decision_function(X), before) and classifier.n_features_in_ == 6


@pytest.mark.parametrize(("settings", "change"), REFUSED[1:])
def test_refused_first_batch_leaves_an_estimator_that_is_not_fitted(settings, change):
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=6, random_state=0, **settings)
    with pytest.raises(ValueError):
        classifier.partial_fit(*change(X, y), classes=[0, 1, 2])
    assert not [name for name in vars(classifier) if name.endswith("_")]


@pytest.mark.parametrize("limits", [(0, np.inf), (-1e308, 1e308), (0, 1, 2), (0,), 3, (np.nan, 1), ("a", "b"), (1, 1)])
def test_limits_that_are_no_range_are_refused(limits):
    with pytest.raises(ValueError, match="limits"):
        DenseMemoryClassifier(memories=4, epochs=1, limits=limits).fit(*blobs())


def test_limits_keep_the_precision_of_the_features():
    X, y = blobs()
    classifier = DenseMemoryClassifier(memories=4, epochs=1, limits=(-20, 20), random_state=0).fit(X.astype(np.float32), y)
    assert classifier.model_.memories.dtype == torch.float32


def test_feature_that_was_constant_says_nothing_later():
    X, y = blobs()
    X[:, 2] = 5
    classifier = DenseMemoryClassifier(memories=6, epochs=2, random_state=0).fit(X, y)
    other = X.copy()
    other[:, 2] = np.linspace(4, 9, len(X))
    assert np.array_equal(classifier.decision_function(other), classifier.decision_function(X))


def test_each_pass_of_partial_fit_has_its_own_order(monkeypatch):
    seen, step = [], SequentialLearner._step

    def watched(learner, optimizer, items, labels):
        seen.append(items)
        step(learner, optimizer, items, labels)

    monkeypatch.setattr(SequentialLearner, "_step", watched)
    X, y = blobs()
    finals = []
    for _ in range(2):
        classifier = DenseMemoryClassifier(memories=6, random_state=0, batch_size=150)
        for _ in range(3):
            classifier.partial_fit(X, y, classes=[0, 1, 2])
        finals.append(classifier.decision_function(X))
    first, second, third = seen[:3]
    assert not torch.equal(first, second) and not torch.equal(second, third) and np.array_equal(*finals)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"n": 1}, "n must"),
        ({"temperature": 0}, "temperature"),
        ({"interaction": "cubic"}, "interaction"),
        ({"initialise": "zeros"}, "initialise"),
        ({"limits": (1, 0)}, "limits"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1}, "lr"),
        ({"momentum": 1.0}, "momentum"),
        ({"power": 0}, "power"),
    ],
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises(ValueError, match=word):
        clone(DenseMemoryClassifier(memories=4, epochs=1)).set_params(**settings).fit(*blobs())


def test_temperatures_between_the_documented_ones_are_interpolated():
    assert temperature_of(5) == TEMPERATURES[5] and TEMPERATURES[5] < temperature_of(7) < TEMPERATURES[10]
    assert temperature_of(100) == TEMPERATURES[30]


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "attractor.estimators.dense_classifier")
    with pytest.raises(ImportError, match=r"attractor\[sklearn\]"):
        assert attractor.estimators.DenseMemoryClassifier
