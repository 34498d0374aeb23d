"""Tables of numbers with classes."""

import gzip

import numpy as np
import pytest
import torch

from attractor.data import DataUnavailableError, load_table
from attractor.data.tables import SOURCES

SHAPES = {
    "zoo": (101, 16, 7),
    "ecoli": (336, 7, 8),
    "movement-libras": (360, 90, 15),
    "segment": (2310, 19, 7),
    "ctg": (2126, 21, 10),
    "mice-protein": (1080, 77, 8),
    "yale": (165, 1024, 15),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast-cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
}


@pytest.mark.parametrize("name", SHAPES)
def test_table_has_the_rows_features_and_classes_that_are_published(name):
    try:
        table = load_table(name)
    except DataUnavailableError as error:
        pytest.skip(str(error))
    assert (*table.values.shape, len(table.classes)) == SHAPES[name]
    assert table.values.dtype == torch.float64 and bool(table.values.isfinite().all())
    assert table.labels.shape == (len(table),) and bool((table.labels.bincount() > 0).all())


def test_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    table, theirs = load_table("digits"), datasets.load_digits()
    assert (table.values.numpy() == theirs.data).all() and (table.labels.numpy() == theirs.target).all()


@pytest.mark.parametrize("folder", ["", "clam"])
def test_own_folder_comes_first(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "zoo.csv").write_text("1,2,b\n3,4,a\n5,6,b\n")
    table = load_table("zoo", root=tmp_path)
    assert table.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert table.labels.tolist() == [1, 0, 1] and table.classes == ("a", "b")


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    (tmp_path / "ctg.txt").write_text("1\t2\t10\n3 4  9\n5,6,10\n")
    assert load_table("ctg", root=tmp_path).classes == ("9", "10")


@pytest.mark.parametrize("content", ["", "1,2,a\n3,b\n", "x,2,a\n", "nan,2,a\n", "a\n"])
def test_damaged_file_is_named(tmp_path, content):
    (tmp_path / "ecoli.data").write_text(content)
    with pytest.raises(ValueError, match=r"ecoli\.data"):
        load_table("ecoli", root=tmp_path)


def test_damaged_archive_and_matrix_are_named(tmp_path):
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(b"1,2\n")[:-6])
    (tmp_path / "Yale.mat").write_bytes(b"no matrix" * 40)
    for name in ("digits", "yale"):
        with pytest.raises(ValueError, match=name):
            load_table(name, root=tmp_path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"X": np.full((3, 4), np.nan)}, "finite"),
        ({"X": np.ones((3, 4, 2))}, "X must be a matrix"),
        ({"X": np.ones((3, 4)) * 1j}, "X must hold real numbers"),
        ({"X": {"a": 1}}, "X must hold real numbers"),
        ({"X": np.ones((3, 0))}, "there must be one"),
        ({"X": np.ones((2, 4))}, "as many rows"),
        ({"X": "sparse"}, "full matrices"),
        ({"Y": np.array([1.0, np.nan, 2.0])}, "Y must be finite"),
        ({"Y": "abc"}, "Y must hold real numbers"),
        ({"X": np.zeros((100, 1_500_000), np.uint8), "Y": np.arange(100)}, "unpacks to more"),
    ],
)
def test_matrices_that_are_no_table_are_refused(tmp_path, change, word):
    scipy = pytest.importorskip("scipy")
    if isinstance(change.get("X"), str):
        change = {"X": scipy.sparse.eye(3, format="csc")}
    scipy.io.savemat(tmp_path / "Yale.mat", {"X": np.ones((3, 4)), "Y": np.arange(3)} | change, do_compression=True)
    with pytest.raises(ValueError, match=word):
        load_table("yale", root=tmp_path)


def test_matrix_is_a_table(tmp_path):
    scipy = pytest.importorskip("scipy")
    scipy.io.savemat(tmp_path / "Yale.mat", {"X": np.arange(6).reshape(3, 2), "Y": np.array([10, 9, 10])})
    table = load_table("yale", root=tmp_path)
    assert table.values.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert table.labels.tolist() == [1, 0, 1] and table.classes == ("9", "10")


def test_unknown_and_absent_tables_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="iris"):
        load_table("irises")
    with pytest.raises(ValueError, match="root"):
        load_table("iris", root=tmp_path / "none")
    with pytest.raises(DataUnavailableError, match=SOURCES["ecoli"].file):
        load_table("ecoli", root=tmp_path)
