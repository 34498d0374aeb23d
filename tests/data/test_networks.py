"""Networks with classes of nodes, and WordNet, from files of their formats."""

import numpy as np
import pytest
import torch

from attractor.data import NETWORKS, DataUnavailableError, LabelledNetwork, Synset, load_network, networks, read_wordnet, wordnet

LICENCE = "  1 This software and database is being provided to you\n"
VERBS = (
    "00001740 29 v 02 breathe 0 take_a_breath 0 003 @ 00002325 v 0000 + 03110323 n 0301 ~ 00002325 v 0101 01 + 02 00 | draw air  \n"
    '00002325 31 v 01 respire 1 001 @ 00001740 v 0000 01 + 02 00 | undergo respiration; "he | she respired"  \n'
    "00009999 29 v 01 stand_alone 0 000 00 | be without a relation  \n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "SYSTEM_FOLDERS", ())
    (tmp_path / "wordnet").mkdir()
    (tmp_path / "wordnet" / "data.verb").write_text(LICENCE + VERBS)
    return tmp_path


def test_synsets_are_read_as_they_stand(folder):
    first, second, third = read_wordnet("verb", folder)
    assert first == Synset("v00001740", ("breathe", "take a breath"), 29, "draw air", ("v00002325", "n03110323"))
    assert second.gloss == 'undergo respiration; "he | she respired"' and second.category == 31
    assert third.related == ()
    assert read_wordnet("verb", folder / "wordnet") == [first, second, third]


def test_satellites_and_markers_of_adjectives(folder):
    line = "00001740 00 s 01 able(p) 0 001 & 00002098 s 0000 | having the power  \n"
    (folder / "data.adj").write_text(LICENCE + line)
    assert read_wordnet("adj", folder)[0] == Synset("a00001740", ("able",), 0, "having the power", ("a00002098",))


@pytest.mark.parametrize("line", ["nonsense\n", VERBS.splitlines()[0].replace(" 003 ", " 004 ") + "\n", "x | y\n"])
def test_damaged_synsets_are_named(folder, line):
    (folder / "wordnet" / "data.verb").write_text(LICENCE + line)
    with pytest.raises(ValueError, match="line 2"):
        read_wordnet("verb", folder)


def test_wordnet_in_another_code_or_without_relations_is_named(folder):
    (folder / "wordnet" / "data.verb").write_bytes(LICENCE.encode() + "caf\xe9".encode("latin-1"))
    with pytest.raises(ValueError, match=r"data\.verb"):
        read_wordnet("verb", folder)
    (folder / "wordnet" / "data.verb").write_text(LICENCE + VERBS.splitlines()[2] + "\n")
    with pytest.raises(ValueError, match=r"data\.verb"):
        load_network("wordnet-verbs", root=folder)


def test_wordnet_that_is_not_there_says_how_to_get_it(folder):
    with pytest.raises(DataUnavailableError, match="apt install wordnet-base"):
        read_wordnet("noun", folder)
    with pytest.raises(ValueError, match="part"):
        read_wordnet("pronoun", folder)


def test_relations_make_a_network_of_the_largest_component(folder):
    found = load_network("wordnet-verbs", root=folder)
    assert found.edges.tolist() == [[0], [1]] and found.labels.tolist() == [0, 1]


def test_components_are_found_along_a_path():
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    path = torch.stack([order[:-1], order[1:]])[:, torch.arange(49) != 30]
    kept = networks.largest_component(path.sort(0).values, 50)
    assert sorted(kept.nonzero().flatten().tolist()) == sorted(order[:31].tolist())


def test_archives_are_read_and_edges_made_plain(tmp_path):
    pairs = np.array([[1, 0], [0, 1], [2, 2], [1, 2]], dtype=np.int32)
    np.savez(tmp_path / "cora.npz", edges=pairs, labels=np.array([0, -1, 1]), n_nodes=3)
    found = load_network("cora", root=tmp_path)
    assert found.edges.tolist() == [[0, 1], [1, 2]] and found.labels.tolist() == [0, -1, 1] and found.classes == 2


@pytest.mark.parametrize(
    "content",
    [
        {"edges": np.zeros((1, 2), dtype=int), "labels": np.zeros(3, dtype=int)},
        {"edges": np.zeros((1, 2), dtype=int), "labels": np.zeros(3, dtype=int), "n_nodes": 4},
        {"edges": np.array([[0, 9]]), "labels": np.zeros(3, dtype=int), "n_nodes": 3},
        {"edges": np.array([[0, 5]]), "labels": np.zeros(3, dtype=int), "n_nodes": 3},
        {"edges": np.array([[-1, 5]]), "labels": np.zeros(3, dtype=int), "n_nodes": 3},
        {"edges": np.array([[0.9, 1.9]]), "labels": np.zeros(3, dtype=int), "n_nodes": 3},
        {"edges": np.array([[0, 1]]), "labels": np.array([0.7, 1.2, 0]), "n_nodes": 3},
        {"edges": np.array([[0, {}]], dtype=object), "labels": np.zeros(3, dtype=int), "n_nodes": 3},
    ],
)
def test_damaged_archives_are_refused(tmp_path, content):
    np.savez(tmp_path / "cora.npz", **content)
    with pytest.raises(ValueError, match=r"cora\.npz"):
        load_network("cora", root=tmp_path)


def test_a_connectome_is_read_from_the_package(tmp_path):
    folder = tmp_path / "graspologic" / "datasets" / "drosophila"
    folder.mkdir(parents=True)
    (folder / "left_adjacency.csv").write_text("0 3 0\n1 0 0\n0 2 5\n")
    (folder / "left_cell_labels.csv").write_text("K\nP\nK\n")
    found = load_network("connectome", root=tmp_path)
    assert found.edges.tolist() == [[0, 1], [1, 2]] and found.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize("matrix", ["0 3 0\n1 0 0\n", "0 nan 0\n1 0 0\n0 2 5\n", "0 3\n1 0\n"])
def test_a_damaged_connectome_is_refused(tmp_path, matrix):
    folder = tmp_path / "graspologic" / "datasets" / "drosophila"
    folder.mkdir(parents=True)
    (folder / "left_adjacency.csv").write_text(matrix)
    (folder / "left_cell_labels.csv").write_text("K\nP\nK\n")
    with pytest.raises(ValueError, match="drosophila"):
        load_network("connectome", root=tmp_path)


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith(("wordnet", "connectome"))])
def test_networks_that_are_not_there_say_how_to_get_them(tmp_path, name):
    with pytest.raises(DataUnavailableError, match="ATTRACTOR_DATA"):
        load_network(name, root=tmp_path)


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        (torch.tensor([[1], [0]]), torch.tensor([0, 0])),
        (torch.tensor([[0, 0], [1, 1]]), torch.tensor([0, 0])),
        (torch.tensor([[0], [2]]), torch.tensor([0, 0])),
        (torch.tensor([0, 1]), torch.tensor([0, 0])),
        (torch.tensor([[0], [1]]), torch.tensor([0, -2])),
    ],
)
def test_wrong_networks_are_refused(edges, labels):
    with pytest.raises(ValueError, match=r"edges|labels"):
        LabelledNetwork(edges, labels, "wrong")


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "classes"),
    [
        ("connectome", 209, 5559, 4),
        ("lastfm-asia", 7624, 27806, 18),
        ("wordnet-verbs", 13528, 15553, 15),
        ("cora", 2708, 5278, 7),
        ("citeseer", 3327, 4552, 6),
        ("pubmed", 19717, 44324, 3),
    ],
)
def test_real_networks_have_their_published_sizes(name, nodes, edges, classes):
    try:
        found = load_network(name)
    except DataUnavailableError as error:
        pytest.skip(str(error))
    assert (len(found), found.edges.shape[1], found.classes) == (nodes, edges, classes)
