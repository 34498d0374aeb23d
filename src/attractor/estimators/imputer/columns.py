"""Tables as users have them, numbers and categories with holes, and the numbers that a memory compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.imputer.evidence import Layout

MOST_CATEGORIES = 255
"""Of one column; rarer ones are neither compared nor filled in."""
FARTHEST = 1e5
"""Standard deviations; no row of a table of up to 10^10 rows is farther from the mean, so that only new rows are held back."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table `(n, features)` taken apart.

    Attributes:
        numbers: `(n, features)`, NaN where missing and in category columns.
        objects: the category columns `(n,)` by feature.
        missing: the holes, `(n, features)` Boolean.
        dtype: of the whole table: object where it is not all numbers.
    """

    numbers: np.ndarray
    objects: dict[int, np.ndarray]
    missing: np.ndarray
    dtype: np.dtype[Any]

    def rows(self, chosen: np.ndarray | slice) -> Table:
        objects = {feature: column[chosen] for feature, column in self.objects.items()}
        return replace(self, numbers=self.numbers[chosen], objects=objects, missing=self.missing[chosen])

    def column(self, feature: int) -> np.ndarray:
        """The entries of one feature, to read or to write."""
        return self.objects[feature] if feature in self.objects else self.numbers[:, feature]

    def array(self) -> np.ndarray:
        """One array of all features."""
        whole = self.numbers.astype(self.dtype)
        for feature, column in self.objects.items():
            whole[:, feature] = column
        return whole


@dataclass(frozen=True, eq=False)
class Columns:
    """What is known of the columns of a table, apart from its rows.

    Attributes:
        numeric: features that hold numbers, ascending; those without a known entry are left out.
        mean, scale: of each of them, over the known entries; the scale of a constant column is 1.
        varied: whether it has two different entries.
        nominal: features that hold categories, ascending; those without a known entry are left out.
        categories: of each of them, sorted.
        frequencies: of all categories, one column after the other.
    """

    numeric: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    varied: np.ndarray
    nominal: np.ndarray
    categories: Sequence[Sequence[Any]]
    frequencies: np.ndarray

    @classmethod
    def of(cls, table: Table) -> Columns:
        told = ~table.missing.all(0)
        numeric = np.array([feature for feature in np.flatnonzero(told) if feature not in table.objects], dtype=np.int64)
        nominal = np.array([feature for feature in np.flatnonzero(told) if feature in table.objects], dtype=np.int64)
        mean, scale, varied = location_and_scale(table.numbers[:, numeric])
        counts = [Counter(table.objects[feature][~table.missing[:, feature]].tolist()) for feature in nominal]
        kept = [in_order([value for value, _ in count.most_common(MOST_CATEGORIES)]) for count in counts]
        numbered = [np.array([count[value] for value in some]) for count, some in zip(counts, kept, strict=True)]
        frequencies = np.concatenate([np.zeros(0), *(numbers / numbers.sum() for numbers in numbered)])
        return cls(numeric, mean, scale, varied, nominal, kept, frequencies)

    @property
    def features(self) -> np.ndarray:
        """Which feature each column is, in the order of the code."""
        return np.concatenate([self.numeric, self.nominal])

    @property
    def layout(self) -> Layout:
        sizes = tuple(len(some) for some in self.categories)
        return Layout(torch.from_numpy(self.varied), sizes, torch.from_numpy(self.frequencies).float())

    def encode(self, table: Table) -> tuple[Tensor, Tensor]:
        """Coded values `(n, width)`, zero where unknown, and which columns are known, `(n, columns)`.

        A category that is not among `categories` counts as unknown.
        """
        numbers = (table.numbers[:, self.numeric].astype(np.float64) - self.mean) / self.scale
        known = ~table.missing[:, self.features]
        coded = [np.where(known[:, : len(self.numeric)], numbers, 0).clip(-FARTHEST, FARTHEST).astype(np.float32)]
        for place, (feature, some) in enumerate(zip(self.nominal, self.categories, strict=True), len(self.numeric)):
            codes = {value: code for code, value in enumerate(some)}
            code = np.array([codes.get(value, -1) for value in table.objects[feature].tolist()], dtype=np.int64)
            code[~known[:, place]] = -1
            known[:, place] = code >= 0
            coded.append((code[:, None] == np.arange(len(some))).astype(np.float32))
        return torch.from_numpy(np.concatenate(coded, 1)), torch.from_numpy(known)

    def decode(self, values: Tensor) -> dict[int, np.ndarray]:
        """What `values (n, width)` say of each feature: a number, or the category with most votes."""
        parts = values.double().numpy()
        numbers = parts[:, : len(self.numeric)] * self.scale + self.mean
        found = dict(zip(self.numeric.tolist(), numbers.T, strict=True))
        start = len(self.numeric)
        for feature, some in zip(self.nominal.tolist(), self.categories, strict=True):
            names = np.empty(len(some), dtype=object)
            names[:] = some
            found[feature] = names[parts[:, start : start + len(some)].argmax(1)]
            start += len(some)
        return found


def location_and_scale(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of the known entries of each column, and whether it has two different ones."""
    numbers = numbers.astype(np.float64)
    if not numbers.size:
        return np.zeros(numbers.shape[1]), np.ones(numbers.shape[1]), np.zeros(numbers.shape[1], dtype=bool)
    # squares of very large or small numbers would leave the range of floating point
    largest = np.nanmax(np.abs(numbers), 0)
    largest = np.where(largest > 0, largest, 1)
    shares = numbers / largest
    mean, deviation = np.nanmean(shares, 0), np.nanstd(shares, 0)
    varied = (np.nanmin(numbers, 0) < np.nanmax(numbers, 0)) & (deviation > np.finfo(np.float64).eps)
    mean = np.where(varied, mean * largest, np.nanmin(numbers, 0))
    return mean, np.where(varied, deviation * largest, 1), varied


def in_order(values: list[Any]) -> list[Any]:
    """Sorted; by type and text where the values do not compare."""
    try:
        return sorted(values)
    except (TypeError, ValueError):  # such as numbers of NumPy and tuples
        return sorted(values, key=lambda value: (type(value).__name__, repr(value)))


def unknown(values: np.ndarray) -> np.ndarray:
    """Which objects are None or not equal to themselves, as NaN and the NA of pandas are not."""
    return np.array([value is None or not same(value) for value in values.tolist()], dtype=bool)


def same(value: Any) -> bool:
    equal = value == value  # NaN differs from itself, and what NA gives is no truth value
    return isinstance(equal, bool | np.bool_) and bool(equal)
