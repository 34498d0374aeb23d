"""Anomalous nodes of graphs: forms of edges, training, and the habits of scikit-learn and PyOD."""

import pickle
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score, roc_auc_score

import attractor.estimators
from attractor.estimators import GraphAnomalyDetector
from attractor.estimators.graph_anomaly.edges import relations_from
from attractor.estimators.graph_anomaly.network import NodeEnergyTransformer
from attractor.estimators.graph_anomaly.sampling import Neighbourhoods
from attractor.estimators.graph_anomaly.training import (
    NodeGraph,
    Target,
    area_under_roc,
    best_threshold,
    macro_f1,
    train,
)
from attractor.estimators.saving import save_estimator

networkx = pytest.importorskip("networkx")
sparse = pytest.importorskip("scipy.sparse")

QUICK = {"dim": 8, "epochs": 30, "random_state": 0}


def cliques(groups=40, size=5, seed=0):
    """Groups of nodes, all of one label, whose features tell a little each: the group tells much."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(groups) % 4 == 0, size).astype(int)
    X = rng.normal(size=(groups * size, 2)).astype(np.float32) + 0.8 * y[:, None].astype(np.float32)
    first, second = np.nonzero(np.arange(groups * size)[:, None] // size == np.arange(groups * size) // size)
    different = first != second
    return X, np.stack([first[different], second[different]]), y


@pytest.fixture(scope="module")
def fitted():
    X, edges, y = cliques()
    return GraphAnomalyDetector(**QUICK).fit(X, edges, y)


def test_graph_tells_more_than_the_features():
    X, edges, y = cliques(groups=120)
    known = np.where(np.arange(len(y)) // 20 % 2 == 0, y, -1)
    nothing = np.empty((2, 0), dtype=int)
    with_graph = GraphAnomalyDetector(**QUICK).fit(X, edges, known)
    without = GraphAnomalyDetector(**QUICK).fit(X, nothing, known)
    hidden = known < 0
    areas = [roc_auc_score(y[hidden], each.decision_scores_[hidden]) for each in (with_graph, without)]
    assert areas[0] > areas[1] + 0.08


def test_another_graph_is_scored_without_training(fitted):
    X, edges, y = cliques(groups=60, seed=1)
    assert fitted.score(X, edges, y) > 0.9
    assert fitted.predict(X, edges).shape == y.shape


def test_scores_probabilities_and_labels_agree(fitted):
    X, edges, y = cliques()
    scores = fitted.decision_function(X, edges)
    np.testing.assert_array_equal(scores, fitted.decision_scores_)
    np.testing.assert_array_equal(fitted.labels_, scores > fitted.threshold_)
    np.testing.assert_array_equal(fitted.predict(X, edges), fitted.labels_)
    probabilities = fitted.predict_proba(X, edges)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-scores)))
    assert fitted.score(X, edges, y) == pytest.approx(roc_auc_score(y, scores))
    assert fitted.classes_.tolist() == [0, 1] and fitted.n_features_in_ == 2


def forms(edges, nodes):
    graph = networkx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(edges.T.tolist())
    ones = np.ones(edges.shape[1])
    return {
        "numpy": edges,
        "list": edges.tolist(),
        "torch": torch.from_numpy(edges),
        "csr": sparse.csr_matrix((ones, edges), shape=(nodes, nodes)),
        "coo_array": sparse.coo_array((ones, tuple(edges)), shape=(nodes, nodes)),
        "networkx": graph,
        "data": SimpleNamespace(edge_index=torch.from_numpy(edges).flip(0), num_nodes=nodes),
        "mapping": {"edges": edges},
        "twice": np.concatenate([edges, edges], 1),
        "with loops": np.concatenate([edges, np.stack([np.arange(nodes)] * 2)], 1),
    }


@pytest.mark.parametrize("form", forms(np.zeros((2, 0), dtype=int), 1))
def test_every_form_of_edges_gives_the_same_scores(fitted, form):
    X, edges, _ = cliques()
    np.testing.assert_allclose(fitted.decision_function(X, forms(edges, len(X))[form]), fitted.decision_scores_, atol=1e-6)


def test_numbered_nodes_of_networkx_keep_their_numbers(fitted):
    X, edges, _ = cliques()
    order = np.random.default_rng(0).permutation(len(X)).tolist()
    graph = networkx.Graph()
    graph.add_nodes_from(order)
    graph.add_edges_from(edges.T.tolist())
    np.testing.assert_allclose(fitted.decision_function(X, graph), fitted.decision_scores_, atol=1e-6)
    named = networkx.relabel_nodes(graph, {node: f"node {node}" for node in order})
    np.testing.assert_allclose(fitted.decision_function(X[order], named), fitted.decision_scores_[order], atol=1e-5)


def test_directed_edges_lead_from_the_node_that_attends():
    graph = networkx.DiGraph()
    graph.add_nodes_from("abc")
    graph.add_edge("a", "c")
    matrix = sparse.csr_matrix(([1.0, 0.0], ([0, 1], [2, 2])), shape=(3, 3))
    data = SimpleNamespace(edge_index=torch.tensor([[2], [0]]))
    for edges in ([[0], [2]], graph, matrix, data):
        assert relations_from(edges, 3)["edges"].tolist() == [[0, 0, 1, 2], [0, 2, 1, 2]]


@pytest.mark.parametrize(
    ("edges", "error", "word"),
    [
        (np.array([[0], [200]]), ValueError, "0 to 199"),
        (np.array([[-1], [0]]), ValueError, "-1"),
        (np.array([0, 1]), ValueError, "shape"),
        (np.array([[0, 1, 2]]), ValueError, "shape"),
        (np.array([[0.5], [1.0]]), TypeError, "integers"),
        (np.array([[True], [False]]), TypeError, "integers"),
        ("edges", TypeError, "str"),
        (None, TypeError, "NoneType"),
        ([[[0], [1]], [[0, 1], [1, 2]]], ValueError, "edges must have as many"),
        (SimpleNamespace(edge_index=None), TypeError, "edge_index of edges"),
        ({}, ValueError, "relation"),
        (sparse.eye(3), ValueError, "matrix"),
        (networkx.path_graph(3), ValueError, "200 nodes"),
        ({"one": [[0], [1]], "two": [[0], [999]]}, ValueError, "two"),
    ],
)
def test_bad_edges_are_refused_and_change_nothing(edges, error, word):
    X, good, y = cliques()
    detector = GraphAnomalyDetector(**{**QUICK, "epochs": 2}).fit(X, good, y)
    before = dict(detector.__dict__)
    with pytest.raises(error, match=word):
        detector.fit(X, edges, y)
    with pytest.raises(error, match=word):
        detector.predict(X, edges)
    assert detector.__dict__ == before


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (lambda X, y: {"X": changed(X, (3, 1), np.nan)}, ValueError, "NaN"),
        (lambda X, y: {"X": changed(X, (3, 1), np.inf)}, ValueError, "infinity"),
        (lambda X, y: {"X": X[:0], "y": y[:0]}, ValueError, "sample"),
        (lambda X, y: {"y": y[:-1]}, ValueError, "y must have shape"),
        (lambda X, y: {"y": y + 0.0}, TypeError, "integers"),
        (lambda X, y: {"y": changed(y, 0, 2)}, ValueError, r"\[2\]"),
        (lambda X, y: {"y": 0 * y}, ValueError, "anomalous"),
        (lambda X, y: {"y": 0 * y + 1}, ValueError, "normal"),
        (lambda X, y: {"y": 0 * y - 1}, ValueError, "both classes"),
        (lambda X, y: {"train_mask": y == 0}, ValueError, "anomalous"),
        (lambda X, y: {"train_mask": np.arange(200) < 100, "validation_mask": np.arange(200) < 100}, ValueError, "overlap"),
        (lambda X, y: {"validation_mask": y == 1}, ValueError, "both classes"),
        (lambda X, y: {"validation_mask": y}, TypeError, "Boolean"),
        (lambda X, y: {"train_mask": np.ones(3, dtype=bool)}, ValueError, "train_mask"),
        (lambda X, y: {"y": np.where(np.arange(200) < 99, y, -1), "train_mask": np.arange(200) < 100}, ValueError, "label -1"),
    ],
)
def test_bad_data_are_refused_and_change_nothing(change, error, word):
    X, edges, y = cliques()
    detector = GraphAnomalyDetector(**QUICK)
    before = dict(detector.__dict__)
    with pytest.raises(error, match=word):
        detector.fit(**{"X": X, "edges": edges, "y": y, **change(X, y)})
    assert detector.__dict__ == before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dim", 0),
        ("heads", 0),
        ("key_dim", 0),
        ("steps", 0),
        ("step_size", 0.0),
        ("step_size", -1.0),
        ("memories", -1),
        ("weight_decay", -1.0),
        ("device", "cuda:99"),
        ("validation_fraction", 0.0),
        ("validation_fraction", 0.001),
        ("validation_fraction", 0.999),
        ("activation", "sigmoid"),
        ("dropout", 1.0),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("anomaly_weight", -1.0),
        ("validation_fraction", 1.5),
        ("batch_size", 0),
        ("neighbours", 0),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    X, edges, y = cliques()
    with pytest.raises(ValueError, match=setting):
        GraphAnomalyDetector(**{**QUICK, setting: value}).fit(X, edges, y)


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e25, 1e200])
def test_size_of_features_changes_nothing(size):
    X, edges, y = cliques()
    X, few = X.astype(float), {**QUICK, "epochs": 3}
    plain, scaled = (GraphAnomalyDetector(**few).fit(each, edges, y) for each in (X, X * size))
    np.testing.assert_allclose(plain.decision_scores_, scaled.decision_scores_, atol=1e-6)
    if 1e-38 < size < 1e38:
        single = GraphAnomalyDetector(**few).fit((X * size).astype(np.float32), edges, y)
        np.testing.assert_allclose(plain.decision_scores_, single.decision_scores_, atol=1e-3)


def test_constant_feature_stays_small_where_it_is_not_constant():
    X, edges, y = cliques()
    X = np.concatenate([X, np.full((len(X), 1), 0.1)], 1).astype(float)
    detector = GraphAnomalyDetector(**{**QUICK, "epochs": 3}).fit(X, edges, y)
    assert detector.scale_[2] == pytest.approx(0.1)
    moved = changed(X, (0, 2), 0.1 + 1e-6)
    np.testing.assert_allclose(detector.decision_function(moved, edges), detector.decision_scores_, atol=1e-3)


def test_features_that_overflow_once_standardised_are_refused(fitted):
    X, edges, _ = cliques()
    with pytest.raises(ValueError, match="X must have features that are finite"):
        fitted.predict(X.astype(float) * 1e300, edges)


def test_integer_features_are_single_precision():
    X, edges, y = cliques()
    detector = GraphAnomalyDetector(**{**QUICK, "epochs": 2}).fit((10 * X).astype(int), edges, y)
    assert next(detector.network_.parameters()).dtype == torch.float32


def test_far_scores_give_probabilities_without_a_warning(fitted, monkeypatch, recwarn):
    monkeypatch.setattr(GraphAnomalyDetector, "decision_function", lambda self, X, edges: np.array([-1000.0, 1000.0]))
    np.testing.assert_array_equal(fitted.predict_proba(None, None), [[1, 0], [0, 1]])
    assert not recwarn.list


def test_saved_detector_is_the_same(fitted, tmp_path):
    X, edges, _ = cliques()
    fitted.save(tmp_path / "detector")
    again = GraphAnomalyDetector.load(tmp_path / "detector")
    assert again.get_params() == fitted.get_params()
    for name in vars(fitted).keys() - {"network_"} - fitted.get_params().keys():
        assert type(getattr(again, name)) is type(getattr(fitted, name)), name
        np.testing.assert_array_equal(getattr(again, name), getattr(fitted, name))
    np.testing.assert_array_equal(again.decision_function(X, edges), fitted.decision_scores_)
    np.testing.assert_array_equal(again.predict(X, edges), fitted.labels_)


def test_files_that_hold_no_detector_are_refused(fitted, tmp_path):
    with pytest.raises(NotFittedError):
        GraphAnomalyDetector().save(tmp_path / "empty")
    (tmp_path / "damaged").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="damaged"):
        GraphAnomalyDetector.load(tmp_path / "damaged")
    save_estimator(fitted, tmp_path / "half", {"mean_": torch.zeros(2)}, {"threshold_": 0.0})
    with pytest.raises(ValueError, match="path must be a saved GraphAnomalyDetector"):
        GraphAnomalyDetector.load(tmp_path / "half")


def test_other_features_or_relations_than_those_of_fit_are_refused(fitted):
    X, edges, _ = cliques()
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, :1], edges)
    with pytest.raises(ValueError, match="relations of fit"):
        fitted.predict(X, {"friends": edges})


def test_asking_before_fit_is_refused():
    X, edges, _ = cliques()
    with pytest.raises(NotFittedError):
        GraphAnomalyDetector().predict(X, edges)


def test_settings_are_read_set_and_cloned(fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params() and not hasattr(twin, "network_")
    assert twin.set_params(steps=3).steps == 3


def test_same_seed_same_scores_and_the_global_generator_is_left_alone(fitted):
    X, edges, y = cliques()
    before = torch.get_rng_state()
    again = GraphAnomalyDetector(**QUICK).fit(X, edges, y)
    other = GraphAnomalyDetector(**{**QUICK, "random_state": 1}).fit(X, edges, y)
    np.testing.assert_array_equal(again.decision_scores_, fitted.decision_scores_)
    assert not np.array_equal(other.decision_scores_, fitted.decision_scores_)
    assert torch.equal(torch.get_rng_state(), before)


def test_fitted_detector_is_pickled(fitted):
    X, edges, _ = cliques()
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decision_function(X, edges), fitted.decision_scores_)


def test_labels_of_hidden_nodes_and_their_order_change_nothing(fitted):
    """Labels are no input: the scores of a fitted detector cannot depend on them, nor on how nodes are numbered."""
    X, edges, _ = cliques()
    order = np.random.default_rng(0).permutation(len(X))
    place = np.argsort(order)
    np.testing.assert_allclose(fitted.decision_function(X[order], place[edges]), fitted.decision_scores_[order], atol=1e-5)


def test_units_of_features_change_nothing():
    X, edges, y = cliques()
    X = np.concatenate([X, np.full((len(X), 1), 7, dtype=np.float32)], 1).astype(np.float64)
    settings_ = {**QUICK, "epochs": 5}
    one = GraphAnomalyDetector(**settings_).fit(X, edges, y)
    other = GraphAnomalyDetector(**settings_).fit(1000 * X + 5, edges, y)
    np.testing.assert_allclose(one.decision_scores_, other.decision_scores_, atol=1e-6)
    assert next(one.network_.parameters()).dtype == torch.float64


def test_dropout_is_off_where_nodes_are_scored():
    """Published code scored validation and test nodes in training mode."""
    X, edges, y = cliques()
    detector = GraphAnomalyDetector(**{**QUICK, "dropout": 0.5, "epochs": 5}).fit(X, edges, y)
    detector.network_.train()
    first, second = detector.decision_function(X, edges), detector.decision_function(X, edges)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, detector.decision_scores_)
    plain = GraphAnomalyDetector(**{**QUICK, "epochs": 5}).fit(X, edges, y)
    assert not np.array_equal(plain.decision_scores_, first)


def test_state_keeps_what_the_norm_takes_away():
    """Published code starts the residual from LN(x): then shift and length of the embedding are lost."""
    generator = torch.Generator().manual_seed(0)
    network = NodeEnergyTransformer(2, 4, heads=1, key_dim=4, memories=8, steps=1, step_size=0.3, generator=generator)
    edges = {"e": torch.tensor([[0, 1, 0, 1], [0, 1, 1, 0]])}
    features = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    start = network.embed(features)[None]
    g = network.block.normalize(start)
    end = network.block.normalize(start + 0.3 * network.block.force(g, mask=edges["e"]))
    expected = network.read_out(torch.cat([g, end], -1))[0, :, 0]
    torch.testing.assert_close(network(features, edges), expected)


def test_energy_of_the_trained_block_falls(fitted):
    X, edges, _ = cliques()
    block, index = fitted.network_.block, relations_from(edges, len(X))["edges"]
    start = fitted.network_.embed(torch.from_numpy((X - fitted.mean_) / fitted.scale_).float())[None]
    energies = [block.energy(block.normalize(block(start, mask=index, steps=steps, step_size=0.1))) for steps in (1, 2, 5, 20)]
    assert all(later < earlier for earlier, later in pairwise(energies))


def test_gain_stays_positive_whatever_the_steps():
    X, edges, y = cliques()
    detector = GraphAnomalyDetector(**{**QUICK, "learning_rate": 0.5, "epochs": 40}).fit(X, edges, y)
    assert detector.network_.block.norm.gain.item() > 0


def test_several_relations_share_one_block():
    X, edges, y = cliques()
    half = edges.shape[1] // 2
    relations = {"near": edges[:, :half], "far": edges[:, half:]}
    detector = GraphAnomalyDetector(**QUICK).fit(X, relations, y)
    assert detector.relations_ == ("near", "far")
    parameters = sum(p.numel() for p in detector.network_.parameters())
    assert parameters == sum(p.numel() for p in GraphAnomalyDetector(**QUICK).fit(X, edges, y).network_.parameters())
    swapped = {"far": relations["far"], "near": relations["near"]}
    np.testing.assert_array_equal(detector.decision_function(X, swapped), detector.decision_scores_)
    assert detector.score(X, relations, y) > 0.8
    network, graph = detector.network_, detector._graph(X, relations_from(relations, len(X)))
    start = network.embed(graph.features)[None]
    end = torch.stack([start, *(network.block(start, mask=each) for each in graph.relations.values())]).amax(0)
    seen = torch.cat([network.block.normalize(start), network.block.normalize(end)], -1)
    np.testing.assert_allclose(network.read_out(seen)[0, :, 0].detach(), detector.decision_scores_, atol=1e-5)


def test_small_batches_learn_the_same_task():
    X, edges, y = cliques(groups=80)
    known = np.where(np.arange(len(y)) // 20 % 2 == 0, y, -1)
    detector = GraphAnomalyDetector(**{**QUICK, "epochs": 8, "batch_size": 32, "neighbours": 4}).fit(X, edges, known)
    assert roc_auc_score(y[known < 0], detector.decision_scores_[known < 0]) > 0.9


@pytest.mark.parametrize("directed", [False, True])
def test_parts_that_hold_everything_in_reach_give_the_scores_of_the_whole_graph(directed):
    """Two hops for each step: the queries of a node's neighbours are normalised over their own neighbours.

    The neighbours are those that a node attends to and those that attend to it.
    """
    X, _, _ = cliques(groups=12)
    ring = np.stack([np.arange(60), (np.arange(60) + 1) % 60])
    spokes = np.array([[40, 50], [7, 41]])  # node 7 depends on 40, so on 41, so on 50, so on 51
    edges = relations_from(np.concatenate([ring, spokes] if directed else [ring, ring[::-1], spokes, spokes[::-1]], 1), 60)
    generator = torch.Generator().manual_seed(0)
    network = NodeEnergyTransformer(
        2, 8, heads=2, key_dim=4, memories=8, steps=2, step_size=1.0, init="scaled", generator=generator
    ).double()
    features = torch.from_numpy(X).double()
    seeds = torch.tensor([7, 31])
    whole = network(features, edges)[seeds]
    draw = Neighbourhoods(edges, 60)
    parts = [draw(seeds, hops=hops, neighbours=20, generator=torch.Generator().manual_seed(0)) for hops in (3, 4)]
    too_few, enough = (network(features[nodes], inner)[:2] for nodes, inner in parts)
    torch.testing.assert_close(enough, whole)
    assert not torch.allclose(too_few, whole)


def test_a_node_is_not_drawn_as_its_own_neighbour():
    star = relations_from([[0] * 5, [1, 2, 3, 4, 5]], 6)
    draw, generator = Neighbourhoods(star, 6), torch.Generator().manual_seed(0)
    drawn = [draw(torch.tensor([0]), hops=1, neighbours=1, generator=generator)[0].tolist() for _ in range(100)]
    assert all(len(nodes) == 2 for nodes in drawn) and {nodes[1] for nodes in drawn} == {1, 2, 3, 4, 5}


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 20), st.integers(0, 60), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_drawn_parts_hold_the_seeds_and_all_edges_among_their_nodes(nodes, count, hops, most, seed):
    generator = torch.Generator().manual_seed(seed)
    index = relations_from(torch.randint(nodes, (2, count), generator=generator), nodes)["edges"]
    seeds = torch.randperm(nodes, generator=generator)[:2]
    found, inner = Neighbourhoods({"e": index}, nodes)(seeds, hops=hops, neighbours=most, generator=generator)
    kept = found.tolist()
    assert kept[: len(seeds)] == seeds.tolist() and len(set(kept)) == len(kept)
    assert len(kept) <= len(seeds) * sum(most**hop for hop in range(hops + 1))
    near = [{b for a, b in index.T.tolist() if a == node} | {a for a, b in index.T.tolist() if b == node} for node in kept[:2]]
    assert all(set(kept) & some - {node} or not some - {node} for node, some in zip(kept[:2], near, strict=True))
    expected = {(a, b) for a, b in index.T.tolist() if a in kept and b in kept}
    assert {(kept[a], kept[b]) for a, b in inner["e"].T.tolist()} == expected


def test_masks_choose_who_is_learned_from():
    X, edges, y = cliques()
    here = np.arange(len(y))
    masks = {"train_mask": here % 2 == 0, "validation_mask": here % 4 == 1}
    detector = GraphAnomalyDetector(**QUICK).fit(X, edges, y, **masks)
    unseen = here % 4 == 3
    relabelled = GraphAnomalyDetector(**QUICK).fit(X, edges, np.where(unseen, 1 - y, y), **masks)
    np.testing.assert_array_equal(detector.decision_scores_, relabelled.decision_scores_)
    hidden = GraphAnomalyDetector(**QUICK).fit(X, edges, np.where(unseen, -1, y), validation_mask=masks["validation_mask"])
    np.testing.assert_array_equal(detector.decision_scores_, hidden.decision_scores_)
    assert detector.validation_score_ == pytest.approx(roc_auc_score(y[here % 4 == 1], detector.decision_scores_[here % 4 == 1]))


def test_threshold_is_chosen_on_validation_nodes_alone():
    """Labels of the validation nodes are stirred, so that other nodes would give another threshold."""
    X, edges, y = cliques()
    here = np.arange(len(y))
    train_mask, validation_mask = here % 2 == 0, here % 4 == 1
    y = np.where(validation_mask & (here % 8 != 1), 1, y)
    detector = GraphAnomalyDetector(**QUICK).fit(X, edges, y, train_mask=train_mask, validation_mask=validation_mask)

    def threshold(nodes):
        values = np.linspace(0.05, 0.95, 19)
        chances = expit(detector.decision_scores_[nodes])
        return values[np.argmax([f1_score(y[nodes], chances > value, average="macro") for value in values])]

    assert expit(detector.threshold_) == pytest.approx(threshold(validation_mask))
    for others in (train_mask, train_mask | validation_mask, here >= 0, ~train_mask & ~validation_mask):
        assert threshold(others) != threshold(validation_mask)


def test_training_that_diverges_is_refused_and_changes_nothing(fitted):
    X, edges, y = cliques()
    detector = GraphAnomalyDetector(**{**QUICK, "anomaly_weight": 1e300})
    before = dict(detector.__dict__)
    with pytest.raises(ValueError, match="training diverged at epoch 0: lower learning_rate or anomaly_weight"):
        detector.fit(X, edges, y)
    assert detector.__dict__ == before


def test_log_odds_that_are_not_finite_are_no_scores():
    labels = torch.tensor([0.0, 1, 0, 1])
    network = Fixed(torch.tensor([[0.0, 0, 1, 0], [torch.nan] * 4]))
    with pytest.raises(ValueError, match="training diverged at epoch 1"):
        train(
            network,
            NodeGraph(torch.zeros(4, 1), {}),
            Target(labels, torch.tensor([0, 1]), torch.tensor([2, 3])),
            epochs=2,
            learning_rate=1e-9,
            weight_decay=0.0,
            anomaly_weight=1.0,
            sampling=None,
            generator=torch.Generator(),
        )


class Fixed(torch.nn.Module):
    """Gives the log-odds of a table, one row an epoch; nothing that is learned changes them."""

    def __init__(self, table):
        super().__init__()
        self.table, self.place = table, torch.nn.Parameter(torch.tensor(-1.0))

    def forward(self, features, relations):
        if self.training:
            with torch.no_grad():
                self.place += 1
        return self.table[int(self.place.round())] + 0 * self.place


def test_best_epoch_on_validation_nodes_is_kept():
    labels = torch.tensor([0.0, 1, 0, 1])
    table = torch.tensor([[0.0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 1, 0]])
    network, told = Fixed(table), []
    best = train(
        network,
        NodeGraph(torch.zeros(4, 1), {}),
        Target(labels, torch.tensor([0, 1]), torch.tensor([2, 3])),
        epochs=3,
        learning_rate=1e-9,
        weight_decay=0.0,
        anomaly_weight=1.0,
        sampling=None,
        generator=torch.Generator(),
        progress=told.append,
    )
    assert (best.epoch, best.area, int(network.place)) == (1, 1.0, 1)
    assert told == pytest.approx([1 / 3, 2 / 3, 1])


def test_weight_of_anomalies_raises_their_scores():
    X, edges, y = cliques()
    means = [
        GraphAnomalyDetector(**{**QUICK, "anomaly_weight": weight}).fit(X, edges, y).decision_scores_.mean()
        for weight in (0.2, 20.0)
    ]
    assert means[0] < means[1]
    one_of_each_group = np.arange(len(y)) % 5 == 0
    balanced, three = (
        GraphAnomalyDetector(**{**QUICK, "anomaly_weight": weight}).fit(X, edges, y, validation_mask=one_of_each_group)
        for weight in ("balanced", 3.0)  # a quarter of the groups is anomalous
    )
    np.testing.assert_allclose(balanced.decision_scores_, three.decision_scores_, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30).filter(lambda r: len({t for _, t in r}) == 2)
)
def test_measures_are_those_of_scikit_learn(rows):
    values, true = torch.tensor([float(v) for v, _ in rows]), torch.tensor([t for _, t in rows])
    assert area_under_roc(values, true) == pytest.approx(roc_auc_score(true, values))
    assert macro_f1(values > 0, true) == pytest.approx(f1_score(true, values > 0, average="macro"))
    threshold = best_threshold(values, true)
    every = [macro_f1(values.sigmoid() > each, true) for each in np.linspace(0.05, 0.95, 19)]
    assert macro_f1(values > threshold, true) == pytest.approx(max(every))


def test_names_are_handed_on():
    assert attractor.estimators.GraphAnomalyDetector is GraphAnomalyDetector
    with pytest.raises(AttributeError, match="NoSuchDetector"):
        assert attractor.estimators.NoSuchDetector
