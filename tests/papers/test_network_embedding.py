"""The measurements of paper 17, at small sizes."""

from dataclasses import replace

import networkx
import numpy as np
import pytest
import torch

from attractor.data import DataUnavailableError, LabelledNetwork
from attractor.papers import paper_module
from attractor.papers.p17_network_embedding import baselines, classification, tasks
from attractor.papers.p17_network_embedding.claims import CONNECTOME, GRAPHS, LASTFM, PAPER
from attractor.papers.p17_network_embedding.sizes import SIZES

KARATE = networkx.to_scipy_sparse_array(networkx.karate_club_graph(), weight=None, dtype=float)
TINY = replace(SIZES["smoke"], recall_epochs=2, epochs=(3, 3), splits=1, walks=1, networks=2, steps=10)


def quiet(done):
    assert 0 <= done <= 1


def blocks(name):
    """Four groups of friends in the place of a real network."""
    graph = networkx.planted_partition_graph(4, 40, 0.25, 0.01, seed=0)
    edges = torch.tensor([sorted(edge) for edge in graph.edges]).T
    return LabelledNetwork(edges, torch.arange(160) // 40, name)


@pytest.fixture
def small(monkeypatch):
    for module in (classification, tasks):
        monkeypatch.setattr(module, "load_network", blocks)


def unavailable(name):
    raise DataUnavailableError("put it into your data folder")


@pytest.mark.parametrize(("window", "negative"), [(1, 1.0), (2, 1.0), (5, 2.0)])
def test_netmf_is_that_of_its_dense_formula(window, negative, monkeypatch):
    monkeypatch.setattr(baselines, "ROWS", 10)
    dense = KARATE.toarray()
    degrees = dense.sum(1)
    step = dense / degrees[:, None]
    total = sum(np.linalg.matrix_power(step, power) for power in range(1, window + 1)) / degrees
    wanted = np.log(np.maximum(1, 2 * 78 / (negative * window) * total))
    np.testing.assert_allclose(baselines.proximities(KARATE, window=window, negative=negative).toarray(), wanted, atol=1e-12)
    left, values, _ = np.linalg.svd(wanted)
    found = baselines.netmf(KARATE, 6, window=window, negative=negative)
    reference = left[:, :6] * np.sqrt(values[:6])
    signs = np.sign((found * reference).sum(0))
    gaps = np.diff(values[:7])
    single = np.abs(gaps) > 1e-6
    kept = [place for place in range(6) if single[place] and (place == 0 or single[place - 1])]
    assert len(kept) >= 4
    np.testing.assert_allclose((found * signs)[:, kept], reference[:, kept], atol=1e-6)
    # what the signs and rotations of equal singular values leave alone
    np.testing.assert_allclose(found.T @ found, np.diag(values[:6]), atol=1e-6)


def test_netmf_gives_lonely_nodes_nothing():
    padded = KARATE.copy()
    padded.resize((35, 35))
    found = baselines.netmf(padded.tocsr(), 4)
    assert found.shape == (35, 4) and np.abs(found[34]).max() < 1e-9
    with pytest.raises(ValueError, match="dim"):
        baselines.netmf(KARATE, 34)


def test_deepwalk_puts_friends_together():
    pytest.importorskip("gensim")
    adjacency = classification.adjacency_of(blocks("blocks"))
    rows = classification.unit(baselines.deepwalk(adjacency, 16, walks=20))
    near = rows @ rows.T
    same = np.equal.outer(np.arange(160) // 40, np.arange(160) // 40)
    assert near[same].mean() > near[~same].mean() + 0.2
    np.testing.assert_array_equal(rows, classification.unit(baselines.deepwalk(adjacency, 16, walks=20)))


def test_groups_are_classified_and_compared_on_the_same_splits(small):
    size = replace(TINY, epochs=(30, 30), splits=2)
    measured = classification.measure_classification(size, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[1:22])
    first = measured.rows[0]
    assert first.n == classification.CONNECTOME_SPLITS and "NetMF" in first.note
    assert measured.rows[2].measured is None and "larger scale" in measured.rows[2].note
    micro = measured.rows[18]
    assert micro.measured > 0.8
    assert [figure.name for figure in measured.figures] == ["f1-10", "f1-50"]


def test_the_lead_is_that_over_the_better_method():
    runs = {
        (CONNECTOME, name): [{"micro 10": [value, value + 0.1], "seconds": 1.0}]
        for name, value in zip(classification.METHODS, (0.7, 0.5, 0.6), strict=True)
    }
    row = classification.row_of(runs, {}, classification.METHODS, PAPER.claims[1], CONNECTOME, "micro 10")
    assert row.measured == pytest.approx(0.1) and row.ok and row.n == 2 and row.seconds == 3.0


def test_without_gensim_the_notes_say_so(small, monkeypatch):
    monkeypatch.setattr(classification, "find_spec", lambda name: None)
    row = classification.measure_classification(TINY, 0, quiet).rows[0]
    assert "pip install gensim" in row.note and "DeepWalk 0" not in row.note


def test_tasks_are_measured_and_a_wrong_answer_is_seen(small, monkeypatch):
    size = replace(TINY, graphs=GRAPHS, epochs=(40, 40))
    settings = {"memories": 16, "window": 3}
    monkeypatch.setitem(classification.SETTINGS, LASTFM, settings)
    recall, links, late, modular, weight = tasks.measure_tasks(size, 0, quiet).rows
    assert links.measured > 0.7 and late.measured < 0.2 and modular.measured > 0.25 and weight.measured == 0.0
    assert recall.baseline == pytest.approx(1.0) and recall.n == 160
    monkeypatch.setattr(tasks, "area", lambda scores: float(np.mean(scores) * 0))
    assert tasks.measure_tasks(size, 0, quiet).rows[1].ok is False


def test_a_rise_of_the_energy_is_seen(monkeypatch):
    assert tasks.measure_descent(TINY, 0, quiet).rows[0].ok
    monkeypatch.setattr(tasks, "STEP_SIZES", (2.5,))
    assert tasks.measure_descent(TINY, 0, quiet).rows[0].ok is False


def test_areas_of_pairs():
    assert tasks.area(np.array([3.0, 4.0, 1.0, 2.0])) == 1.0
    assert tasks.area(np.array([1.0, 2.0, 3.0, 4.0])) == 0.0


def test_without_networks_rows_say_what_is_needed(monkeypatch):
    for module in (classification, tasks):
        monkeypatch.setattr(module, "load_network", unavailable)
    size = replace(TINY, graphs=GRAPHS)
    rows = [*classification.measure_classification(size, 0, quiet).rows, *tasks.measure_tasks(size, 0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[1:])
    assert all(row.measured is None and "data folder" in row.note for row in rows)


def test_a_run_gives_a_row_for_each_claim(small, monkeypatch):
    from attractor.papers.p17_network_embedding import reproduction

    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    report = paper_module("17").run("smoke", 0)
    assert [row.claim for row in report.rows] == list(PAPER.claims)
