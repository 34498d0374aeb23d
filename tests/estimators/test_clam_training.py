"""How `ClAM` learns: what is hidden, what restarts are judged by, streams of batches, and the scale of features."""

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
from sklearn.datasets import load_iris  # after the skip
from sklearn.model_selection import GridSearchCV, KFold

from attractor.estimators import ClAM
from attractor.estimators.clam import descent, start, training
from attractor.estimators.clam.points import Points, Restarts
from attractor.estimators.clam.scaling import Moments, location_and_scale
from attractor.estimators.clam.training import Training
from attractor.nn.clam import completion_loss, shared_completion_loss
from attractor.nn.clam.loss import loss_by_overlaps


def blobs(seed=0, rows=300, features=10, clusters=3):
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % clusters
    return 4 * random.normal(size=(clusters, features))[labels] + random.normal(size=(rows, features)), labels


def restarts(generator, count=3, clusters=4, dim=16):
    prototypes = torch.randn(count, clusters, dim, generator=generator)
    return Restarts(prototypes, None, torch.tensor([0.1, 0.3, 1.0])[:count, None, None], False)


@pytest.fixture
def hidden(monkeypatch):
    """The rows and the hidden features of every loss, as they are computed."""
    seen = []

    def loss(landscape, samples, features, **settings):
        seen.append((len(samples), None if features is None else features.tolist()))
        return loss_by_overlaps(landscape, samples, features, **settings)

    monkeypatch.setattr(training, "loss_by_overlaps", loss)
    return seen


def test_each_step_hides_other_features(hidden):
    X, _ = blobs()
    ClAM(3, n_init=1, max_iter=40, random_state=0).fit(X)
    drawn = [tuple(sorted(features)) for _, features in hidden[:40]]
    assert {len(features) for features in drawn} == {2}
    assert len(set(drawn)) > 20 and {feature for features in drawn for feature in features} == set(range(10))


def test_restarts_are_judged_by_every_row_and_every_feature_once(hidden, generator):
    points, begun = Points(torch.randn(90, 16, generator=generator)), restarts(generator)
    judged = Training(5, 0.2, 0.2, 64, 0.05).judged(points, begun, generator)
    assert {rows for rows, _ in hidden} == {90}
    assert sorted(feature for _, features in hidden for feature in features) == list(range(16))
    losses = [
        len(features) * shared_completion_loss(begun.landscape, points.values, torch.tensor(features), steps=5, step_size=0.2)
        for _, features in hidden
    ]
    torch.testing.assert_close(judged, sum(losses) / 16)


def test_restarts_without_hidden_features_are_judged_by_all_rows(generator):
    points, begun = Points(torch.randn(90, 16, generator=generator)), restarts(generator)
    judged = Training(5, 0.2, None, 64, 0.05).judged(points, begun, generator)
    torch.testing.assert_close(judged, shared_completion_loss(begun.landscape, points.values, None, steps=5, step_size=0.2))


def test_missing_values_count_for_nothing_when_restarts_are_judged(generator):
    values, known = torch.randn(90, 6, generator=generator), torch.rand(90, 6, generator=generator) < 0.7
    known[:, 2] = False
    begun = restarts(generator, dim=6)
    judged = Training(5, 0.2, 0.1, 64, 0.05).judged(Points(torch.where(known, values, 0.0), known), begun, generator)
    total = torch.zeros(3)
    for feature in (0, 1, 3, 4, 5):
        mask = torch.zeros(90, 6, dtype=torch.bool).index_fill(1, torch.tensor([feature]), True)
        total += known[:, feature].sum() * completion_loss(begun.landscape, values, mask, steps=5, step_size=0.2, known=known)
    torch.testing.assert_close(judged, total / known.sum())


def test_large_work_is_split_and_the_answer_is_the_same(monkeypatch, generator):
    points, begun = Points(torch.randn(90, 16, generator=generator)), restarts(generator)
    how, seeds = Training(5, 0.2, 0.2, 64, 0.05), points.values[:20].view(5, 4, 16)

    def answers():
        fixed = torch.Generator().manual_seed(0)
        return how.judged(points, begun, fixed), start.lloyd(points.values, seeds, 3)

    whole = answers()
    monkeypatch.setattr(descent, "NUMBERS", 500)
    monkeypatch.setattr(start, "NUMBERS", 500)
    for one, other in zip(whole, answers(), strict=True):
        torch.testing.assert_close(one, other)


def test_defaults_are_those_that_are_documented():
    X, _ = blobs()
    assert ClAM(3, max_iter=1).fit(X).beta_ == 5 / 10
    assert ClAM(3, max_iter=1, spherical=True).fit(X).beta_ == 10
    assert ClAM(3, max_iter=1).fit(X[:, :4])._descent.reach < 1 == ClAM(3, max_iter=1).fit(X)._descent.reach


@pytest.mark.parametrize(("mask_fraction", "least", "most"), [("auto", 1.3, 1.7), (None, 0.95, 1.05)])
def test_centres_lie_beyond_the_means_where_features_were_hidden(mask_fraction, least, most):
    X, _ = blobs()
    fitted = ClAM(3, n_init=2, max_iter=200, mask_fraction=mask_fraction, random_state=0).fit(X)
    means = np.stack([X[fitted.labels_ == label].mean(0) for label in range(3)])
    lengths = [np.linalg.norm((one - fitted.mean_) / fitted.scale_, axis=1) for one in (fitted.cluster_centers_, means)]
    assert (least < lengths[0] / lengths[1]).all() and (lengths[0] / lengths[1] < most).all()


def test_score_is_the_logarithm_of_a_density():
    X, _ = blobs(features=2)
    X = X * [0.5, 3]
    axes = [np.linspace(one.min() - 5 * one.std(), one.max() + 5 * one.std(), 400) for one in X.T]
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    for settings in ({}, {"weighted": True}, {"beta": 0.7, "standardise": False}):
        fitted = ClAM(3, n_init=1, random_state=0, **settings).fit(X)
        assert np.exp(fitted.score_samples(grid)).sum() * cell == pytest.approx(1, abs=2e-3)


def test_score_does_not_favour_the_smallest_beta():
    folds = KFold(3, shuffle=True, random_state=0)
    grid = GridSearchCV(ClAM(3, n_init=1, max_iter=20, random_state=0), {"beta": [0.01, 0.1, 1.0, 10.0]}, cv=folds).fit(
        load_iris().data
    )
    assert grid.best_params_["beta"] in (1.0, 10.0)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e-20])
def test_scale_of_the_data_does_not_matter(factor):
    X, _ = blobs()
    fitted = ClAM(3, n_init=2, max_iter=20, random_state=0)
    for standardise in (True, False):
        labels = fitted.set_params(standardise=standardise).fit(X).labels_
        assert np.array_equal(fitted.fit(X * factor).labels_, labels) and len(set(labels)) == 3
    with pytest.raises(ValueError, match="deviations"):
        fitted.predict(X * factor * 1e105)


def test_moments_of_batches_are_those_of_all_rows():
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 4)) * [1, 1e-3, 1e3, 0] + [0, 5, -1e3, 7]
    X[random.random(X.shape) < 0.2] = np.nan
    X[:50, 1] = np.nan
    whole, merged = Moments.of(X), Moments.of(X[:30])
    for first in range(30, 120, 30):
        merged = merged.merged(Moments.of(X[first : first + 30]))
    for one, other in zip(whole, merged, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.mean, np.nanmean(X, 0))
    _, scale = location_and_scale(merged, True, False)
    np.testing.assert_allclose(scale[:3], np.nanstd(X, 0)[:3])
    assert scale[3] == 1


def test_stream_has_the_scale_of_all_that_came():
    X, _ = blobs(rows=900)
    fitted = ClAM(3, n_init=2, random_state=0)
    for part in np.split(X * np.linspace(1, 5, 900)[:, None], 9):
        fitted.partial_fit(part)
    np.testing.assert_allclose(fitted.mean_, (X * np.linspace(1, 5, 900)[:, None]).mean(0))
    np.testing.assert_allclose(fitted.scale_, (X * np.linspace(1, 5, 900)[:, None]).std(0))


def test_settings_count_when_learning_goes_on():
    X, _ = blobs()
    fitted = ClAM(3, n_init=2, max_iter=20, random_state=0).fit(X)
    fitted.set_params(beta=3.0, weighted=True).partial_fit(X)
    assert fitted.beta_ == 3 and len(set(fitted.weights_)) == 3
    before = fitted.cluster_centers_
    with pytest.raises(ValueError, match="n_clusters must stay 3"):
        fitted.set_params(n_clusters=5).partial_fit(X)
    assert fitted.cluster_centers_ is before


def test_adam_remembers_between_batches():
    X, _ = blobs(rows=64)
    fitted = ClAM(3, n_init=1, random_state=0)
    for turn in range(4):
        fitted.partial_fit(X)
        assert float(fitted._adam[0]["step"]) == turn + 1
    fresh = ClAM(3, n_init=1, random_state=0).partial_fit(X)
    assert float(fresh._adam[0]["exp_avg_sq"].sum()) != float(fitted._adam[0]["exp_avg_sq"].sum())


@pytest.mark.parametrize(("mask_fraction", "most"), [(None, 0.5), (0.2, 0.6)])
def test_completion_arrives_with_and_without_hidden_features(mask_fraction, most):
    X = load_iris().data
    gaps = np.random.default_rng(0).random(X.shape) < 0.15
    gaps[gaps.all(1)] = False
    clusterer = ClAM(3, missing="complete", mask_fraction=mask_fraction, random_state=0).fit(np.where(gaps, np.nan, X))
    error = (clusterer.complete(np.where(gaps, np.inf, X), known=~gaps) - X)[gaps] / np.broadcast_to(X.std(0), X.shape)[gaps]
    assert np.sqrt(np.mean(error**2)) < most
    with pytest.raises(ValueError, match="infinity"):
        clusterer.complete(np.where(gaps, np.inf, X))
