"""Matrices of numbers in MATLAB files of level 5 (MATLAB 5 to 7.2), full or sparse.

A file may come from anywhere. Nothing is followed beyond what is there, no more is unpacked than the caller allows, and what
disagrees is a `ValueError`. Text, cells, structures and complex numbers are passed over unless they are asked for.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEADER = 128
VERSIONS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}
"""The end of a header of level 5, and the order of bytes that it stands for."""
MATRIX, PACKED = 14, 15
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
SPARSE = 5
NUMERIC = range(6, 16)
COMPLEX = 0x800
CUT_OFF = "it is cut off"


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """Entries of a matrix of `shape`: `values` at `rows` and `columns`, all `(n,)`, column after column."""

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    def full(self) -> np.ndarray:
        """The whole matrix, with its zeros."""
        matrix = np.zeros(self.shape, self.values.dtype.newbyteorder("="))
        matrix[self.rows, self.columns] = self.values
        return matrix


Matrix = np.ndarray | SparseMatrix


def read_matlab(path: Path, wanted: Callable[[str], bool], most: int) -> dict[str, Matrix]:
    """The matrices whose names are `wanted`, in the types in which the file keeps their numbers.

    Args:
        path: the file.
        wanted: tells by its name whether an entry is to be read.
        most: bytes of the file and of what it unpacks to, together.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no file of level 5, damaged or too large, or a wanted entry is no matrix of real numbers.
    """
    found: dict[str, Matrix] = {}
    size = path.stat().st_size
    left = most - size
    with path.open("rb") as file:
        order = VERSIONS.get(file.read(HEADER)[-4:])
        if order is None:
            raise ValueError("it must be a MATLAB file of level 5, as MATLAB writes with save(..., '-v7')")
        while left >= 0 and (head := file.read(8)):
            kind, length = tag(head, order)
            if length > size - file.tell():
                raise ValueError(CUT_OFF)
            body = memoryview(file.read(length))
            if kind == PACKED:
                body = memoryview(unpacked(body, left))
                left -= len(body)
                if left < 0:
                    break
                kind, length = tag(body[:8], order)
                body = body[8 : 8 + length]
            if kind != MATRIX:
                raise ValueError(f"entries must be matrices (kind {MATRIX}), got kind {kind}")
            found |= entry(Elements(body, order), wanted)
    if left < 0:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    return found


def unpacked(packed: memoryview, most: int) -> bytes:
    """What zlib packed, or as much of it as shows that it is more than `most` bytes."""
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(body) <= most and not unpacker.eof:
        raise ValueError(CUT_OFF)
    return body


def tag(head: bytes | memoryview, order: str) -> tuple[int, int]:
    """Kind and length of what follows."""
    if len(head) < 8:
        raise ValueError(CUT_OFF)
    kind, length = np.frombuffer(head, f"{order}u4")
    return int(kind), int(length)


class Elements:
    """The parts of an entry, each an array of numbers, to be taken one after the other."""

    def __init__(self, body: memoryview, order: str):
        self._left = body
        self._order = order

    def take(self) -> np.ndarray:
        kind, length = tag(self._left[:8], self._order)
        # up to four bytes stand in the tag itself, which then has their number in the upper half of its first word
        short = kind >> 16
        start, end = (4, 8) if short else (8, 8 + math.ceil(length / 8) * 8)
        kind, length = (kind & 0xFFFF, short) if short else (kind, length)
        if kind not in TYPES:
            raise ValueError(f"numbers must be of one of the kinds {sorted(TYPES)}, got {kind}")
        numbers = self._left[start : start + length]
        dtype = np.dtype(f"{self._order}{TYPES[kind]}")
        if len(numbers) < length or length % dtype.itemsize or short > 4:
            raise ValueError(CUT_OFF)
        self._left = self._left[end:]
        return np.frombuffer(numbers, dtype) if length else np.empty(0, dtype)

    def integers(self) -> np.ndarray:
        numbers = self.take()
        if numbers.dtype.kind == "f":
            raise ValueError(f"sizes and places must be integers, got {numbers.dtype}")
        return numbers.astype(np.int64)


def entry(elements: Elements, wanted: Callable[[str], bool]) -> dict[str, Matrix]:
    """One entry by its name, or nothing where it is not wanted."""
    flags, lengths = elements.integers(), elements.integers()
    name = elements.take().tobytes().decode("latin-1")
    if not wanted(name):
        return {}
    kind = int(flags[0]) & 0xFF if len(flags) else 0
    if (kind != SPARSE and kind not in NUMERIC) or int(flags[0]) & COMPLEX:
        raise ValueError(f"{name} must hold real numbers")
    if len(lengths) != 2 or lengths.min() < 0:
        raise ValueError(f"{name} must be a matrix, got shape {tuple(lengths[:8].tolist())}")
    rows, columns = (int(length) for length in lengths)
    if kind == SPARSE:
        return {name: sparse(name, (rows, columns), elements)}
    values = elements.take()
    if len(values) != rows * columns:
        raise ValueError(f"{name} must hold {rows} x {columns} numbers, got {len(values)}")
    return {name: values.reshape((rows, columns), order="F")}


def sparse(name: str, shape: tuple[int, int], elements: Elements) -> SparseMatrix:
    """The row of each value, then where in them each column starts, then the values; there may be room to spare."""
    rows, starts, values = elements.integers(), elements.integers(), elements.take()
    if len(starts) != shape[1] + 1:
        raise ValueError(f"{name} must have {shape[1] + 1} starts and ends of columns, got {len(starts)}")
    total, counts = int(starts[-1]), np.diff(starts)
    if starts[0] != 0 or starts.min() < 0 or starts.max() > min(total, len(rows), len(values)) or counts.min(initial=0) < 0:
        raise ValueError(f"{name} must have columns that follow each other within its {min(len(rows), len(values))} values")
    rows = rows[:total]
    if total and not 0 <= rows.min() <= rows.max() < shape[0]:
        raise ValueError(f"{name} must have rows from 0, below {shape[0]}, got {rows.min()} to {rows.max()}")
    return SparseMatrix(rows, np.repeat(np.arange(shape[1]), counts), values[:total], shape)
