"""The Hopfield embedding of nodes as people use it: graphs of every kind, the estimator and its files."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import networkx
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_array
from sklearn.base import clone

import attractor.estimators
from attractor.estimators import HopfieldGraphEmbedding
from attractor.estimators.graph_embedding import fitted as fitted_module
from attractor.estimators.graph_embedding import modularity
from attractor.estimators.graph_embedding.adjacency import network_from
from attractor.estimators.graph_embedding.fitted import KINDS

KARATE = networkx.karate_club_graph()
REPEATED = SimpleNamespace(
    vcount=lambda: 3,
    get_edgelist=lambda: [(0, 1), (1, 2)],
    is_directed=lambda: False,
    es=SimpleNamespace(attributes=list),
    vs=type("Names", (), {"attributes": lambda self: ["name"], "__getitem__": lambda self, key: ["x", "x", "y"]})(),
)
RING = networkx.Graph([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 0), (0, 3), (1, 5)])
MATRIX = csr_array(networkx.to_scipy_sparse_array(KARATE, weight=None, dtype=float))


def quick(**options):
    return HopfieldGraphEmbedding(8, **({"window": 2, "epochs": 5, "random_state": 0} | options))


def dense_contexts(matrix, window):
    step = matrix / matrix.sum(1, keepdims=True)
    mean = sum(np.linalg.matrix_power(step, power) for power in range(1, window + 1)) / window
    np.fill_diagonal(mean, 0)
    return mean / mean.sum(1, keepdims=True)


# graphs as people have them


def test_every_kind_of_graph_is_read_alike():
    pairs = np.array(KARATE.edges).T
    both = np.concatenate([pairs, pairs[::-1]], 1)
    igraph = SimpleNamespace(
        vcount=lambda: 34,
        get_edgelist=lambda: list(map(tuple, pairs.T)),
        is_directed=lambda: False,
        es=SimpleNamespace(attributes=list),
        vs=SimpleNamespace(attributes=list),
    )
    plain = networkx.Graph(list(KARATE.edges))
    plain_order = networkx.Graph()
    plain_order.add_nodes_from(range(34))
    plain_order.add_edges_from(plain.edges)
    kinds = [
        plain_order,
        MATRIX,
        pairs,
        torch.from_numpy(both),
        SimpleNamespace(edge_index=torch.from_numpy(both), num_nodes=34),
        igraph,
    ]
    for kind in kinds:
        network = network_from(kind)
        assert network.nodes == list(range(34))
        np.testing.assert_array_equal(network.adjacency.toarray(), MATRIX.toarray())
    by_name = network_from([(f"node {u}", f"node {v}") for u, v in KARATE.edges])
    assert by_name.nodes[:2] == ["node 0", "node 1"] and by_name.adjacency.nnz == MATRIX.nnz


def test_weights_and_directions_are_kept():
    directed = networkx.DiGraph([("a", "b", {"weight": 2.0}), ("b", "a")])
    np.testing.assert_array_equal(network_from(directed, directed=True).adjacency.toarray(), [[0, 2], [1, 0]])
    np.testing.assert_array_equal(network_from(directed).adjacency.toarray(), [[0, 2], [2, 0]])
    parallel = networkx.MultiGraph([("a", "b"), ("a", "b"), ("b", "b")])
    np.testing.assert_array_equal(network_from(parallel).adjacency.toarray(), [[0, 2], [2, 1]])


def test_names_of_any_kind_come_back():
    names = {0: ("a", 1), 1: "b", 2: 3.5}
    graph = networkx.relabel_nodes(networkx.complete_graph(3), names)
    fitted = quick().fit(graph)
    assert fitted.nodes_ == [("a", 1), "b", 3.5]
    np.testing.assert_array_equal(fitted.transform([3.5, ("a", 1)]), fitted.transform()[[2, 0]])


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.zeros((3, 2), dtype=int), "shape"),
        (csr_array(np.ones((2, 3))), "square"),
        (csr_array(np.array([[0, -1.0], [-1.0, 0]])), "negative"),
        (csr_array(np.array([[0, np.nan], [1.0, 0]])), "finite"),
        (csr_array((3, 3)), "an edge between two nodes"),
        (networkx.Graph([(0, 1), (2, 2)]), "without a neighbour"),
        (np.array([[0, -1], [1, 0]]), "join nodes"),
        ([], "at least one node"),
        (np.ones((4, 4), dtype=int), "csr_array"),
        (np.ones((4, 4)), "csr_array"),
        ([(0, 1, 1e308), (1, 2, 1e308)], "finite sum"),
        (REPEATED, "differ"),
    ],
)
def test_bad_graphs_are_refused(graph, message):
    fitted = quick().fit(KARATE)
    before = fitted.transform().copy()
    with pytest.raises(ValueError, match=message):
        fitted.fit(graph)
    np.testing.assert_array_equal(fitted.transform(), before)


@pytest.mark.parametrize(
    "graph",
    [5, "abc", {"a": ["b"]}, [1, 2], np.array([[0.5], [1.0]]), [[0, 1, 2], [1, 2, 0]], [[0, 1], [1, 2]], torch.eye(3).to_sparse()],
)
def test_what_is_no_graph_is_refused(graph):
    with pytest.raises(TypeError, match="graph"):
        quick().fit(graph)


def test_directed_graphs_with_sinks_are_refused():
    graph = networkx.DiGraph([("a", "b"), ("b", "c")])
    with pytest.raises(ValueError, match=r"way out .*'c'"):
        quick(directed=True).fit(graph)
    assert quick().fit(graph).transform().shape == (3, 8)
    assert quick(directed=True).fit(networkx.DiGraph([(0, 1), (1, 2), (2, 0)])).transform().shape == (3, 8)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"memories": 1}, "memories"),
        ({"window": 0}, "window"),
        ({"beta": 0.0}, "beta"),
        ({"kind": "best"}, "kind"),
        ({"isolated": "drop"}, "isolated"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"device": "nowhere"}, "device"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        clone(quick()).set_params(**setting).fit(KARATE)


@pytest.mark.parametrize(("rate", "epochs"), [(1e38, 5), (1e39, 1)])
def test_training_that_diverges_is_an_error_and_changes_nothing(rate, epochs):
    fitted = quick().fit(KARATE)
    before = fitted.transform()
    with pytest.raises(ValueError, match="learning_rate"):
        fitted.set_params(learning_rate=rate, epochs=epochs).fit(KARATE)
    np.testing.assert_array_equal(fitted.transform(), before)


# the estimator


def test_lonely_nodes_have_zero_embeddings_or_themselves():
    graph = networkx.Graph([(0, 1), (1, 2), (2, 0)])
    graph.add_node(3)
    for kind in KINDS:
        found = quick(isolated="zero", kind=kind).fit_transform(graph)
        assert not found[3].any() and found[:3].any(1).all()
    own = quick(isolated="self", epochs=60).fit(graph)
    torch.testing.assert_close(own.fitted_.drives[3], own.context_[3])
    assert own.recall().nodes[3] == [3]


def test_same_seed_same_embedding():
    first, same, other = (quick(random_state=seed).fit_transform(KARATE) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_torch_generator_is_left_alone():
    state = torch.get_rng_state()
    quick().fit(KARATE)
    assert torch.equal(torch.get_rng_state(), state)


def centred(rows):
    return rows - rows.mean(1, keepdims=True)


def test_context_is_the_drive_and_the_other_kinds_follow():
    fitted = quick(kind="context").fit(KARATE)
    drive, content = fitted.fitted_.drives.numpy(), fitted.content_.numpy()
    seen = dense_contexts(fitted.adjacency_.toarray(), 2) @ fitted.context_.numpy().astype(np.float64)
    np.testing.assert_allclose(fitted.transform(), centred(seen), atol=1e-5)
    np.testing.assert_allclose(fitted.set_params(kind="hidden").transform(), centred(content + drive), atol=1e-6)
    np.testing.assert_allclose(fitted.set_params(kind="content").transform(), centred(content), atol=1e-6)
    shares = fitted.set_params(kind="activity").transform()
    np.testing.assert_allclose(shares, np.asarray(torch.from_numpy(content + drive).softmax(-1)), atol=1e-6)


@pytest.mark.parametrize("directed", [False, True])
def test_a_window_is_all_that_walks_see_the_node_itself_included(directed):
    graph = networkx.DiGraph([*RING.edges, *[(v, u) for u, v in RING.edges if (u, v) != (0, 3)]]) if directed else RING.copy()
    graph.add_edge(2, 2)  # walks pass it by
    fitted = quick(window=3, directed=directed).fit(graph)
    step = fitted.adjacency_.toarray()
    np.fill_diagonal(step, 0)
    step /= step.sum(1, keepdims=True)
    mean = sum(np.linalg.matrix_power(step, power) for power in (1, 2, 3)) / 3
    assert mean.diagonal().min() > 0.05
    wanted = centred(mean @ fitted.context_.numpy())
    np.testing.assert_allclose(fitted.transform(), wanted, atol=1e-6)
    np.testing.assert_allclose(fitted.transform([5, 2]), wanted[[fitted.nodes_.index(5), fitted.nodes_.index(2)]], atol=1e-6)


def test_direct_neighbours_are_the_whole_window():
    fitted = quick(window=1).fit(KARATE)
    np.testing.assert_allclose(fitted.transform(), fitted.set_params(kind="context").transform(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_that_all_memories_share_is_in_no_embedding(kind):
    """The network recalls the same, so it is an accident of training."""
    fitted = quick(kind=kind).fit(KARATE)
    before, chances = fitted.transform(), fitted.recall(top=5).probability
    np.testing.assert_allclose(before.sum(1), float(kind == "activity"), atol=1e-5)
    known = fitted.fitted_
    fitted.fitted_ = replace(known, **{name: getattr(known, name) + 3.0 for name in ("context", "reached", "drives")})
    np.testing.assert_allclose(fitted.transform(), before, atol=1e-5)
    np.testing.assert_allclose(fitted.recall(top=5).probability, chances, atol=1e-5)


def test_a_new_node_has_the_context_of_its_neighbours():
    fitted = quick(window=1).fit(KARATE)
    rows = centred(fitted.context_.numpy())
    for kind in ("window", "context"):
        fitted.set_params(kind=kind)
        np.testing.assert_allclose(fitted.transform({"new": [0, 1]}), rows[[0, 1]].mean(0, keepdims=True), atol=1e-6)
        weighted = fitted.transform({"new": {0: 3.0, 1: 1.0}})
        np.testing.assert_allclose(weighted, (0.75 * rows[0] + 0.25 * rows[1])[None], atol=1e-6)
    for kind in ("hidden", "content", "activity"):
        assert np.isfinite(fitted.set_params(kind=kind).transform({"new": [0, 1]})).all()


@pytest.mark.parametrize("window", [1, 3])
def test_a_new_node_sees_what_a_leaf_sees(window):
    """A leaf that hangs on a node differs from a new one by the walks that come back to it."""
    graph = networkx.Graph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)])
    fitted = quick(window=window).fit(graph)
    step = fitted.adjacency_.toarray() / fitted.adjacency_.toarray().sum(1, keepdims=True)
    mean = sum(np.linalg.matrix_power(step, power) for power in range(window)) / window
    np.testing.assert_allclose(fitted.transform({"leaf": [2]}), centred(mean @ fitted.context_.numpy())[[2]], atol=1e-5)


def test_unknown_names_are_refused():
    fitted = quick().fit(KARATE)
    for ask in (
        lambda: fitted.transform(["nobody"]),
        lambda: fitted.transform({"new": ["nobody"]}),
        lambda: fitted.transform({"new": []}),
        lambda: fitted.score_links([(0, "nobody")]),
        lambda: fitted.recall([["nobody"]]),
        lambda: fitted.recall([{0: -1.0}]),
    ):
        with pytest.raises(ValueError, match=r"nodes|weights"):
            ask()
    with pytest.raises(ValueError, match="top"):
        fitted.recall(top=35)


def test_nodes_are_recalled_from_their_contexts():
    fitted = HopfieldGraphEmbedding(32, window=1, walks=8, epochs=200, random_state=0).fit(RING)
    recalled = fitted.recall(top=3)
    assert [names[0] for names in recalled.nodes] == list(range(7))
    assert (recalled.probability[:, 0] > 0.5).all() and (np.diff(recalled.probability) <= 0).all()
    again = fitted.recall([list(RING[node]) for node in RING])
    assert [names[0] for names in again.nodes] == list(range(7))
    # a mixture of all contexts is none that is known
    assert fitted.recall([list(range(7))]).energy[0] > recalled.energy.mean()


def test_friends_score_above_strangers():
    graph = networkx.planted_partition_graph(4, 25, 0.4, 0.01, seed=0)
    fitted = HopfieldGraphEmbedding(16, window=3, epochs=100, random_state=0).fit(graph)
    scores = fitted.score_links([(0, 1), (30, 31), (0, 30), (0, 60)])
    assert scores[:2].min() > scores[2:].max()
    assert fitted.score_links([(0, 30)])[0] == pytest.approx(fitted.score_links([(30, 0)])[0])


def test_coarsening_keeps_the_weight_and_finds_the_parts():
    graph = networkx.planted_partition_graph(4, 25, 0.4, 0.01, seed=0)
    fitted = HopfieldGraphEmbedding(6, window=3, epochs=150, random_state=0).fit(graph)
    for soft in (False, True):
        coarse = fitted.coarsen(soft=soft)
        assert coarse.adjacency.sum() == pytest.approx(fitted.adjacency_.sum(), rel=1e-6 if soft else 0)
    hard = fitted.coarsen()
    assert hard.adjacency.shape == (len(hard.memories),) * 2 and set(hard.assignment) == set(range(len(hard.memories)))
    assert modularity(fitted.adjacency_, hard.assignment) > 0.5
    partition = [set(np.flatnonzero(hard.assignment == part)) for part in range(len(hard.memories))]
    assert modularity(fitted.adjacency_, hard.assignment) == pytest.approx(networkx.community.modularity(graph, partition))


def test_new_edges_are_learned_on_top():
    fitted = quick(epochs=30).fit(KARATE)
    before = fitted.content_.clone()
    grown = fitted.partial_fit([(0, "new"), ("new", 33), ("new", 2)])
    assert grown.nodes_[-1] == "new" and grown.transform().shape == (35, 8)
    assert grown.adjacency_[[34], :].nnz == 3 and grown.adjacency_.nnz == MATRIX.nnz + 6
    assert float((grown.content_[:34] - before).abs().max()) > 0
    with pytest.raises(ValueError, match="memories"):
        grown.set_params(memories=9).partial_fit([(0, 1)])


def test_training_lowers_the_loss_and_tells_of_its_progress():
    told = []
    fitted = quick(epochs=40, batch_size=10).fit(KARATE, progress=told.append)
    assert fitted.losses_[-1] < fitted.losses_[0] - 0.2 and len(fitted.losses_) == 40
    assert told == sorted(told) and told[-1] == 1.0


def test_few_candidates_train_as_well():
    fitted = HopfieldGraphEmbedding(32, window=1, walks=8, epochs=200, candidates=4, random_state=0).fit(RING)
    assert sum(names[0] == node for node, names in enumerate(fitted.recall().nodes)) >= 6


def test_it_has_the_habits_of_scikit_learn():
    fitted = quick().fit(KARATE)
    assert clone(fitted).get_params() == fitted.get_params()
    names = fitted.get_feature_names_out()
    assert len(names) == 8 and names[0] == "hopfieldgraphembedding0"
    np.testing.assert_array_equal(quick().fit_transform(KARATE), fitted.transform())


def test_what_is_saved_comes_back(tmp_path):
    fitted = quick().fit(KARATE)
    fitted.save(tmp_path / "karate")
    loaded = HopfieldGraphEmbedding.load(tmp_path / "karate")
    np.testing.assert_array_equal(loaded.transform(), fitted.transform())
    assert loaded.recall(top=2).nodes == fitted.recall(top=2).nodes and loaded.nodes_ == fitted.nodes_
    np.testing.assert_array_equal(loaded.coarsen().adjacency.toarray(), fitted.coarsen().adjacency.toarray())
    with pytest.raises(TypeError, match="names of nodes"):
        quick().fit([((0, 1), (1, 2))]).save(tmp_path / "pairs")
    (tmp_path / "karate").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="HopfieldGraphEmbedding"):
        HopfieldGraphEmbedding.load(tmp_path / "karate")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("indices", lambda old: old + 1000),
        ("indices", lambda old: old - 1000),
        ("indices", lambda old: old.double()),
        ("indptr", lambda old: old.flip(0)),
        ("indptr", lambda old: old[:-1]),
        ("indptr", lambda old: old + 1),
        ("data", lambda old: -old),
        ("data", lambda old: old * torch.inf),
        ("data", lambda old: old[:-1]),
        ("content", lambda old: old * torch.nan),
        ("content", lambda old: old.half()),
        ("drives", lambda old: old.int()),
        ("drives", lambda old: old[:-1]),
    ],
)
def test_damage_in_a_file_is_an_error_of_the_file(tmp_path, name, change):
    path = tmp_path / "karate"
    quick().fit(KARATE).save(path)
    with safe_open(path, "pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors | {name: change(tensors[name]).contiguous()}, path, metadata)
    with pytest.raises(ValueError, match="HopfieldGraphEmbedding"):
        HopfieldGraphEmbedding.load(path)


@pytest.mark.parametrize("graph", [networkx.gnp_random_graph(34, 0.2, seed=0), networkx.to_scipy_sparse_array(KARATE)])
def test_another_graph_is_not_taken_for_names_of_nodes(graph):
    with pytest.raises(TypeError, match="got a graph"):
        quick().fit(KARATE).transform(graph)


def test_numbers_of_nodes_may_be_a_tensor():
    fitted = quick().fit(KARATE)
    np.testing.assert_array_equal(fitted.transform(torch.tensor([3, 1])), fitted.transform([3, 1]))


@pytest.mark.parametrize("nodes", [5, "abc", [["a"]], {"new": 5}, {"new": "ab"}, {"new": {0: "x"}}, {"new": {0: None}}, MATRIX])
def test_what_names_no_nodes_is_refused(nodes):
    with pytest.raises(TypeError, match=r"nodes|a context|weights"):
        quick().fit(KARATE).transform(nodes)


def test_none_asked_none_answered():
    fitted = quick().fit(KARATE)
    assert fitted.transform([]).shape == fitted.transform({}).shape == (0, 8)
    assert fitted.score_links([]).shape == (0,) and fitted.recall([], top=2).probability.shape == (0, 2)
    with pytest.raises(ValueError, match="two nodes"):
        fitted.score_links(np.zeros((2, 5), dtype=int))
    with pytest.raises(TypeError, match="a context"):
        fitted.recall([0, 1])


def test_settings_are_checked_again_when_they_are_used():
    fitted = quick().fit(KARATE)
    for wrong in ({"beta": np.inf}, {"beta": -1}, {"steps": 0}):
        with pytest.raises(ValueError, match=r"beta|steps"):
            clone(fitted).set_params(**wrong).fit(KARATE)
        with pytest.raises(ValueError, match=r"beta|steps"):
            quick().fit(KARATE).set_params(**wrong).recall()


def test_each_partial_fit_draws_numbers_of_its_own():
    fitted = quick(epochs=1).fit(KARATE)
    rows = [fitted.partial_fit([(0, name), (33, name)]).content_[-1] for name in ("one", "two")]
    assert float((rows[0] - rows[1]).abs().max()) > 0.01
    again = quick(epochs=1).fit(KARATE)
    for name in ("one", "two"):
        again.partial_fit([(0, name), (33, name)])
    assert torch.equal(again.content_, fitted.content_)


def test_streams_go_on_after_loading(tmp_path):
    fitted = quick(epochs=2).fit(KARATE)
    fitted.save(tmp_path / "karate")
    loaded = HopfieldGraphEmbedding.load(tmp_path / "karate")
    assert torch.equal(loaded.partial_fit([(0, 99)]).content_, fitted.partial_fit([(0, 99)]).content_)


def test_new_nodes_are_recalled_after_partial_fit():
    """They are masked themselves, so they learn a content of their own."""
    graph = networkx.barabasi_albert_graph(60, 2, seed=0)
    fitted = HopfieldGraphEmbedding(32, window=1, walks=8, epochs=60, random_state=0).fit(graph)
    neighbours = [7, 23, 41]
    fitted.set_params(epochs=60).partial_fit([("new", other) for other in neighbours])
    assert fitted.recall([neighbours]).nodes == [["new"]]


def test_nodes_without_a_way_in_are_recalled():
    graph = networkx.DiGraph([*networkx.cycle_graph(6, networkx.DiGraph).edges, ("source", 0), ("source", 3)])
    fitted = HopfieldGraphEmbedding(16, window=1, walks=8, epochs=200, directed=True, random_state=0).fit(graph)
    assert fitted.recall([[0, 3]]).nodes == [["source"]]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_learns_where_gradients_are_off(mode):
    wanted = quick().fit(KARATE).partial_fit([(0, 50)]).transform()
    with mode():
        fitted = quick().fit(KARATE).partial_fit([(0, 50)])
    np.testing.assert_array_equal(fitted.transform(), wanted)


@pytest.mark.parametrize("weight", [1.0, 1e5, 1e12])
def test_loops_tell_nothing_of_other_nodes(weight):
    looped = KARATE.copy()
    looped.add_edge(0, 0, weight=weight)
    fitted, plain = quick().fit(looped), quick().fit(KARATE)
    np.testing.assert_array_equal(fitted.transform(), plain.transform())
    assert fitted.coarsen().adjacency.sum() == fitted.adjacency_.sum() == plain.adjacency_.sum() + weight


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_tiny_and_huge_weights_give_the_same_embedding(scale):
    scaled = quick().fit(csr_array(MATRIX * scale)).transform()
    np.testing.assert_allclose(scaled, quick().fit(MATRIX).transform(), rtol=1e-3, atol=1e-5)


def test_a_new_node_among_lonely_ones_has_no_embedding():
    graph = networkx.Graph([(0, 1), (1, 2), (2, 0)])
    graph.add_node(3)
    for kind in KINDS:
        fitted = quick(isolated="zero", kind=kind).fit(graph)
        assert not fitted.transform({"new": [3]}).any() and fitted.transform({"new": [0]}).any()
        # what a graph is without counts from its training
        assert not fitted.set_params(isolated="raise").transform()[3].any()
    np.testing.assert_array_equal(fitted.score_links([(3, 0), (3, 3)]), 0)


def test_blocks_of_contexts_change_nothing(monkeypatch):
    fitted = quick(steps=2, kind="hidden").fit(KARATE)
    contexts = [[0, 1], {2: 1.0, 5: 3.0}, [33]]
    ask = dict(enumerate(contexts))
    whole = fitted.recall(top=3), fitted.recall(contexts, top=3), fitted.transform(ask)
    sizes = []
    energy = fitted_module.energy
    monkeypatch.setattr(fitted_module, "energy", lambda *given: sizes.append(given[2].numel()) or energy(*given))
    monkeypatch.setattr(fitted_module, "SCORES", 70)
    parts = fitted.recall(top=3), fitted.recall(contexts, top=3), fitted.transform(ask)
    assert max(sizes) == 68
    for one, other in zip(whole[:2], parts[:2], strict=True):
        assert one.nodes == other.nodes
        np.testing.assert_allclose(one.probability, other.probability, rtol=1e-5)
        np.testing.assert_allclose(one.energy, other.energy, rtol=1e-5)
    np.testing.assert_allclose(parts[2], whole[2], rtol=1e-5, atol=1e-6)


def test_probabilities_of_all_nodes_sum_to_one():
    recalled = quick(steps=2).fit(KARATE).recall(top=34)
    np.testing.assert_allclose(recalled.probability.sum(1), 1, rtol=1e-5)


def test_names_of_numpy_are_saved_as_they_are(tmp_path):
    names = np.array(["a", "b", "c"])
    fitted = quick().fit([(names[0], names[1]), (names[1], names[2])])
    fitted.save(tmp_path / "names")
    assert HopfieldGraphEmbedding.load(tmp_path / "names").nodes_ == ["a", "b", "c"]


def test_modularity_asks_for_a_part_of_each_node():
    for assignment in (np.zeros(33, dtype=int), np.zeros(35, dtype=int), np.zeros(34), np.full(34, -1)):
        with pytest.raises(ValueError, match="assignment"):
            modularity(MATRIX, assignment)
    with pytest.raises(ValueError, match="weight"):
        modularity(csr_array((3, 3)), np.zeros(3, dtype=int))
    with pytest.raises(TypeError, match="adjacency"):
        modularity(KARATE, np.zeros(34, dtype=int))


def test_weights_that_are_trained_elsewhere_are_taken_from_there():
    pairs = torch.tensor([[0, 1, 2], [1, 2, 0]])
    data = SimpleNamespace(edge_index=pairs, edge_weight=torch.tensor([1.0, 2.0, 3.0], requires_grad=True), num_nodes=3)
    assert network_from(data).adjacency.sum() == 12


@pytest.mark.parametrize("missing", ["scipy.sparse", "sklearn.base"])
def test_without_its_extra_the_error_says_how_to_get_it(monkeypatch, missing):
    for name in [one for one in sys.modules if one.startswith("attractor.estimators.graph_embedding")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"HopfieldGraphEmbedding needs.*attractor\[sklearn\]"):
        assert attractor.estimators.HopfieldGraphEmbedding
