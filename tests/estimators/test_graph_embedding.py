"""The Hopfield embedding of nodes: its energy, its contexts, its training, and how people use it."""

from types import SimpleNamespace

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_array
from sklearn.base import clone

from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians
from attractor.energy.synapses import MemorySynapse
from attractor.estimators import HopfieldGraphEmbedding
from attractor.estimators.graph_embedding import contexts, modularity, training
from attractor.estimators.graph_embedding.adjacency import network_from
from attractor.estimators.graph_embedding.network import context_drive, energy, recalled_activity, sampled_loss, settle
from attractor.estimators.graph_embedding.walks import Bags, Walker
from attractor.read import SoftMax

KARATE = networkx.karate_club_graph()
RING = networkx.Graph([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 0), (0, 3), (1, 5)])
MATRIX = csr_array(networkx.to_scipy_sparse_array(KARATE, weight=None, dtype=float))


def parts(seed, nodes=12, memories=5, batch=1):
    """Content, drives and logits by chance, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, memories, generator=generator, dtype=torch.float64) for size in (nodes, batch)] + [
        torch.randn(batch, nodes, generator=generator, dtype=torch.float64)
    ]


def quick(**options):
    return HopfieldGraphEmbedding(8, **({"window": 2, "epochs": 5, "random_state": 0} | options))


def dense_contexts(matrix, window):
    step = matrix / matrix.sum(1, keepdims=True)
    mean = sum(np.linalg.matrix_power(step, power) for power in range(1, window + 1)) / window
    np.fill_diagonal(mean, 0)
    return mean / mean.sum(1, keepdims=True)


# the network


def test_gradient_of_the_energy_is_that_of_the_formula():
    for seed in range(10):
        content, drive, v = parts(seed, batch=3)
        beta = 0.5 + seed / 3
        v.requires_grad_()
        (found,) = torch.autograd.grad(energy(content, drive, v, beta).sum(), v)
        g = v.detach().softmax(-1)
        force = v.detach() - (beta * (g @ content + drive)).softmax(-1) @ content.T
        wanted = g * (force - (g * force).sum(-1, keepdim=True))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("step_size", [0.05, 0.5, 1.0])
def test_energy_never_rises(step_size):
    content, drive, v = (torch.stack(one) for one in zip(*(parts(seed) for seed in range(50)), strict=True))
    energies = [energy(content, drive, v, 1.5)]
    for _ in range(200):
        v = settle(content, drive, beta=1.5, steps=1, step_size=step_size, v=v)
        energies.append(energy(content, drive, v, 1.5))
    changes = torch.stack(energies).diff(dim=0)
    assert float(changes.max()) <= 1e-9 and float(changes[0].max()) < -1e-4


def test_it_is_an_energy_network_with_one_memory_synapse():
    """A content activity sums to 1, so the drive of the context can be added to the content of every node; logits then move by what
    is the same for all of them, and changes no activity.
    """
    content, drive, v = parts(0)
    layer = Neurons(lagrangians.Softmax(), len(content))
    synapse = MemorySynapse((content + drive).T.contiguous(), separation=SoftMax(beta=1.7))
    network = EnergyNetwork({"content": layer}, [Connection(synapse, ("content",))])
    torch.testing.assert_close(network.energy({"content": v}), energy(content, drive, v, 1.7))
    moved = v + 0.3 * network.velocity({"content": v})["content"]
    ours = settle(content, drive, beta=1.7, steps=1, step_size=0.3, v=v)
    torch.testing.assert_close(moved - moved.mean(), ours - ours.mean())


def test_one_step_is_the_closed_form():
    content, drive, _ = parts(1, batch=4)
    wanted = (2.0 * (content.mean(0) + drive)).softmax(-1) @ content.T
    torch.testing.assert_close(settle(content, drive, beta=2.0, steps=1), wanted, rtol=0, atol=1e-12)


@given(st.integers(1, 4), st.floats(0.1, 8))
@settings(max_examples=20, deadline=None)
def test_steps_with_hidden_states_are_those_of_the_logits(steps, beta):
    content, drive, _ = parts(2, batch=3)
    v = recalled_activity(content, drive, beta=beta, steps=steps) @ content.T
    torch.testing.assert_close(v, settle(content, drive, beta=beta, steps=steps))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_sample_of_all_nodes_gives_the_full_loss(steps):
    content, drive, _ = parts(3, batch=6)
    targets = torch.tensor([0, 5, 11, 3, 3, 7])
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    found = sampled_loss(content[order], drive, targets, order, content[targets], beta=1.3, steps=steps, nodes=12)
    full = torch.nn.functional.cross_entropy(settle(content, drive, beta=1.3, steps=steps), targets)
    torch.testing.assert_close(found, full)


def test_samples_estimate_the_sum_over_all_nodes_without_bias():
    content, drive, _ = parts(4, nodes=40)
    target, generator = torch.tensor([7]), torch.Generator().manual_seed(0)
    f = (content.mean(0) + drive).softmax(-1)
    whole = float((f @ content.T).exp().sum())
    sums = []
    for _ in range(1500):
        rows = training.distinct(40, 10, generator)
        # the state is that of all nodes, so that the sum alone is estimated
        fixed = drive + content.mean(0) - content[rows].mean(0)
        loss = sampled_loss(content[rows], fixed, target, rows, content[target], beta=1.0, steps=1, nodes=40)
        sums.append(float((loss + (f * content[target]).sum()).exp()))
    assert np.mean(sums) == pytest.approx(whole, rel=0.02)


def test_candidates_are_different_nodes_with_even_chances():
    generator = torch.Generator().manual_seed(0)
    for nodes in (20, 1000):
        drawn = torch.stack([training.distinct(nodes, 10, generator) for _ in range(2000)])
        assert all(len(row.unique()) == 10 for row in drawn[:200])
        share = drawn.flatten().bincount(minlength=nodes).double() / len(drawn) * nodes / 10
        assert float((share - 1).abs().mean()) < 1.2 * (0.8 * (nodes / 10 / 2000) ** 0.5)


# walks and contexts


def test_walks_follow_edges_by_their_weights():
    matrix = csr_array(np.array([[0, 1, 3.0], [1, 0, 0], [1, 0, 0]]))
    path = Walker(matrix).walk(torch.zeros(4000, dtype=torch.int64), 3, torch.Generator().manual_seed(0))
    assert bool((path[:, 1] == 0).all()) and set(path[:, 0].tolist()) == {1, 2}
    assert float((path[:, 0] == 2).double().mean()) == pytest.approx(0.75, abs=0.03)
    assert float((path[:, 2] == 2).double().mean()) == pytest.approx(0.75, abs=0.03)


def test_a_context_never_holds_its_centre():
    centres = torch.arange(34).repeat(5)
    bags = Walker(MATRIX).contexts(centres, 4, 2, torch.Generator().manual_seed(0))
    seen = bags.weights > 0
    assert bags.nodes.shape == (170, 8) and not bool((seen & (bags.nodes == centres[:, None])).any())
    torch.testing.assert_close(bags.weights.sum(1), torch.ones(170))


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_expected_contexts_have_no_diagonal_and_rows_of_one(window):
    rng = np.random.default_rng(0)
    matrix = MATRIX.toarray() * rng.uniform(0.5, 2, MATRIX.shape)
    wanted = dense_contexts(matrix, window)
    np.testing.assert_allclose(contexts.expected_contexts(csr_array(matrix), window).toarray(), wanted, atol=1e-12)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
def test_drives_are_those_of_expected_contexts(window, monkeypatch):
    """Also in a directed graph, and in several blocks of rows."""
    monkeypatch.setattr(contexts, "ROWS", 10)
    matrix = MATRIX.toarray() * np.random.default_rng(1).uniform(0.5, 2, MATRIX.shape)
    memories = np.random.default_rng(2).normal(size=(34, 3))
    returned = contexts.returns(csr_array(matrix), window, torch.Generator())
    found = contexts.drives(csr_array(matrix), memories, contexts.reach(csr_array(matrix), memories, window), returned)
    np.testing.assert_allclose(found, dense_contexts(matrix, window) @ memories, atol=1e-12)


def test_returns_of_large_graphs_are_counted():
    exact = contexts.returns(MATRIX, 4, torch.Generator())
    counted = contexts.counted_returns(MATRIX, 4, torch.Generator().manual_seed(0))
    assert np.abs(counted - exact).max() < 0.12 and np.abs(counted - exact).mean() < 0.03


def test_order_of_nodes_changes_nothing():
    """Drives, losses and their gradients are those of the same nodes under other numbers."""
    order = torch.randperm(34, generator=torch.Generator().manual_seed(0))
    place = order.argsort()
    content, _, _ = parts(5, nodes=34)
    context, _, _ = parts(6, nodes=34)
    bags = Walker(MATRIX).contexts(torch.arange(20), 3, 2, torch.Generator().manual_seed(1))
    gradients = []
    for rows, names in ((torch.arange(34), torch.arange(34)), (order, place)):
        memories = [one[rows].clone().requires_grad_() for one in (content, context)]
        targets = names[torch.arange(20)]
        drive = context_drive(memories[1], Bags(names[bags.nodes], bags.weights))
        loss = sampled_loss(memories[0], drive, targets, torch.arange(34), memories[0][targets], beta=2.0, steps=2, nodes=34)
        gradients.append([loss.detach(), *torch.autograd.grad(loss, memories)])
    torch.testing.assert_close(gradients[1][0], gradients[0][0])
    for first, second in zip(gradients[0][1:], gradients[1][1:], strict=True):
        torch.testing.assert_close(second, first[order])
    mixed = csr_array(MATRIX.toarray()[np.ix_(order, order)])
    seen = contexts.expected_contexts(MATRIX, 3).toarray()[np.ix_(order, order)]
    np.testing.assert_allclose(contexts.expected_contexts(mixed, 3).toarray(), seen, atol=1e-12)


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
    ],
)
def test_bad_graphs_are_refused(graph, message):
    fitted = quick().fit(KARATE)
    before = fitted.transform().copy()
    with pytest.raises(ValueError, match=message):
        fitted.fit(graph)
    np.testing.assert_array_equal(fitted.transform(), before)


@pytest.mark.parametrize("graph", [5, "abc", {"a": ["b"]}, [1, 2], np.array([[0.5], [1.0]])])
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


def test_training_that_diverges_is_an_error_and_changes_nothing():
    fitted = quick().fit(KARATE)
    before = fitted.transform()
    with pytest.raises(ValueError, match="learning_rate"):
        fitted.set_params(learning_rate=1e38).fit(KARATE)
    np.testing.assert_array_equal(fitted.transform(), before)


# the estimator


def test_lonely_nodes_have_zero_embeddings_or_themselves():
    graph = networkx.Graph([(0, 1), (1, 2), (2, 0)])
    graph.add_node(3)
    for kind in ("context", "hidden", "content", "activity"):
        found = quick(isolated="zero", kind=kind).fit_transform(graph)
        assert not found[3].any() and found[:3].any(1).all()
    own = quick(isolated="self", epochs=60).fit(graph)
    torch.testing.assert_close(own.drives_[3], own.context_[3])
    assert own.recall().nodes[3] == [3]


def test_same_seed_same_embedding():
    first, same, other = (quick(random_state=seed).fit_transform(KARATE) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_torch_generator_is_left_alone():
    state = torch.get_rng_state()
    quick().fit(KARATE)
    assert torch.equal(torch.get_rng_state(), state)


def test_context_is_the_drive_and_the_other_kinds_follow():
    fitted = quick().fit(KARATE)
    drive, content = fitted.drives_.numpy(), fitted.content_.numpy()
    seen = contexts.expected_contexts(fitted.adjacency_, 2) @ fitted.context_.numpy().astype(np.float64)
    np.testing.assert_allclose(fitted.transform(), seen, atol=1e-5)
    np.testing.assert_array_equal(fitted.set_params(kind="hidden").transform(), content + drive)
    np.testing.assert_array_equal(fitted.set_params(kind="content").transform(), content)
    shares = fitted.set_params(kind="activity").transform()
    np.testing.assert_allclose(shares, np.asarray(torch.from_numpy(content + drive).softmax(-1)), atol=1e-6)


def test_a_new_node_has_the_context_of_its_neighbours():
    fitted = quick(window=1).fit(KARATE)
    rows = fitted.context_.numpy()
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
    np.testing.assert_allclose(fitted.transform({"leaf": [2]}), (mean @ fitted.context_.numpy())[[2]], atol=1e-5)


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
        ("content_", lambda old: old * torch.nan),
        ("content_", lambda old: old.half()),
        ("drives_", lambda old: old.int()),
        ("drives_", lambda old: old[:-1]),
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
