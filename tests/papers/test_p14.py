"""The measurements of paper 14, at small sizes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from papers.stand_ins import quiet

from attractor.data import DataUnavailableError, load_table
from attractor.papers import paper_module
from attractor.papers.figures import Chart

pytest.importorskip("sklearn")
from attractor.papers.p14_clam import blobs, claims, deep, ingredients, reproduction, tables  # after the skip
from attractor.papers.p14_clam.sizes import SIZES

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = replace(SIZES["smoke"], tables=("iris",), means=2, seeds=1, epochs=(1, 1))


def test_every_claim_gets_its_row_and_the_figures_show_all_methods(monkeypatch):
    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    report = paper_module("14").run("smoke", 0)
    assert [row.claim for row in report.rows] == list(claims.PAPER.claims)
    measured = {row.claim: row for row in report.rows if row.measured is not None}
    assert claims.GAIN["iris"] in measured and claims.GAIN["yale"] not in measured
    assert "20 runs of 60 steps" in measured[claims.GAIN["iris"]].note
    assert "annealed beta: Silhouette" in measured[claims.ANNEALED].note
    assert set(claims.DEEP_CLAIMS) <= measured.keys()
    assert all(measured[claim].measured > 0 for claim in claims.TIMES.values()) and measured[claims.BLOBS["k-means++"]].ok
    assert all(isinstance(figure, Chart) for figure in report.figures)
    assert [series.label for series in report.figures[0].series] == list(tables.METHODS)


@pytest.mark.parametrize("name", list(claims.PINNED))
def test_k_means_pins_the_scaling(name):
    try:
        table = load_table(name)
    except DataUnavailableError as error:
        pytest.skip(str(error))
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from sklearn.preprocessing import StandardScaler

    X = StandardScaler().fit_transform(table.values.numpy())
    labels = KMeans(len(table.classes), n_init=100 if len(X) < 1000 else 20, random_state=0).fit(X).labels_
    assert silhouette_score(X, labels) == pytest.approx(claims.PINNED[name], abs=0.005)


def test_absent_tables_say_so(monkeypatch):
    def unavailable(name):
        raise DataUnavailableError(f"get {name}")

    monkeypatch.setattr(tables, "load_table", unavailable)
    monkeypatch.setattr(deep, "load", unavailable)
    rows = tables.measure_tables(replace(TINY, tables=("ecoli",)), 0, quiet).rows
    assert all(row.measured is None and row.note for row in rows)
    assert next(row for row in rows if row.claim is claims.GAIN["ecoli"]).note == "get ecoli"
    assert all(row.note == "get digits" for row in deep.measure_deep(TINY, 0, quiet).rows)


def test_noise_features_defeat_completion():
    assert blobs.agreement("noisy", "k-means", 0) < 0.9 < blobs.agreement("corners", "k-means", 0)


def test_search_without_all_labels_fails():
    search = SimpleNamespace(table=[SimpleNamespace(clusters=6), SimpleNamespace(clusters=5)])
    assert tables.judged_whole(search, 7, None) == [-1.0, 0.0, 6.0]


def test_gains_are_relative():
    assert tables.gain([0.3, 0, 0], [0.2, 0, 0]) == pytest.approx(50)
    assert tables.gain([0.1, 0, 0], [-0.2, 0, 0]) == pytest.approx(150)


def test_picked_labelling_has_the_largest_silhouette():
    X = np.array([[0.0], [1.0], [10.0], [11.0]])
    apart, mixed = np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32)
    assert tables.picked(X, [mixed, apart, mixed]) is apart


def test_annealing_ends_with_all_of_beta_after_as_many_steps(monkeypatch):
    from attractor.estimators.clam.training import Training

    seen = []

    def train(self, points, restarts, rates, generator):
        seen.append((float(restarts.beta.max()) * 4, len(rates)))
        return restarts

    monkeypatch.setattr(Training, "train", train)
    ingredients.best_silhouette(np.random.default_rng(0).normal(size=(40, 4)), 3, 0, 60, True)
    assert [beta for beta, _ in seen] == pytest.approx([50 * part for part in ingredients.STAGES])
    assert [steps for _, steps in seen] == [7, 7, 7, 7, 32]
