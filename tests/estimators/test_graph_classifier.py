"""Classification of graphs with scikit-learn's interface."""

import sys
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
import torch

import attractor.estimators
from attractor.data.graph_collection import Graph, GraphCollection
from attractor.estimators import graph_training
from attractor.estimators.graph_classifier import GraphClassifier
from attractor.estimators.graph_input import graphs_from
from attractor.estimators.saving import save_estimator
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.nn.energy_transformer.norm import LEAST_GAIN, EnergyLayerNorm

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


def test_collections_are_taken_as_they_are():
    graphs, _ = rings_and_stars(16)
    collection = GraphCollection(tuple(map(as_graph, graphs)), torch.arange(16) % 2, ("star", "ring"), "both")
    classifier = small(epochs=2)
    listed = clone(classifier).fit([*collection], np.arange(16) % 2).predict_proba([*collection])
    assert np.array_equal(classifier.fit(collection, collection.labels).predict_proba(collection), listed)
    assert 0 <= classifier.score(collection, collection.labels) <= 1
    assert cross_val_score(classifier, collection, collection.labels, cv=2).shape == (2,)


def test_grids_of_numpy_are_searched():
    graphs, y = rings_and_stars(8)
    grid = {"blocks": np.arange(1, 3), "step_size": np.linspace(0.1, 0.5, 2, dtype=np.float32)}
    search = GridSearchCV(small(epochs=1), grid, cv=2, error_score="raise").fit(graphs, y)
    assert search.best_params_["blocks"] in (1, 2)


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


def test_a_graph_is_the_same_in_every_form():
    forms = []
    for one in rings_and_stars(4)[0]:
        plain = as_graph(one)
        geometric = SimpleNamespace(x=plain.node_features, edge_index=plain.edge_index.flip(0), edge_attr=None)
        named = networkx.relabel_nodes(one, {node: f"node {node}" for node in one})
        for graph in (one, named):
            networkx.set_node_attributes(graph, dict(graph.degree), "features")
        forms.append([one, plain, geometric, named])
    graphs, y = rings_and_stars()
    fitted = small(epochs=2).fit([as_graph(one) for one in graphs], y)
    chances = [fitted.predict_proba(list(graphs)) for graphs in zip(*forms, strict=True)]
    for other in chances[1:]:
        assert np.array_equal(other, chances[0])


def test_directed_edges_keep_their_direction():
    directed = networkx.DiGraph([(0, 1)])
    geometric = SimpleNamespace(x=None, num_nodes=2, edge_index=torch.tensor([[1], [0]]))
    for one in graphs_from([directed, geometric], max_nodes=5)[0]:
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
    (plain, alone), _ = graphs_from([one, lonely], max_nodes=5)
    pairs = {
        tuple(pair): kind for pair, kind in zip(plain.edge_index.T.tolist(), plain.edge_features.flatten().tolist(), strict=True)
    }
    assert pairs == {(0, 2): 7, (2, 0): 7, (0, 1): 8, (1, 0): 8}
    assert plain.node_features.tolist() == [[1, 2], [3, 4], [5, 6]] and alone.edge_features.shape == (0, 1)


def test_precision_is_the_widest_of_the_graphs():
    graphs, y = rings_and_stars(8)
    single = [as_graph(one) for one in graphs]
    last = Graph(single[-1].node_features.double() * 1e300, single[-1].edge_index)
    mixed = small(epochs=1).fit([*single[:-1], last], y)
    assert next(mixed.model_.parameters()).dtype == torch.float64 and np.isfinite(mixed.losses_).all()
    assert next(small(epochs=1).fit(single, y).model_.parameters()).dtype == torch.float32


@pytest.mark.parametrize("large", [2.0**200, 10**60 // 7])
def test_numbers_that_are_not_finite_in_the_precision_of_fit_are_refused(large):
    graphs, y = rings_and_stars(8)
    single = [as_graph(one) for one in graphs]
    fitted = small(epochs=1).fit(single, y)
    huge = Graph(torch.full((3, 1), float(large), dtype=torch.float64), single[0].edge_index[:, :0])
    with pytest.raises(ValueError, match=r"graphs\[1\].*finite"):
        fitted.predict([single[0], huge])


def test_long_doubles_and_numbers_beyond_single_precision_are_checked_after_the_cast():
    def dots(features):
        return SimpleNamespace(node_features=features, edge_index=[[0], [1]], edge_features=None)

    ((one,), _) = graphs_from([dots(np.ones((2, 1), dtype=np.longdouble))], max_nodes=5)
    assert one.node_features.dtype == torch.float64
    bfloat = torch.full((2, 1), 3e38, dtype=torch.float64)
    assert graphs_from([dots(bfloat)], max_nodes=5)[0][0].node_features.dtype == torch.float64


def test_progress_is_told_and_never_falls():
    graphs, y = rings_and_stars(8)
    told = []
    small(epochs=4).fit(graphs, y, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_order_of_nodes_changes_nothing_without_the_convolution_over_places():
    graphs, y = rings_and_stars(16)
    one = networkx.Graph([(0, 1), (1, 2), (2, 3), (3, 4), (2, 5), (5, 6), (5, 0), (4, 7)])
    classifier = small(kernel=1, positions=4).fit(graphs, y)
    other = networkx.Graph()
    other.add_nodes_from([5, 2, 7, 0, 3, 6, 1, 4])
    other.add_edges_from(one.edges)
    assert np.allclose(classifier.predict_proba([one]), classifier.predict_proba([other]), atol=1e-5)


def test_eigenvectors_are_computed_once_for_each_graph(monkeypatch):
    true, counts = torch.linalg.eigh, []
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrices: (counts.append(len(matrices)), true(matrices))[1])
    graphs, y = rings_and_stars(16)
    classifier = small(epochs=3, batch_size=4).fit(graphs, y)
    assert sum(counts) == 16
    classifier.predict(graphs[:5])
    assert sum(counts) == 21


@pytest.fixture
def watched(monkeypatch):
    """After each step of the optimiser: the norm of the gradient, and the learning rate."""
    slopes, rates = [], []

    class Watched(torch.optim.AdamW):
        def step(self, *arguments):
            grads = [one.grad for group in self.param_groups for one in group["params"] if one.grad is not None]
            slopes.append(float(torch.nn.utils.get_total_norm(grads)))
            rates.append(self.param_groups[0]["lr"])
            return super().step(*arguments)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    return slopes, rates


def test_gradients_are_clipped(watched, monkeypatch):
    graphs, y = rings_and_stars(16)
    slopes, _ = watched
    monkeypatch.setattr(graph_training, "CLIP", 0.01)
    small(epochs=2).fit(graphs, y)
    assert 0.009 < max(slopes) <= 0.01 * (1 + 1e-5)


def test_learning_rate_rises_and_falls_along_the_schedule(watched):
    graphs, y = rings_and_stars(32)
    small(epochs=5, warm_up=0.4, learning_rate=0.02).fit(graphs, y)
    wanted = [0.02 * graph_training.rate((step + 1) / 10, 0.4) for step in range(10)]
    assert watched[1] == pytest.approx(wanted) and wanted[0] < wanted[3] > wanted[-1] == pytest.approx(1e-4)


def test_smoothed_labels_keep_the_loss_above_their_entropy():
    graphs, y = rings_and_stars()
    sharp, smooth = (small(epochs=20, label_smoothing=one).fit(graphs, y).losses_[-1] for one in (0.0, 0.4))
    entropy = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert sharp < 0.1 < entropy <= smooth


def test_weight_decay_shrinks_weights():
    graphs, y = rings_and_stars(16)
    sizes = [small(epochs=10, weight_decay=one).fit(graphs, y).model_.encoder.weight.norm().item() for one in (0.0, 10.0)]
    assert sizes[1] < 0.6 * sizes[0]


def test_noise_and_signs_are_drawn_in_training(monkeypatch):
    graphs, y = rings_and_stars(16)
    still, noisy = (small(epochs=2, noise=one).fit(graphs, y).losses_ for one in (0.0, 0.5))
    assert still != noisy
    true, drawn = graph_training.flipped, []
    monkeypatch.setattr(
        graph_training, "flipped", lambda batch, generator: (drawn.append(len(batch.nodes)), true(batch, generator))[1]
    )
    assert small(epochs=2, noise=0.0).fit(graphs, y).losses_ == still and sum(drawn) == 32
    monkeypatch.setattr(graph_training, "flipped", lambda batch, generator: batch)
    assert small(epochs=2, noise=0.0).fit(graphs, y).losses_ != still


def test_noise_has_a_seed_of_its_own(monkeypatch):
    graphs, y = rings_and_stars(8)
    true, seeds = GraphEnergyTransformer.forward, set()

    def forward(self, batch, *, generator=None):
        seeds.add(generator.initial_seed())
        return true(self, batch, generator=generator)

    monkeypatch.setattr(GraphEnergyTransformer, "forward", forward)
    small(epochs=1).fit(graphs, y)
    weights = int(np.random.RandomState(0).randint(2**31))
    assert len(seeds) == 1 and weights not in seeds


def test_gains_of_norms_stay_positive(monkeypatch):
    """A step that would turn them negative, so that the energy would rise."""
    graphs, y = rings_and_stars(16)
    true = torch.optim.AdamW.step

    def step(self, *arguments):
        true(self, *arguments)
        with torch.no_grad():
            for group in self.param_groups:
                for one in group["params"]:
                    if not one.dim():
                        one.sub_(2)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    model = small(epochs=2, blocks=2).fit(graphs, y).model_
    gains = [part.gain.item() for part in model.modules() if isinstance(part, EnergyLayerNorm)]
    assert gains == pytest.approx([LEAST_GAIN] * 2)


@pytest.mark.filterwarnings("ignore::attractor.errors.EnergyUnboundedWarning")
@pytest.mark.parametrize("learning_rate", [1e12, 1e30])
def test_training_that_finds_no_finite_loss_names_the_learning_rate(learning_rate):
    graphs, y = rings_and_stars(16)
    classifier = small(epochs=10, batch_size=4, learning_rate=learning_rate)
    with pytest.raises(ValueError, match="learning_rate must be smaller"):
        classifier.fit(graphs, y)
    assert not hasattr(classifier, "model_")


@pytest.mark.parametrize(
    "labels", [np.array(["ring", "a star"]), np.array([3, -1]), np.array([True, False]), np.array(["b", "c"], dtype=object)]
)
def test_saved_classifier_predicts_the_same(tmp_path, labels):
    graphs, _ = rings_and_stars(8)
    classifier = small(epochs=1, dim=np.int64(16)).fit([as_graph(one) for one in graphs], labels[np.arange(8) % 2])
    classifier.save(tmp_path / "some.model")
    again = GraphClassifier.load(tmp_path / "some.model")
    listed = [as_graph(one) for one in graphs]
    assert np.array_equal(again.predict_proba(listed), classifier.predict_proba(listed))
    assert np.array_equal(again.predict(listed), classifier.predict(listed))
    assert again.classes_.dtype == classifier.classes_.dtype and again.get_params() == classifier.get_params()
    assert again.losses_ == classifier.losses_ and again.widths_ == (1, None)
    with pytest.raises(ValueError, match="none of nodes"):
        again.predict(graphs)


def test_saved_classifier_of_edges_in_double_precision_is_the_same(tmp_path):
    index = torch.tensor([[0, 1], [1, 0]])
    graphs = [Graph(torch.ones(2, 1).double(), index, torch.full((2, 3), n + 1.0).double()) for n in range(4)]
    classifier = small(epochs=1).fit(graphs, [0, 1, 0, 1])
    classifier.save(tmp_path / "edges")
    again = GraphClassifier.load(tmp_path / "edges", device="cpu")
    assert np.array_equal(again.predict_proba(graphs), classifier.predict_proba(graphs))


def test_files_that_hold_no_classifier_are_refused(tmp_path, fitted):
    path = tmp_path / "some"
    with pytest.raises(NotFittedError):
        small().save(path)
    with pytest.raises(FileNotFoundError):
        GraphClassifier.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="saved GraphClassifier"):
        GraphClassifier.load(path)
    save_estimator(fitted, path, {"node_scale": torch.ones(1)}, {"classes": {"labels": [0], "dtype": "<i8"}})
    with pytest.raises(ValueError, match="path must be a saved GraphClassifier"):
        GraphClassifier.load(path)

    class Other(GraphClassifier):
        pass

    fitted.save(path)
    with pytest.raises(ValueError, match="a saved GraphClassifier"):
        Other.load(path)
    with pytest.raises(ValueError, match="device"):
        GraphClassifier.load(path, device="gpu")
    graphs, y = rings_and_stars(8)
    stateful = small(epochs=1, random_state=np.random.RandomState(0)).fit(graphs, y)
    with pytest.raises(TypeError, match="random_state"):
        stateful.save(path)
    assert GraphClassifier.load(path).random_state == 0 and [one.name for one in tmp_path.iterdir()] == ["some"]


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
        ([SimpleNamespace(node_features=None, edge_index=torch.tensor([[0], [1]]))], ValueError, r"graphs\[0\].*num_nodes"),
        ([SimpleNamespace(x=None, edge_index=torch.tensor([[0], [1]]))], ValueError, r"graphs\[0\].*num_nodes"),
        ([SimpleNamespace(x=7, edge_index=torch.tensor([[0], [1]]))], ValueError, r"graphs\[0\].*shape"),
        ([object()], TypeError, r"graphs\[0\].*object"),
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
            r"graphs\[1\].*as many features.*2 of nodes.*none of nodes",
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
        ({"depth": 0}, "depth"),
        ({"memories": 0}, "memories"),
        ({"device": "gpu"}, "device"),
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
    with pytest.raises(ValueError, match="as in fit, none of nodes and none of edges, got 2 of nodes and none of edges"):
        fitted.predict([as_graph(networkx.path_graph(3), features=torch.ones(3, 2))])


@pytest.mark.parametrize("settings", [{"label_smoothing": "a"}, {"weight_decay": None}, {"warm_up": None}, {"dim": 2.5}])
def test_settings_of_another_type_are_named(settings):
    graphs, y = rings_and_stars(8)
    with pytest.raises(TypeError, match=next(iter(settings))):
        small(**settings).fit(graphs, y)


def test_settings_are_kept_as_they_were_given():
    classifier = GraphClassifier(dim=7, noise=0.3)
    assert classifier.get_params()["dim"] == 7 and clone(classifier).noise == 0.3


def test_without_scikit_learn_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "attractor.estimators.graph_classifier")
    with pytest.raises(ImportError, match=r"attractor\[sklearn\]"):
        assert attractor.estimators.GraphClassifier
