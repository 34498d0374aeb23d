"""Matrices in MATLAB files: what scipy writes, what MATLAB may write besides, and what nobody should."""

import random
import struct
import zlib

import numpy as np
import pytest

from attractor.data.matlab import SparseMatrix, read_matlab

MOST = 10**6
INT8, INT32, UINT32, DOUBLE = 1, 5, 6, 9


def everything(name):
    return True


def read(path, most=MOST):
    return read_matlab(path, everything, most)


def element(order, kind, data):
    return struct.pack(f"{order}II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(order, name, shape, numbers, *, kind=6, flags=0):
    """An entry with its numbers as they are given, doubles by default."""
    body = element(order, UINT32, struct.pack(f"{order}II", kind | flags, 0))
    body += element(order, INT32, struct.pack(f"{order}{len(shape)}i", *shape))
    body += element(order, INT8, name.encode())
    for one in numbers:
        body += one if isinstance(one, bytes) else element(order, DOUBLE, struct.pack(f"{order}{len(one)}d", *one))
    return element(order, 14, body)


def packed(entry):
    """As zlib packs it; nothing fills it up to eight bytes."""
    data = zlib.compress(entry)
    return struct.pack("<II", 15, len(data)) + data


def file_of(path, *entries, order="<"):
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(entries))
    return path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int16, np.int64, bool])
def test_matrices_of_scipy_come_back(tmp_path, packed, dtype):
    scipy = pytest.importorskip("scipy")
    values = (np.random.default_rng(0).normal(size=(7, 5)) * 3).astype(dtype)
    thin = scipy.sparse.random(9, 6, 0.3, format="csc", random_state=0)
    held = {"values": values, "one": np.array([[2]], dtype), "thin": thin, "none": scipy.sparse.csc_matrix((3, 4)), "text": "word"}
    scipy.io.savemat(tmp_path / "a.mat", held, do_compression=packed)
    found = read_matlab(tmp_path / "a.mat", lambda name: name != "text", MOST)
    assert found.keys() == held.keys() - {"text"}
    assert np.array_equal(found["values"], values) and found["one"].tolist() == [[dtype(2)]]
    assert isinstance(found["thin"], SparseMatrix) and np.array_equal(found["thin"].full(), thin.toarray())
    assert np.array_equal(found["none"].full(), np.zeros((3, 4)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_bytes_are_read(tmp_path, order):
    thin = [struct.pack(f"{order}II2i", INT32, 8, 2, 0), struct.pack(f"{order}II4i", INT32, 16, 0, 1, 1, 2), [3.0, 4.0]]
    entries = matrix(order, "A", (2, 3), [[1, 2, 3, 4, 5, 6]]), matrix(order, "S", (3, 3), thin, kind=5)
    found = read(file_of(tmp_path / "a.mat", *entries, order=order))
    assert found["A"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert found["S"].full().tolist() == [[0, 0, 4], [0, 0, 0], [3, 0, 0]]


def test_numbers_in_their_own_tag_are_read(tmp_path):
    # three bytes of kind uint8, in the upper and the lower half of one word
    short = struct.pack("<I", 3 << 16 | 2) + bytes([7, 8, 9, 0])
    assert read(file_of(tmp_path / "a.mat", matrix("<", "A", (1, 3), [short])))["A"].tolist() == [[7, 8, 9]]


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (matrix("<", "A", (2, 2), [[1.0, 2.0, 3.0]]), "A must hold 2 x 2 numbers, got 3"),
        (matrix("<", "A", (2**31 - 1, 2**31 - 1), [[1.0]]), "numbers, got 1"),
        (matrix("<", "A", (2, -1), [[1.0]]), "A must be a matrix"),
        (matrix("<", "A", (1, 1, 1), [[1.0]]), r"A must be a matrix, got shape \(1, 1, 1\)"),
        (matrix("<", "A", (1, 1), [[1.0], [1.0]], flags=0x800), "A must hold real numbers"),
        (matrix("<", "A", (1, 1), [[1.0]], kind=1), "A must hold real numbers"),
        (matrix("<", "A", (1, 1), [element("<", 77, b"12345678")]), "77"),
        (matrix("<", "A", (1, 1), [element("<", DOUBLE, b"1234567")]), "cut off"),
        (matrix("<", "A", (1, 1), []), "cut off"),
        (matrix("<", "A", (1, 1), [[1.0]])[:-9], "cut off"),
        (struct.pack("<II", 14, 2**32 - 1), "cut off"),
        (struct.pack("<I", 14), "cut off"),
        (element("<", 15, zlib.compress(b"\0" * 64)[:-6]), "cut off"),
        (element("<", 15, b"no stream"), "header"),
        (element("<", 9, b"12345678"), "kind 9"),
    ],
)
def test_damaged_entries_are_refused(tmp_path, entry, word):
    with pytest.raises(ValueError, match=word):
        read(file_of(tmp_path / "a.mat", entry))


@pytest.mark.parametrize(
    ("rows", "starts", "word"),
    [
        ([0, 5], [0, 1, 2], "rows from 0"),
        ([0, -1], [0, 1, 2], "rows from 0"),
        ([0, 1], [0, 1, 9], "within its 2 values"),
        ([0, 1], [0, 9, 2], "within its 2 values"),
        ([0, 1], [0, -1, 2], "within its 2 values"),
        ([0, 1], [1, 1, 2], "within its 2 values"),
        ([0, 1], [0, 2], "starts"),
    ],
)
def test_sparse_places_outside_are_refused(tmp_path, rows, starts, word):
    parts = [element("<", INT32, struct.pack(f"<{len(part)}i", *part)) for part in (rows, starts)]
    with pytest.raises(ValueError, match=word):
        read(file_of(tmp_path / "a.mat", matrix("<", "S", (5, 2), [*parts, [1.0, 2.0]], kind=5)))


def test_no_more_is_unpacked_than_is_allowed(tmp_path):
    bomb = packed(matrix("<", "A", (1, 10**6), [np.zeros(10**6)]))
    file = file_of(tmp_path / "a.mat", bomb)
    assert file.stat().st_size < 10**5
    with pytest.raises(ValueError, match="unpacks to more than 1,000,000 bytes"):
        read(file)
    several = packed(matrix("<", "A", (1, 10**5), [np.zeros(10**5)]))
    with pytest.raises(ValueError, match="unpacks to more"):
        read(file_of(tmp_path / "a.mat", several, several))
    assert read(file_of(tmp_path / "a.mat", several))["A"].shape == (1, 10**5)


def test_files_of_other_levels_say_what_to_do(tmp_path):
    for head in (b"", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF" + b"\0" * 500, b"no matrix" * 40):
        (tmp_path / "a.mat").write_bytes(head)
        with pytest.raises(ValueError, match="level 5"):
            read(tmp_path / "a.mat")


def test_flipped_bytes_are_read_or_refused(tmp_path):
    places = [element("<", INT32, struct.pack("<3i", 0, 1, 2)), element("<", INT32, struct.pack("<4i", 0, 1, 2, 3))]
    entries = [
        matrix("<", "X", (6, 5), [np.arange(30)]),
        matrix("<", "S", (3, 3), [*places, [1.0, 2.0, 3.0]], kind=5),
    ]
    whole = file_of(tmp_path / "a.mat", *entries, packed(entries[0])).read_bytes()
    draw, refused = random.Random(0), 0
    for turn in range(1500):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(124, len(damaged))] = draw.randrange(256)
        (tmp_path / "a.mat").write_bytes(damaged[: draw.randrange(100, len(damaged))] if turn % 4 == 0 else damaged)
        try:
            for one in read(tmp_path / "a.mat").values():
                assert one.shape[0] * one.shape[1] <= MOST if isinstance(one, np.ndarray) else len(one.rows) == len(one.values)
        except ValueError:
            refused += 1
    assert 500 < refused < 1500
