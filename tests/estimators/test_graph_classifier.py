"""Classification of graphs with scikit-learn's interface."""

import sys
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
import torch

import attractor.estimators
from attractor.data.graph_collection import Graph
from attractor.estimators.graph_classifier import GraphClassifier
from attractor.estimators.graph_input import graphs_from

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402  # after the skip
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score  # noqa: E402

SMALL = {"dim": 16, "heads": 2, "key_dim": 8, "memories": 16, "blocks": 1, "positions": 2, "learning_rate": 0.02, "random_state": 0}


def small(**settings):
    return GraphClassifier(**(SMALL | {"epochs": 8, "batch_size": 16} | settings))


def rings_and_stars(count=32):
    graphs = [networkx.cycle_graph(4 + n % 5) if n % 2 else networkx.star_graph(3 + n % 5) for n in range(count)]
    return graphs, np.array(["ring" if n % 2 else "star" for n in range(count)])


def as_graph(one, *, features=None):
    index = torch.tensor([(a, b) for a, others in one.adjacency() for b in others], dtype=torch.int64).reshape(-1, 2).T
    nodes = torch.tensor([float(degree) for _, degree in one.degree])[:, None] if features is None else features
    return Graph(nodes, index)


@pytest.fixture(scope="module")
def fitted():
    graphs, y = rings_and_stars()
    return small(epochs=20).fit(graphs, y)


def test_rings_are_told_from_stars(fitted):
    graphs, y = rings_and_stars()
    assert fitted.score(graphs, y) == 1 and fitted.classes_.tolist() == ["ring", "star"]
    chances = fitted.predict_proba(graphs)
    assert chances.shape == (32, 2) and np.allclose(chances.sum(1), 1)
    assert np.array_equal(fitted.classes_[chances.argmax(1)], fitted.predict(graphs))
    assert fitted.losses_[-1] < fitted.losses_[0] / 2


def test_kinds_of_edges_can_be_all_that_tells_graphs_apart():
    def ring(kind):
        pairs = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
        return Graph(torch.ones(4, 1), torch.cat([pairs, pairs.flip(0)], 1), torch.full((8, 1), float(kind)))

    graphs, y = [ring(n % 2 * 2 - 1) for n in range(16)], np.arange(16) % 2
    assert small(epochs=40).fit(graphs, y).score(graphs, y) == 1
    assert small(epochs=40, weighted=False).fit(graphs, y).score(graphs, y) == 0.5


def test_order_and_batches_of_prediction_change_nothing(fitted):
    graphs, _ = rings_and_stars(9)
    whole = fitted.predict_proba(graphs)
    assert np.allclose(fitted.predict_proba(graphs[::-1])[::-1], whole, atol=1e-6)
    assert np.allclose(np.concatenate([fitted.predict_proba([one]) for one in graphs]), whole, atol=1e-6)
    assert np.array_equal(fitted.predict_proba(graphs), whole)


def test_same_seed_same_chances_and_the_global_generator_is_left_alone():
    graphs, y = rings_and_stars(16)
    before = torch.get_rng_state()
    one, two, other = (small(epochs=2, random_state=seed).fit(graphs, y).predict_proba(graphs) for seed in (0, 0, 1))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_cross_validation_of_scikit_learn_takes_lists_of_graphs():
    graphs, y = rings_and_stars(48)
    scores = cross_val_score(small(epochs=25), graphs, y, cv=StratifiedKFold(2, shuffle=True, random_state=0))
    assert scores.shape == (2,) and scores.mean() > 0.9
    search = GridSearchCV(small(epochs=2), {"blocks": [1, 2]}, cv=2).fit(graphs, y)
    assert search.best_estimator_.blocks in (1, 2)


def test_folds_are_fitted_on_their_training_part_only(monkeypatch):
    graphs, y = rings_and_stars(12)
    true, seen = GraphClassifier.fit, []

    def watched(self, graphs, y):
        seen.append([id(one) for one in graphs])
        return true(self, graphs, y)

    monkeypatch.setattr(GraphClassifier, "fit", watched)
    cuts = StratifiedKFold(3)
    cross_val_score(small(epochs=1), graphs, y, cv=cuts)
    assert seen == [[id(graphs[row]) for row in rows] for rows, _ in cuts.split(graphs, y)]


def test_labels_that_mean_nothing_are_not_predicted():
    """What is trained on can be learned by heart; what is held out cannot, unless something leaks."""
    generator = torch.Generator().manual_seed(0)
    y = np.arange(48) % 2
    graphs = [as_graph(networkx.cycle_graph(5), features=torch.randn(5, 30, generator=generator)) for _ in y]
    by_heart = small(epochs=25, batch_size=16, noise=0.0)
    scores = cross_val_score(by_heart, graphs, y, cv=StratifiedKFold(3, shuffle=True, random_state=0))
    # three deviations of a coin thrown 48 times
    assert abs(scores.mean() - 0.5) < 3 * 0.5 / 48**0.5
    assert by_heart.fit(graphs, y).score(graphs, y) > 0.8


def test_a_large_graph_beside_them_changes_nothing_for_others(fitted):
    graphs, _ = rings_and_stars(6)
    large = networkx.star_graph(40)
    assert np.allclose(fitted.predict_proba([*graphs, large])[:6], fitted.predict_proba(graphs), atol=1e-6)


def test_features_of_any_size_are_learned():
    graphs, y = rings_and_stars(16)
    huge = [as_graph(one) for one in graphs]
    huge = [Graph(one.node_features * 1e6, one.edge_index) for one in huge]
    classifier = small(epochs=40).fit(huge, y)
    assert classifier.node_scale_.tolist() == [7e6] and classifier.score(huge, y) == 1


def test_a_graph_is_the_same_in_every_form(fitted):
    forms = []
    for one in rings_and_stars(4)[0]:
        plain = as_graph(one)
        geometric = SimpleNamespace(x=plain.node_features, edge_index=plain.edge_index.flip(0), edge_attr=None)
        named = networkx.relabel_nodes(one, {node: f"node {node}" for node in one})
        forms.append([one, plain, geometric, named])
    chances = [fitted.predict_proba(list(graphs)) for graphs in zip(*forms, strict=True)]
    for other in chances[1:]:
        assert np.array_equal(other, chances[0])


def test_directed_edges_keep_their_direction():
    directed = networkx.DiGraph([(0, 1)])
    geometric = SimpleNamespace(x=None, num_nodes=2, edge_index=torch.tensor([[1], [0]]))
    for one in graphs_from([directed, geometric], max_nodes=5):
        assert one.edge_index.tolist() == [[0], [1]] and one.node_features.tolist() == [[1], [0]]


def test_features_of_networkx_graphs_follow_their_edges():
    one = networkx.Graph()
    one.add_node("a", features=[1, 2])
    one.add_node("b", features=[3, 4])
    one.add_node("c", features=[5, 6])
    one.add_edge("c", "a", features=[7.0])
    one.add_edge("a", "b", features=[8.0])
    lonely = networkx.Graph()
    lonely.add_node(0, features=[0, 1])
    plain, alone = graphs_from([one, lonely], max_nodes=5)
    pairs = {
        tuple(pair): kind for pair, kind in zip(plain.edge_index.T.tolist(), plain.edge_features.flatten().tolist(), strict=True)
    }
    assert pairs == {(0, 2): 7, (2, 0): 7, (0, 1): 8, (1, 0): 8}
    assert plain.node_features.tolist() == [[1, 2], [3, 4], [5, 6]] and alone.edge_features.shape == (0, 1)


def test_precision_is_that_of_the_first_graph():
    graphs, y = rings_and_stars(8)
    double = [Graph(one.node_features.double(), one.edge_index) for one in map(as_graph, graphs)]
    assert next(small(epochs=1).fit(double, y).model_.parameters()).dtype == torch.float64
    assert next(small(epochs=1).fit(graphs, y).model_.parameters()).dtype == torch.float32


def test_progress_is_told_and_never_falls():
    graphs, y = rings_and_stars(8)
    told = []
    small(epochs=4).fit(graphs, y, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def edges_only(count):
    return SimpleNamespace(node_features=torch.ones(2, 1), edge_index=torch.tensor(count), edge_features=None)


@pytest.mark.parametrize(
    ("graphs", "error", "word"),
    [
        ([], ValueError, "at least one graph"),
        (networkx.path_graph(3), TypeError, "sequence of graphs"),
        (7, TypeError, "sequence of graphs"),
        ([networkx.path_graph(3), "no graph"], TypeError, r"graphs\[1\]"),
        ([networkx.path_graph(3), networkx.Graph()], ValueError, r"graphs\[1\].*1 to 20 nodes"),
        ([networkx.path_graph(21)], ValueError, r"graphs\[0\].*max_nodes.*21"),
        ([edges_only([[0], [2]])], ValueError, r"graphs\[0\].*nodes 0 to 1"),
        ([edges_only([[0.0], [1.0]])], TypeError, "integers"),
        ([edges_only([0, 1])], ValueError, "shape"),
        (
            [SimpleNamespace(x=torch.tensor([[1.0], [np.nan]]), edge_index=torch.tensor([[0], [1]]))],
            ValueError,
            r"graphs\[0\].*NaN",
        ),
        (
            [SimpleNamespace(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]), edge_attr=torch.ones(2, 1))],
            ValueError,
            "edges",
        ),
        ([SimpleNamespace(x=[["a"], ["b"]], edge_index=torch.tensor([[0], [1]]))], TypeError, "numbers"),
        ([SimpleNamespace(x=[[1], [1, 2]], edge_index=torch.tensor([[0], [1]]))], ValueError, "equally many"),
        (
            [as_graph(networkx.path_graph(3), features=torch.ones(3, 2)), networkx.path_graph(3)],
            ValueError,
            r"graphs\[1\].*as many",
        ),
    ],
)
def test_bad_graphs_are_named(graphs, error, word):
    with pytest.raises(error, match=word):
        graphs_from(graphs, max_nodes=20)


def test_networkx_graph_with_features_at_some_nodes_only_is_refused():
    one = networkx.path_graph(3)
    one.nodes[1]["features"] = [1.0]
    with pytest.raises(ValueError, match="all nodes or at none"):
        graphs_from([one], max_nodes=5)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"dim": 0}, "dim"),
        ({"heads": 0}, "heads"),
        ({"blocks": 0}, "blocks"),
        ({"depth": 0}, "steps"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"positions": -1}, "positions"),
        ({"kernel": 2}, "kernel"),
        ({"step_size": 0.0}, "step_size"),
        ({"noise": -1.0}, "noise"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"max_nodes": 3}, "max_nodes"),
    ],
)
def test_bad_settings_are_named_and_leave_the_estimator_as_it_was(fitted, settings, word):
    graphs, y = rings_and_stars(8)
    other = clone(fitted).set_params(**settings)
    with pytest.raises(ValueError, match=word):
        other.fit(graphs, y)
    assert not hasattr(other, "model_") and not hasattr(other, "classes_")


@pytest.mark.parametrize(
    ("labels", "word"),
    [(["a"] * 8, "two classes"), ([0, 1], "8 labels"), (np.linspace(0, 1, 8), "continuous"), ([[0, 1]] * 8, "1d|shape")],
)
def test_bad_labels_are_named_and_nothing_changes(labels, word):
    graphs, y = rings_and_stars(8)
    classifier = small(epochs=1).fit(graphs, y)
    before = classifier.predict_proba(graphs)
    with pytest.raises(ValueError, match=word):
        classifier.fit(graphs, labels)
    assert np.array_equal(classifier.predict_proba(graphs), before)


def test_prediction_needs_a_fit_and_the_same_features(fitted):
    with pytest.raises(NotFittedError):
        small().predict(rings_and_stars(4)[0])
    with pytest.raises(ValueError, match=r"as in fit, \(1, None\), got \(2, None\)"):
        fitted.predict([as_graph(networkx.path_graph(3), features=torch.ones(3, 2))])


def test_settings_are_kept_as_they_were_given():
    classifier = GraphClassifier(dim=7, noise=0.3)
    assert classifier.get_params()["dim"] == 7 and clone(classifier).noise == 0.3


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "attractor.estimators.graph_classifier")
    with pytest.raises(ImportError, match=r"attractor\[sklearn\]"):
        attractor.estimators.GraphClassifier  # noqa: B018  # asking for the name is the test
