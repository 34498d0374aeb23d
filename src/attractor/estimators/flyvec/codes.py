"""Sparse binary codes of words, eight cells to a byte, and the nearest of them by Hamming distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attractor.estimators.flyvec.words import Word
from attractor.nn.top_k import largest
from attractor.validation import check_count

Bytes = npt.NDArray[np.uint8]

_ONES = np.array([byte.bit_count() for byte in range(256)], np.uint8)


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of words or texts, `k` of `cells` bits each set.

    Args:
        words: what each code is of.
        bits: `(n, ceil(cells / 8))`, packed as by `numpy.packbits`; all zero for what is unknown.
        cells: bits of a code.
        known: `(n,)` bool, whether the model knew the word, or any word of the text.

    Raises:
        ValueError: the sizes disagree.

    Example:
        >>> codes = Codes(("a", "b"), np.packbits([[1, 1, 0], [0, 1, 1]], axis=1), 3, np.array([True, True]))
        >>> codes.unpack().tolist(), codes.similarity(codes).round(2).tolist()
        ([[True, True, False], [False, True, True]], [[1.0, 0.33], [0.33, 1.0]])
    """

    words: Sequence[Word]
    bits: Bytes
    cells: int
    known: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = (len(self.words), -(-self.cells // 8))
        if self.bits.shape != shape or self.bits.dtype != np.uint8 or self.known.shape != shape[:1]:
            raise ValueError(f"bits must be bytes {shape} and known {shape[:1]}, got {self.bits.shape} and {self.known.shape}")

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Codes({len(self):,} of {self.cells} cells, {int((~self.known).sum()):,} unknown)"

    @property
    def unknown(self) -> list[Word]:
        """The words without a code."""
        return [word for word, known in zip(self.words, self.known.tolist(), strict=True) if not known]

    def unpack(self) -> npt.NDArray[np.bool_]:
        """Which cells are on, `(n, cells)`."""
        return np.unpackbits(self.bits, axis=1, count=self.cells).view(np.bool_)

    @cached_property
    def _columns(self) -> npt.NDArray[np.uint64]:
        """The bits as 64-bit numbers `(numbers, n)`, filled up with zeros."""
        filled = np.pad(self.bits, ((0, 0), (0, -self.bits.shape[1] % 8)))
        return np.ascontiguousarray(filled.view(np.uint64).T)

    def distances(self, other: Codes) -> npt.NDArray[np.int64]:
        """Hamming distances `(n, m)` to other codes.

        Raises:
            ValueError: codes with another number of cells.
        """
        if other.cells != self.cells:
            raise ValueError(f"codes must have {self.cells} cells, got {other.cells}")
        found = np.empty((len(self), len(other)), np.int64)
        for place, query in enumerate(self._columns.T):
            found[place] = ones(other._columns ^ query[:, None])
        return found

    def similarity(self, other: Codes) -> npt.NDArray[np.float64]:
        """The share of equal bits, `(n, m)`."""
        return 1 - self.distances(other) / self.cells

    def nearest(self, queries: Codes, n: int = 10) -> list[list[tuple[Word, float]]]:
        """For each query the `n` words here whose codes are nearest, with the share of equal bits; ties by their order here.

        The query's own word is left out; unknown words are never found, and an unknown query finds nothing.

        Raises:
            ValueError: `n` is below 1, or the queries have another number of cells.
        """
        check_count("n", n)
        if queries.cells != self.cells:
            raise ValueError(f"codes must have {self.cells} cells, got {queries.cells}")
        found = []
        for query, word, known in zip(queries._columns.T, queries.words, queries.known.tolist(), strict=True):
            key = ones(self._columns ^ query[:, None]) * len(self) + np.arange(len(self))
            key[~self.known] = np.iinfo(np.int64).max
            # one more, as the word itself may be among them
            near = np.sort(np.partition(key, n)[: n + 1] if len(key) > n + 1 else key)
            places = [divmod(one, len(self)) for one in near.tolist() if one < np.iinfo(np.int64).max] if known else []
            named = [(self.words[place], 1 - distance / self.cells) for distance, place in places]
            found.append([(other, alike) for other, alike in named if other != word][:n])
        return found


def encode(drives: Tensor, hash_length: int) -> Bytes:
    """Packed codes of drives `(n, cells)`: the `hash_length` largest are on, of equals the lower."""
    on = torch.zeros(drives.shape, dtype=torch.uint8).scatter_(1, largest(drives, hash_length), 1)
    return np.packbits(on.numpy(), axis=1)


def ones(columns: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """How many bits of each column `(numbers, n)` are 1: `(n,)`."""
    count = getattr(np, "bitwise_count", None)
    # NumPy counts bits from version 2 on
    counted = _ONES[columns.view(np.uint8)].reshape(*columns.shape, 8).sum(-1) if count is None else count(columns)
    total: npt.NDArray[np.int64] = counted.sum(0, dtype=np.int64)
    return total
