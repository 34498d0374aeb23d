"""The sparse distributed memory as a continual classifier of scikit-learn."""

import pickle
import warnings

import numpy as np
import pytest
import torch

from attractor.data import load
from attractor.errors import AttractorWarning
from attractor.estimators import SDMClassifier, sdm_classifier

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402


def digits(seed=0):
    images, tests = load("digits").split(1200, 500, seed=seed)
    return images.patterns.numpy(), images.labels.numpy(), tests.patterns.numpy(), tests.labels.numpy()


@parametrize_with_checks(
    [SDMClassifier(neurons=200, random_state=0), SDMClassifier(neurons=200, init_addresses="random", random_state=0)]
)
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


@pytest.mark.parametrize("taught", ["fit", "partial_fit", "load"])
def test_predicting_changes_nothing(taught, tmp_path):
    X, y, X_test, _ = digits()
    classifier = SDMClassifier(neurons=100, init_addresses="random", epochs=1, gaba_switch=100_000, random_state=0)
    classifier = classifier.partial_fit(X, y, range(10)) if taught == "partial_fit" else classifier.fit(X, y)
    before = classifier.decision_function(X_test)
    if taught == "load":
        classifier.save(tmp_path / "sdm")
        classifier = SDMClassifier.load(tmp_path / "sdm")
    state = {name: value.clone() for name, value in classifier.model_.state_dict().items()}
    assert not any(module.training for module in classifier.model_.modules())
    for _ in range(2):
        assert np.array_equal(classifier.decision_function(X_test), before)
    assert all(torch.equal(state[name], value) for name, value in classifier.model_.state_dict().items())


def test_gradients_are_no_longer_than_one(monkeypatch):
    X, y, *_ = digits()
    lengths = []

    class Watched(torch.optim.SGD):
        def __init__(self, parameters, rate):
            super().__init__(parameters, rate)
            self.register_step_post_hook(lambda *_: lengths.append(torch.cat([one.grad.flatten() for one in parameters]).norm()))

    monkeypatch.setattr(torch.optim, "SGD", Watched)
    SDMClassifier(neurons=50, epochs=1, learning_rate=100.0, random_state=0).fit(X, y)
    assert 0.999 < max(lengths) <= 1 + 1e-5


def test_each_pass_of_partial_fit_has_another_order(monkeypatch):
    X, y, *_ = digits()
    classifier, seeds = SDMClassifier(neurons=50, random_state=0), []
    learner = sdm_classifier.SequentialLearner
    monkeypatch.setattr(
        sdm_classifier, "SequentialLearner", lambda *given, **named: seeds.append(named["seed"]) or learner(*given, **named)
    )
    for _ in range(3):
        classifier.partial_fit(X, y, range(10))
    assert len(set(seeds)) == 3


def test_constant_features_say_nothing_whatever_rounding_leaves_of_them():
    X, y, X_test, y_test = digits()
    for noise in (0.0, 1e-8):
        constant = 0.1 + noise * np.random.default_rng(0).standard_normal((len(X), 1))
        wide = np.hstack([X, constant]).astype(np.float32)
        classifier = SDMClassifier(neurons=400, epochs=3, random_state=0).fit(wide, y)
        assert classifier.scale_[-1] == 1 and classifier.mean_[-1] == pytest.approx(0.1)
        with_constant, shifted = (np.hstack([X_test, np.full((len(X_test), 1), at)]).astype(np.float32) for at in (0.1, 0.1001))
        assert np.abs(classifier.decision_function(with_constant) - classifier.decision_function(shifted)).max() < 1e-3
        assert classifier.score(shifted, y_test) > 0.8


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_the_unit_of_the_features_does_not_matter(centre, size):
    X, y, X_test, _ = digits()
    settings = {"neurons": 100, "epochs": 1, "centre": centre, "random_state": 0}
    plain = SDMClassifier(**settings).fit(X, y)
    other = SDMClassifier(**settings).fit((X * np.float32(size)).astype(np.float32), y)
    assert (plain.predict(X_test) == other.predict((X_test * np.float32(size)).astype(np.float32))).mean() > 0.99


def test_a_first_batch_that_cannot_show_everything_is_warned_of():
    X, y, *_ = digits()
    with pytest.warns(AttractorWarning, match="32 items for 100 neurons, of 10 classes out of 10"):
        SDMClassifier(neurons=100).partial_fit(X[:32], y[:32], range(10))
    two = np.isin(y, (0, 1))
    with pytest.warns(AttractorWarning, match="of 2 classes out of 10"):
        SDMClassifier(neurons=100).partial_fit(X[two], y[two], range(10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SDMClassifier(neurons=100).partial_fit(X, y, range(10)).partial_fit(X[:5], y[:5])
        SDMClassifier(neurons=100, init_addresses=X).partial_fit(X[two], y[two], range(10))
        SDMClassifier(neurons=100, init_addresses="random").partial_fit(X[:32], y[:32], range(10))


@pytest.mark.parametrize(("centre", "message"), [(True, "X must have rows that differ"), (False, "X must have rows with positive")])
def test_a_first_batch_without_directions_is_refused_by_name(centre, message):
    with pytest.raises(ValueError, match=message):
        SDMClassifier(centre=centre).partial_fit(np.zeros((1, 4)), [0], [0, 1])


def test_names_of_features_are_saved(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y, *_ = digits()
    frame = pandas.DataFrame(X[:, :30:10], columns=["a", "b", "c"])
    SDMClassifier(neurons=50, epochs=1, random_state=0).fit(frame, y).save(tmp_path / "sdm")
    loaded = SDMClassifier.load(tmp_path / "sdm")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[["c", "b", "a"]])


def test_settings_that_do_not_fit_what_was_saved_make_nothing(tmp_path, monkeypatch):
    X, y, *_ = digits()
    classifier = SDMClassifier(neurons=50, epochs=1, random_state=0).fit(X, y)
    classifier.neurons = 10**9
    classifier.save(tmp_path / "sdm")
    monkeypatch.setattr(sdm_classifier, "SDMLP", None)
    with pytest.raises(ValueError, match="weights of the shapes"):
        SDMClassifier.load(tmp_path / "sdm")


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
        ({"gaba_switch": 0}, "gaba_switch must be"),
        ({"init_addresses": "nowhere"}, "init_addresses"),
        ({"init_addresses": None}, "init_addresses must be 'data', 'random' or an array, got None"),
        ({"init_addresses": np.ones((3, 5))}, "64 features"),
        ({"init_addresses": np.ones((3, 64))}, "init_addresses must have rows that differ"),
        ({"init_addresses": np.zeros((3, 64)), "centre": False}, "init_addresses must have rows with positive entries"),
        ({"init_addresses": -np.ones((3, 64)), "centre": False}, "as init_addresses with centre=False"),
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
