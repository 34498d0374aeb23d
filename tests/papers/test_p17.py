"""The measurements of paper 17, at small sizes."""

from dataclasses import replace

import networkx
import numpy as np
import pytest
import torch
from papers.stand_ins import quiet, unavailable

from attractor.data import LabelledNetwork
from attractor.papers import paper_module
from attractor.papers.p17_network_embedding import baselines, classification, embeddings, links, tasks
from attractor.papers.p17_network_embedding.claims import CONNECTOME, GRAPHS, LINKS_LEAD, LOWER, PAPER
from attractor.papers.p17_network_embedding.sizes import DEEPWALK, HOPFIELD, METHODS, NETMF, SIZES, settings_of

KARATE = networkx.to_scipy_sparse_array(networkx.karate_club_graph(), weight=None, dtype=float)
TINY = replace(SIZES["smoke"], recall_epochs=2, epochs=(3, 3), splits=1, walks=1, seeds=(2, 1, 2), networks=2, steps=10)


def blocks(name):
    """Four groups of friends in the place of a real network."""
    graph = networkx.planted_partition_graph(4, 40, 0.25, 0.01, seed=0)
    edges = torch.tensor([sorted(edge) for edge in graph.edges]).T
    return LabelledNetwork(edges, torch.arange(160) // 40, name)


@pytest.fixture
def small(monkeypatch):
    for module in (classification, tasks):
        monkeypatch.setattr(module, "load_network", blocks)
        monkeypatch.setattr(module, "settings_of", lambda *asked: settings_of(*asked)[:2])


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
    adjacency = embeddings.adjacency_of(blocks("blocks"))
    rows = embeddings.unit(baselines.deepwalk(adjacency, 16, walks=20))
    near = rows @ rows.T
    same = np.equal.outer(np.arange(160) // 40, np.arange(160) // 40)
    assert near[same].mean() > near[~same].mean() + 0.2
    np.testing.assert_array_equal(rows, embeddings.unit(baselines.deepwalk(adjacency, 16, walks=20)))


def test_the_plain_factorisation_is_that_of_the_edges():
    found = baselines.singular(KARATE, 5)
    left, values, _ = np.linalg.svd(KARATE.toarray())
    np.testing.assert_allclose(np.abs(found[:, ::-1]), np.abs(left[:, :5] * values[:5]), atol=1e-6)


def test_groups_are_classified_and_compared_on_the_same_splits(small):
    size = replace(TINY, epochs=(20, 20), splits=2)
    measured = classification.measure_classification(size, 0, quiet)
    assert [row.claim for row in measured.rows] == list(PAPER.claims[1:22])
    first = measured.rows[0]
    assert first.n == 2 and "NetMF" in first.note and "rows of edges" in first.note and "SVD" in first.note
    assert measured.rows[2].measured is None and "larger scale" in measured.rows[2].note
    micro = measured.rows[18]
    assert micro.measured > 0.8
    assert [figure.name for figure in measured.figures] == ["f1-10", "f1-50"]


def test_groups_of_shuffled_labels_are_found_by_chance():
    """A classifier that had seen its test nodes would not be as bad."""
    rows = embeddings.embedded(NETMF, embeddings.adjacency_of(blocks("blocks")), 16, {"window": 2}, 0)
    labels = np.random.default_rng(0).permutation(np.arange(160) // 40)
    found = [classification.scores(rows, labels, 4, seed)["micro 50"] for seed in range(3)]
    assert abs(np.mean(found) - 0.25) < 0.1


def test_splits_belong_to_the_seed_and_share_no_node():
    labels = np.concatenate([np.arange(160) // 40, [-1, 7]])
    drawn = [classification.parted(labels, 0.5, seed) for seed in (10_000, 10_001, 20_000, 10_000)]
    for train, test in drawn:
        assert sorted([*train, *test]) == list(range(160))
    assert len({tuple(train) for train, _ in drawn}) == 3


def test_runs_with_other_seeds_have_other_splits(small, monkeypatch):
    seeds = []
    part = classification.parted
    monkeypatch.setattr(classification, "parted", lambda labels, share, seed: seeds.append(seed) or part(labels, share, seed))
    labels = np.arange(160) // 40
    for seed in range(3):
        classification.scores({"": np.eye(160)}, labels, 5, seed)
    assert len(set(seeds)) == 15 and min(seeds) >= 10_000


def test_settings_are_chosen_by_training_nodes_alone():
    """The embedding that knows test nodes only is not chosen, though it would score best."""
    labels = np.arange(160) // 40
    train, test = classification.parted(labels, 0.5, 10_000)
    right, rng = np.eye(4)[labels], np.random.default_rng(0)
    leaked, honest = (right + noise * rng.normal(size=(160, 4)) for noise in (1.0, 0.5))
    leaked[test] = right[test]
    assert classification.f1(leaked, labels, train, test) > classification.f1(honest, labels, train, test)
    assert classification.chosen({"leaked": leaked, "honest": honest}, labels, train) == "honest"
    other = labels.copy()
    other[test] = rng.permutation(labels[test])
    assert classification.inner(honest, other, train) == classification.inner(honest, labels, train)


def test_every_method_has_settings_to_choose_from():
    for graph in GRAPHS:
        for method in (HOPFIELD, NETMF, DEEPWALK):
            found = settings_of(graph, method, 3000, SIZES["laptop"])
            assert 2 <= len(found) <= 6 and len({tuple(each.items()) for each in found}) == len(found)


@pytest.mark.parametrize("graph", GRAPHS)
def test_names_tell_all_embeddings_of_a_graph_apart(graph):
    size = replace(TINY, epochs=(1, 1))
    tried = settings_of(graph, HOPFIELD, 15_000, size)
    found = [name for each in tried for name in embeddings.embedded(HOPFIELD, KARATE.tocsr(), 4, each, 0)]
    assert len(set(found)) == len(found) == len(tried) * len(embeddings.KINDS)


def test_the_lead_is_the_lower_end_over_the_better_method():
    runs = {
        (CONNECTOME, name): [{"micro 10": value + one, "seconds": [1.0], "chosen": ["a"]} for one in (0.0, 0.02, 0.01)]
        for name, value in zip(METHODS, (0.7, 0.5, 0.6, 0.8, 0.8), strict=True)
    }
    runs[CONNECTOME, HOPFIELD][1]["micro 10"] += 0.03
    row = classification.row_of(runs, {}, PAPER.claims[1], CONNECTOME, "micro 10")
    low = 0.11 - 4.302653 * 0.03 / 3**0.5 / 3**0.5
    assert PAPER.claims[1].text.endswith(LOWER) and row.measured == pytest.approx(low, abs=1e-6)
    assert row.ok and row.n == 3 and row.seconds == 15.0 and "mean 0.1100" in row.note
    runs[CONNECTOME, HOPFIELD][1]["micro 10"] += 0.5
    assert classification.row_of(runs, {}, PAPER.claims[1], CONNECTOME, "micro 10").ok is False
    for each in runs.values():
        del each[1:]
    alone = classification.row_of(runs, {}, PAPER.claims[1], CONNECTOME, "micro 10")
    assert alone.ok is None and "no interval" in alone.note


def test_without_gensim_the_notes_say_so(small, monkeypatch):
    monkeypatch.setattr(classification, "find_spec", lambda name: None)
    row = classification.measure_classification(TINY, 0, quiet).rows[0]
    assert "pip install gensim" in row.note and "DeepWalk 0" not in row.note


SETTINGS = {"window": 3, "epochs": 60}
TRIED = {NETMF: [{"window": 3}]}


def test_tasks_are_measured_and_a_wrong_answer_is_seen(small, monkeypatch):
    size = replace(TINY, graphs=GRAPHS, epochs=(8, 8))
    monkeypatch.setattr(tasks, "COARSE", (6, 12))
    recall, link, lead, late, modular, weight = tasks.measure_tasks(size, 0, quiet).rows
    assert link.measured > 0.6 and late.measured < 0.2 and modular.measured > 0.25 and weight.measured == 0.0
    assert lead.claim is LINKS_LEAD and lead.measured < link.measured and "NetMF" in lead.note and "Katz" in lead.note
    assert recall.baseline == pytest.approx(1.0) and recall.n == 160
    wrong = {
        "links": lambda *asked: {"value": 0.5, "areas": {"activity": 0.5, NETMF: 0.6}, "note": ""},
        "inductive": lambda *asked: {"value": 0.3, "note": ""},
        "coarsening": lambda *asked: {"value": 0.1, "lost": 1.0, "values": {}, "note": ""},
    }
    monkeypatch.setattr(tasks, "TASKS", wrong)
    assert all(row.ok is False for row in tasks.measure_tasks(size, 0, quiet).rows[1:])


def test_hidden_links_leave_every_node_a_neighbour_and_are_not_learned(monkeypatch):
    network = blocks("blocks")
    hidden = links.hidden_edges(network, np.random.default_rng(0))
    assert hidden.sum() == int(0.2 * network.edges.shape[1])
    left = embeddings.adjacency_of(LabelledNetwork(network.edges[:, torch.from_numpy(~hidden)], network.labels, "left"))
    graph = networkx.from_scipy_sparse_array(left)
    assert networkx.is_connected(graph)
    learned = []

    def learner(width, seed, **settings):
        estimator = embeddings.hopfield(width, seed, **settings)
        fit = estimator.fit
        monkeypatch.setattr(estimator, "fit", lambda graph: learned.append(graph) or fit(graph), raising=False)
        return estimator

    monkeypatch.setattr(links, "hopfield", learner)
    links.links(network, SETTINGS, TRIED, 0)
    first, second = network.edges.numpy()[:, links.hidden_edges(network, np.random.default_rng(0))]
    assert not learned[0][first, second].any() and learned[0].nnz == left.nnz


def test_links_of_a_graph_without_structure_are_found_by_chance():
    """Any leak of the hidden edges would lift the areas."""
    graph = networkx.gnp_random_graph(300, 0.05, seed=1)
    network = LabelledNetwork(torch.tensor([sorted(edge) for edge in graph.edges]).T, torch.zeros(300, dtype=torch.int64), "random")
    areas = links.links(network, SETTINGS, TRIED, 0)["areas"]
    assert all(abs(areas[name] - 0.5) < 0.08 for name in ("activity", "context", "hidden", NETMF, "common neighbours"))


def test_strangers_are_no_edges_and_differ():
    network = blocks("blocks")
    found = links.strangers(network, 500, np.random.default_rng(0)).T.tolist()
    assert len(set(map(tuple, found))) == 500 and not set(map(tuple, found)) & set(map(tuple, network.edges.T.tolist()))


def test_paths_are_counted():
    dense = KARATE.toarray()
    pairs = np.array([0, 3, 5]), np.array([33, 9, 16])
    two, both = links.path_counts(KARATE.tocsr(), pairs)
    np.testing.assert_allclose(two, (dense @ dense)[pairs])
    np.testing.assert_allclose(both, (dense @ dense + links.KATZ * dense @ dense @ dense)[pairs])


def test_hidden_nodes_are_not_in_the_graph_that_is_learned(monkeypatch):
    network, learned, asked = blocks("blocks"), [], []

    def learner(width, seed, **settings):
        estimator = embeddings.hopfield(width, seed, **settings)
        fit, transform = estimator.fit, estimator.transform
        estimator.fit = lambda graph: learned.append(graph) or fit(graph)
        estimator.transform = lambda nodes=None: asked.append(nodes) or transform(nodes)
        return estimator

    monkeypatch.setattr(tasks, "hopfield", learner)
    tasks.inductive(network, SETTINGS, {}, 0)
    seen = learned[0].shape[0]
    # names of new nodes are those of the whole graph, their neighbours rows of the seen part of it
    hidden = set(asked[1])
    assert seen + len(hidden) <= 160 and len(hidden) > 5
    degrees = embeddings.adjacency_of(network)
    kept = [node for node in range(160) if node not in hidden]
    if seen == len(kept):
        assert learned[0].nnz == degrees[kept][:, kept].nnz
    assert all(max(others) < seen for others in asked[1].values())


def test_a_rise_of_the_energy_is_seen(monkeypatch):
    assert tasks.measure_descent(TINY, 0, quiet).rows[0].ok
    monkeypatch.setattr(tasks, "STEP_SIZES", (2.5,))
    assert tasks.measure_descent(TINY, 0, quiet).rows[0].ok is False


def test_areas_of_pairs():
    assert links.area(np.array([3.0, 4.0, 1.0, 2.0])) == 1.0
    assert links.area(np.array([1.0, 2.0, 3.0, 4.0])) == 0.0


def test_without_networks_rows_say_what_is_needed(monkeypatch):
    for module in (classification, tasks):
        monkeypatch.setattr(module, "load_network", unavailable)
    size = replace(TINY, graphs=GRAPHS)
    rows = [*classification.measure_classification(size, 0, quiet).rows, *tasks.measure_tasks(size, 0, quiet).rows]
    assert [row.claim for row in rows] == list(PAPER.claims[1:])
    assert all(row.measured is None and "attractor[demo]" in row.note for row in rows)


def test_a_run_gives_a_row_for_each_claim(small, monkeypatch):
    from attractor.papers.p17_network_embedding import reproduction

    monkeypatch.setitem(reproduction.SIZES, "smoke", TINY)
    report = paper_module("17").run("smoke", 0)
    assert [row.claim for row in report.rows] == list(PAPER.claims)


def test_a_method_that_is_trained_once_for_all_seeds_has_one_time():
    runs = {("verbs", NETMF): [{"seconds": [1.0, 3.0], "micro 50": 0.7}, {"seconds": [], "micro 50": 0.8}]}
    assert classification.numbers(runs, "verbs", NETMF, "seconds") == [3.0]
    assert classification.numbers(runs, "verbs", NETMF, "micro 50") == [0.7, 0.8]
