"""The sparse distributed memory as a continual classifier of scikit-learn."""

import pickle

import numpy as np
import pytest
import torch

from attractor.data import load
from attractor.estimators import SDMClassifier

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402


def digits(seed=0):
    images, tests = load("digits").split(1200, 500, seed=seed)
    return images.patterns.numpy(), images.labels.numpy(), tests.patterns.numpy(), tests.labels.numpy()


@parametrize_with_checks([SDMClassifier(neurons=200, random_state=0)])
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("centre", "least"), [(False, 0.94), (True, 0.88)])
def test_digits_are_classified(centre, least):
    X, y, X_test, y_test = digits()
    classifier = SDMClassifier(neurons=400, centre=centre, epochs=8, random_state=0).fit(X, y)
    assert classifier.score(X_test, y_test) >= least


def test_classes_that_come_one_after_the_other_are_not_forgotten():
    X, y, X_test, y_test = digits()
    classifier = SDMClassifier(neurons=400, init_addresses=X[:400], centre=False, random_state=0)
    for label in range(10):
        for _ in range(8):
            classifier.partial_fit(X[400:][y[400:] == label], y[400:][y[400:] == label], classes=range(10))
    assert classifier.score(X_test, y_test) >= 0.9


def test_probabilities_and_scores_agree_with_the_prediction():
    X, y, X_test, _ = digits()
    classifier = SDMClassifier(neurons=200, epochs=2, random_state=0).fit(X, y)
    probabilities = classifier.predict_proba(X_test)
    assert np.allclose(probabilities.sum(1), 1) and probabilities.min() >= 0
    assert (classifier.classes_[probabilities.argmax(1)] == classifier.predict(X_test)).all()
    assert (classifier.decision_function(X_test).argmax(1) == probabilities.argmax(1)).all()


def test_addresses_of_an_array_are_its_rows():
    X, y, *_ = digits()
    classifier = SDMClassifier(neurons=50, init_addresses=X[:50], centre=False, learning_rate=1e-12, random_state=0).fit(X, y)
    expected = X[:50] / np.linalg.norm(X[:50], axis=1, keepdims=True)
    products = classifier.model_.hidden.addresses.detach().numpy() @ expected.T
    assert np.allclose(products.max(1), 1, atol=1e-5) and len(set(products.argmax(1))) == 50


def test_centred_features_may_be_negative_and_shifted():
    X, y, *_ = digits()
    first = SDMClassifier(neurons=100, epochs=2, random_state=0).fit(X.astype(np.float64), y)
    other = SDMClassifier(neurons=100, epochs=2, random_state=0).fit(X.astype(np.float64) * 4 - 9, y)
    assert np.allclose(first.decision_function(X), other.decision_function(X * 4.0 - 9), atol=1e-6)


def test_same_random_state_gives_the_same_model():
    X, y, *_ = digits()
    one, two = (SDMClassifier(neurons=100, epochs=1, random_state=3).fit(X, y) for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(one.model_.values, two.model_.values)
    assert not torch.equal(one.model_.values, SDMClassifier(neurons=100, epochs=1, random_state=4).fit(X, y).model_.values)


def test_progress_is_told():
    X, y, *_ = digits()
    told = []
    SDMClassifier(neurons=100, epochs=4, progress=told.append).fit(X, y)
    assert told == [0, 0.25, 0.5, 0.75]


def test_saved_classifier_answers_alike_and_goes_on(tmp_path):
    X, y, X_test, _ = digits()
    classifier = SDMClassifier(neurons=100, epochs=1, init_addresses=X[:80], random_state=0).fit(X, y)
    classifier.save(tmp_path / "sdm")
    loaded = SDMClassifier.load(tmp_path / "sdm")
    assert np.array_equal(loaded.decision_function(X_test), classifier.decision_function(X_test))
    loaded.partial_fit(X[:50], y[:50])
    classifier.partial_fit(X[:50], y[:50])
    assert np.array_equal(loaded.decision_function(X_test), classifier.decision_function(X_test))
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict(X_test), classifier.predict(X_test))
    assert clone(classifier).neurons == 100
    (tmp_path / "other").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="saved SDMClassifier"):
        SDMClassifier.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neurons": 10, "k": 10}, "k must be below"),
        ({"k": 0}, "k must be"),
        ({"gaba_switch": 0}, "switch"),
        ({"init_addresses": "nowhere"}, "init_addresses"),
        ({"init_addresses": np.ones((3, 5))}, "64 features"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    X, y, *_ = digits()
    classifier = SDMClassifier(**settings)
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)
    assert not hasattr(classifier, "model_")


def test_bad_input_is_refused_and_changes_nothing():
    X, y, *_ = digits()
    classifier = SDMClassifier(neurons=100, epochs=1, centre=False, random_state=0).fit(X, y)
    before = classifier.decision_function(X)
    for bad, labels, classes, message in (
        (-X, y, None, "Negative values"),
        (X[:, 1:], y, None, "features"),
        (X, y + 5, None, "labels of classes"),
        (X, y, range(9), "those of the first call"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier.partial_fit(bad, labels, classes)
    with pytest.raises(ValueError, match="classes must be given"):
        SDMClassifier().partial_fit(X, y)
    assert np.array_equal(classifier.decision_function(X), before)
