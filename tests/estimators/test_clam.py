"""Clustering with associative memories, as scikit-learn has its estimators."""

import pickle
import time

import numpy as np
import pytest
import torch
from torch import nn

from attractor.nn import ClAMLayer, DeepClAM

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.metrics import adjusted_rand_score, silhouette_score  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from attractor.estimators import ClAM, fit_deep_clam, search_clam  # noqa: E402
from attractor.estimators.clam.silhouette import silhouettes  # noqa: E402
from attractor.estimators.clam.start import far_apart, lloyd, start  # noqa: E402
from attractor.estimators.clam.training import flushed_denormals  # noqa: E402

CORNERS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def blobs(seed=0, rows=300, features=10):
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = CORNERS if features == 2 else 4 * random.normal(size=(3, features))
    return centres[labels] + random.normal(size=(rows, features)), labels


def quick(clusters=3, **settings):
    return ClAM(clusters, **({"n_init": 3, "max_iter": 60, "random_state": 0} | settings))


@parametrize_with_checks([ClAM(n_init=2)])
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


@pytest.mark.parametrize("init", ["k-means", "normal"])
def test_blobs_are_found_from_every_seed(init):
    for seed in range(5):
        X, y = blobs(seed)
        assert adjusted_rand_score(y, ClAM(3, init=init, n_init=2, random_state=seed).fit(X).labels_) >= 0.99


def test_few_features_are_not_hidden_and_blobs_are_found():
    for seed in range(10):
        X, y = blobs(seed, features=2)
        assert adjusted_rand_score(y, ClAM(3, n_init=2, random_state=seed).fit(X).labels_) >= 0.97


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"spherical": True},
        {"weighted": True},
        {"standardise": False},
        {"mask_fraction": None},
        {"init": "random"},
        {"init": "k-means"},
        {"select": "silhouette"},
        {"missing": "complete"},
    ],
)
def test_labels_are_the_same_from_every_call_and_every_run(settings):
    X, y = blobs()
    clusterer = quick(**settings)
    labels = clusterer.fit_predict(X)
    assert np.array_equal(labels, clusterer.labels_) and np.array_equal(labels, clusterer.predict(X))
    assert np.array_equal(labels, clone(clusterer).fit(X).labels_)
    assert np.array_equal(labels, clusterer.predict_proba(X).argmax(1))
    np.testing.assert_allclose(clusterer.predict_proba(X).sum(1), 1)
    assert adjusted_rand_score(y, labels) > 0.95


def test_unused_prototypes_are_dropped_and_labels_have_no_gap():
    X, _ = blobs(rows=60)
    far = np.concatenate([X[:3], np.full((3, 10), 1e3)])
    clusterer = quick(6, init=far, mask_fraction=None).fit(X)
    assert clusterer.n_clusters_ == len(clusterer.cluster_centers_) == len(clusterer.weights_) < 6
    assert np.array_equal(np.unique(clusterer.labels_), np.arange(clusterer.n_clusters_))
    assert clusterer.transform(X).shape == (60, clusterer.n_clusters_) == (60, len(clusterer.get_feature_names_out()))


def test_selection_by_silhouette_takes_the_best_restart():
    X, _ = blobs(features=6)
    clusterer = quick(4, n_init=8, max_iter=20, init="random", select="silhouette", standardise=False).fit(X)
    assert len(set(clusterer.silhouettes_.round(6))) > 1
    assert clusterer.silhouettes_.max() == pytest.approx(silhouette_score(X, clusterer.labels_), abs=1e-4)
    by_loss = clone(clusterer).set_params(select="loss").fit(X)
    assert by_loss.loss_ == by_loss.losses_.min()


def test_silhouettes_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    points = random.normal(size=(40, 3))
    points[1] = points[0]
    labels = random.integers(0, 4, (5, 40))
    labels[0, :] = 0
    labels[1, 1:] = 2
    mine = silhouettes(torch.from_numpy(points), torch.from_numpy(labels))
    theirs = [-1.0 if len(set(one)) < 2 else silhouette_score(points, one) for one in labels.tolist()]
    np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-5)


def test_k_means_starts_lower_the_inertia(generator):
    points = torch.from_numpy(blobs()[0])

    def inertia(centres):
        return torch.stack([torch.cdist(points, one).square().amin(1).sum() for one in centres])

    seeds = far_apart(points, 3, 4, generator)
    assert bool((inertia(lloyd(points, seeds, 5)) <= inertia(seeds) + 1e-9).all())
    apart, anywhere = (inertia(start(points, 3, 50, how, generator)).median() for how in ("k-means++", "random"))
    assert apart < anywhere
    same = far_apart(torch.ones(5, 2), 3, 2, generator)
    assert bool((same == 1).all())


def test_missing_values_are_filled_in_better_than_by_the_mean():
    X, y = blobs()
    random = np.random.default_rng(1)
    gaps = random.random(X.shape) < 0.15
    holed = np.where(gaps, np.nan, X)
    clusterer = quick(missing="complete", max_iter=200).fit(holed)
    assert adjusted_rand_score(y, clusterer.labels_) > 0.95
    filled = clusterer.complete(holed)
    assert np.array_equal(filled[~gaps], X[~gaps]) and np.isfinite(filled).all()
    by_mean = np.where(gaps, np.nanmean(holed, 0), X)
    assert np.mean((filled - X)[gaps] ** 2) < 0.5 * np.mean((by_mean - X)[gaps] ** 2)
    np.testing.assert_allclose(clusterer.complete(X, known=~gaps), filled)
    assert np.isfinite(clusterer.transform(holed)).all() and np.isfinite(clusterer.score_samples(holed)).all()


def test_outliers_score_low():
    X, _ = blobs()
    clusterer = quick().fit(X)
    assert clusterer.score_samples(X.mean(0, keepdims=True) + 60)[0] < clusterer.score_samples(X).min()
    assert clusterer.score(X) == pytest.approx(clusterer.score_samples(X).mean())


def test_partial_fit_learns_from_a_stream():
    X, y = blobs(rows=900)
    clusterer = quick(n_init=8)
    for part in np.array_split(np.arange(900), 9):
        before = getattr(clusterer, "n_iter_", 0)
        clusterer.partial_fit(X[part])
        assert clusterer.n_iter_ > before and len(clusterer.labels_) == 100
    assert adjusted_rand_score(y, clusterer.predict(X)) > 0.95
    centres = clusterer.cluster_centers_.copy()
    clusterer.partial_fit(X[:100])
    assert 0 < np.abs(clusterer.cluster_centers_ - centres).max() < 3


def test_given_start_is_in_the_units_of_the_data():
    X, y = blobs(features=2)
    X = X * [100, 0.01] + [1e4, 7]
    clusterer = quick(init=CORNERS * [100, 0.01] + [1e4, 7], max_iter=1, learning_rate=1e-6).fit(X)
    np.testing.assert_allclose(clusterer.cluster_centers_, CORNERS * [100, 0.01] + [1e4, 7], rtol=1e-4)
    assert np.array_equal(clusterer.labels_, y)


def test_search_shows_all_it_tried_and_gives_any_of_it():
    X, y = blobs()
    told = []
    options = {"sharpness": (2.0, 20.0), "init": ("k-means",), "n_init": 3, "max_iter": 40, "random_state": 0}
    found = search_clam(X, 3, progress=told.append, **options)
    assert len(found.table) == 2 * 2 * 3 and told[-1] == 1.0
    best = found.best()
    assert max(one.silhouette for one in found.table) == pytest.approx(best.silhouettes_.max())
    assert adjusted_rand_score(y, best.labels_) > 0.95 and np.array_equal(best.predict(X), best.labels_)
    for number in (0, 7):
        one = found.table[number]
        fitted = found.fitted(number)
        assert fitted.loss_ == one.loss and fitted.beta * 10 == pytest.approx(one.sharpness)
        assert fitted.mask_fraction == one.mask_fraction
    assert found.best("loss").loss_ == min(one.loss for one in found.table)
    with pytest.raises(ValueError, match="least_clusters"):
        found.best(least_clusters=4)
    with pytest.raises(ValueError, match="sharpness"):
        search_clam(X, 3, sharpness=())


@pytest.mark.parametrize("settings", [{}, {"weighted": True}, {"spherical": True}, {"select": "silhouette"}])
def test_saved_and_pickled_ones_answer_alike(tmp_path, settings):
    X, _ = blobs()
    clusterer = quick(**settings).fit(X)
    clusterer.save(tmp_path / "clam")
    for other in (ClAM.load(tmp_path / "clam"), pickle.loads(pickle.dumps(clusterer))):
        assert np.array_equal(other.predict(X), clusterer.labels_)
        np.testing.assert_allclose(other.transform(X), clusterer.transform(X))
        other.partial_fit(X)
    (tmp_path / "clam").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="ClAM"):
        ClAM.load(tmp_path / "clam")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"n_clusters": 400}, "n_clusters"),
        ({"mask_fraction": 0.0}, "mask_fraction"),
        ({"mask_fraction": 1.1}, "mask_fraction"),
        ({"beta": 0}, "beta"),
        ({"beta": "auto"}, "beta"),
        ({"steps": 0}, "steps"),
        ({"step_size": 2.0}, "step_size"),
        ({"init": np.ones((3, 9))}, "init"),
        ({"init": "kmeans"}, "init"),
        ({"init": [["a"]]}, "init"),
        ({"select": "best"}, "select"),
        ({"missing": "mean"}, "missing"),
        ({"missing": "complete", "spherical": True}, "spherical"),
        ({"device": "nowhere"}, "device"),
        ({"learning_rate": 1e30}, "learning_rate"),
    ],
)
def test_bad_settings_change_nothing(settings, complaint):
    X, _ = blobs()
    clusterer = quick().fit(X)
    before = clusterer.cluster_centers_
    with pytest.raises(ValueError, match=complaint):
        clusterer.set_params(**settings).fit(X)
    assert clusterer.cluster_centers_ is before


def test_bad_data_are_refused():
    X, _ = blobs()
    holed = X.copy()
    holed[3] = np.nan
    with pytest.raises(NotFittedError):
        quick().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(holed)
    with pytest.raises(ValueError, match=r"rows without any: \[3\]"):
        quick(missing="complete").fit(holed)
    clusterer = quick().fit(X)
    with pytest.raises(ValueError, match="features"):
        clusterer.predict(X[:, :4])
    with pytest.raises(ValueError, match="known"):
        clusterer.complete(X, known=np.ones((2, 2), dtype=bool))


def test_training_leaves_torch_as_it_was():
    X, _ = blobs()
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    told = []
    quick().fit(X, progress=told.append)
    assert torch.equal(before, torch.random.get_rng_state())
    assert told == sorted(told) and told[-1] == 1.0

    def small():
        return torch.full((), 1e-310, dtype=torch.float64).mul(1.0).item()

    assert small() > 0
    with flushed_denormals():
        pass
    assert small() > 0


def test_a_pass_over_many_rows_takes_seconds():
    X = np.random.default_rng(0).normal(size=(20_000, 100)).astype(np.float32)
    start_ = time.process_time()
    ClAM(50, n_init=1, random_state=0).partial_fit(X)
    # a fifth of 100,000 rows, which may take a minute
    assert time.process_time() - start_ < 12


def test_deep_form_finds_blobs_and_reports_both_silhouettes():
    X, y = blobs()
    data = torch.from_numpy(X).float() / 4
    torch.manual_seed(0)
    model = DeepClAM(nn.Linear(10, 3), nn.Linear(3, 10), ClAMLayer(3, 3, steps=1, step_size=1.0))
    told = []
    report = fit_deep_clam(model, data, pretraining=30, epochs=5, learning_rate=1e-2, progress=told.append)
    assert adjusted_rand_score(y, report.labels.numpy()) > 0.95 and report.clusters == 3 and told[-1] == 1.0
    assert report.silhouette_after > report.silhouette_before > 0.3
    assert report.silhouette_before == pytest.approx(silhouette_score(report.latents, report.labels), abs=1e-3)
    assert len(report.losses) == 5 and report.losses[-1] < report.losses[0] * 1.5
    with pytest.raises(ValueError, match="data"):
        fit_deep_clam(model, data[:2])
    with pytest.raises(ValueError, match="sharpness"):
        fit_deep_clam(model, data, sharpness=0.0)


def test_search_refuses_what_it_would_ignore():
    X, _ = blobs()
    for settings, complaint in (
        ({"beta": 1.0}, "beta"),
        ({"select": "loss"}, "select"),
        ({"init": "k-means"}, "init"),
        ({"sharpness": 5.0}, "sharpness"),
        ({"mask_fraction": 0.2}, "mask_fraction"),
    ):
        with pytest.raises(TypeError, match=complaint):
            search_clam(X, 3, **settings)
    for init in ((X[:3],), ("kmeans",)):
        with pytest.raises(ValueError, match="init"):
            search_clam(X, 3, init=init)
    found = search_clam(X, 3, sharpness=np.array([2.0, 5.0]), mask_fraction=(None,), init=("random",), n_init=1, max_iter=2)
    assert [one.sharpness for one in found.table] == [2.0, 5.0]


def deep_model(steps=1, **settings):
    torch.manual_seed(0)
    return DeepClAM(nn.Linear(10, 3), nn.Linear(3, 10), ClAMLayer(3, 3, steps=steps, step_size=1.0, **settings))


@pytest.mark.parametrize(("steps", "epochs"), [(4, 2), (1, 3), (3, 1), (2, 5)])
def test_deep_form_ends_with_all_the_steps_and_its_state_dict_answers_alike(steps, epochs):
    data = torch.from_numpy(blobs()[0]).float() / 4
    model, seen = deep_model(), []
    report = fit_deep_clam(
        model, data, pretraining=0, epochs=epochs, steps=steps, progress=lambda done: seen.append(model.clam.steps)
    )
    assert seen == sorted(seen) and len(seen) == epochs and seen[-1] == steps
    fresh = deep_model()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(data).assignments.argmax(-1), report.labels) and model.training
    assert torch.equal(fresh(data).assignments, model(data).assignments)


def test_latents_do_not_collapse_over_several_steps():
    X, y = blobs()
    data = torch.from_numpy(X).float() / 4
    report = fit_deep_clam(deep_model(), data, pretraining=30, epochs=20, steps=4, learning_rate=1e-2)
    assert report.autoencoder_error < 0.5 * float((data - data.mean(0)).square().mean())
    assert adjusted_rand_score(y, report.labels.numpy()) > 0.95


def test_deep_form_is_as_it_was_after_a_failure():
    data = torch.from_numpy(blobs()[0]).float() / 4
    model = deep_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def stop(done):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_deep_clam(model, data, pretraining=1, epochs=1, steps=3, progress=stop)
    with pytest.raises(ValueError, match="learning_rate"):
        fit_deep_clam(model, data, learning_rate=1e30)
    with pytest.raises(ValueError, match="latents"):
        fit_deep_clam(model, torch.ones_like(data), pretraining=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="spherical"):
        fit_deep_clam(deep_model(spherical=True), data)


def test_deep_form_never_reads_all_of_a_large_set_at_once():
    data = torch.from_numpy(blobs(rows=3000)[0]).float() / 4
    model, sizes = deep_model(), []
    model.encoder.register_forward_hook(lambda layer, given, output: sizes.append(len(given[0])))
    report = fit_deep_clam(model, data, pretraining=1, epochs=1)
    assert max(sizes) <= 1024 and len(report.labels) == len(report.latents) == 3000
    assert report.error == pytest.approx(float((model(data).decoded - data).detach().square().mean()), rel=1e-4)
