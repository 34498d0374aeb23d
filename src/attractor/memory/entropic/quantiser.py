"""Real numbers as the rows of a register, column by column, and back.

v = round((m - 1) (z - low) / (high - low)),      z = low + v (high - low) / (m - 1)
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from attractor.memory.base import Domain
from attractor.memory.encoders import ENCODERS, Encoder
from attractor.validation import check_count, check_floating, check_matrix, check_shape

OutOfRange = Literal["clip", "undefined", "error"]


class ColumnQuantiser(nn.Module, Encoder):
    """Evenly spaced values between the least and the largest of each column, by their number from 0.

    `fit` makes one. A column that is constant has the number 0 and comes back as it was; with one level everything comes back as
    the middle of its column's range. Halves are rounded to the even number. It follows `.to()`.

    Args:
        width: how many columns.
        levels: m.
        out_of_range: what becomes of values beyond the range: `"clip"` moves them to its end, `"undefined"` leaves them out of
            what `quantise` gives, `"error"` refuses them.

    Raises:
        TypeError, ValueError: a width or number of levels below 1, an unknown `out_of_range`.

    Example:
        >>> quantiser = ColumnQuantiser.fit(torch.tensor([[0.0, -2.0], [1.0, 6.0]]), 5)
        >>> codes = quantiser.quantise(torch.tensor([[0.3, 7.0], [torch.nan, 0.0]]))
        >>> codes.tolist(), quantiser.dequantise(codes).tolist()
        ([[1, 4], [-1, 1]], [[0.25, 6.0], [0.5, 0.0]])
    """

    name = "quantise-columns"
    low: Tensor
    high: Tensor

    def __init__(self, width: int, levels: int, *, out_of_range: OutOfRange = "clip"):
        super().__init__()
        self.width: int = check_count("width", width)
        self.code_width: int = self.width
        self.levels = check_count("levels", levels)
        self.domain = Domain("levels", self.levels)
        if out_of_range not in ("clip", "undefined", "error"):
            raise ValueError(f"out_of_range must be 'clip', 'undefined' or 'error', got {out_of_range!r}")
        self.out_of_range: OutOfRange = out_of_range
        self.register_buffer("low", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("high", torch.ones(width, dtype=torch.float64))

    @classmethod
    def fit(
        cls,
        patterns: Tensor,
        levels: int,
        *,
        percentiles: tuple[float, float] = (0.0, 100.0),
        out_of_range: OutOfRange = "clip",
    ) -> Self:
        """A quantiser between two percentiles of each column of `patterns (n, d)`.

        Raises:
            TypeError, ValueError: not a finite matrix, or percentiles that do not rise from 0 to 100.
        """
        check_matrix("patterns", patterns)
        first, last = percentiles
        if not 0 <= first < last <= 100:
            raise ValueError(f"percentiles must rise within 0 to 100, got {percentiles}")
        quantiser = cls(patterns.shape[1], levels, out_of_range=out_of_range).to(patterns.device)
        columns = patterns.detach().double().sort(0).values
        quantiser.low, quantiser.high = (at_percentile(columns, percentile) for percentile in (first, last))
        return quantiser

    def quantise(self, patterns: Tensor) -> Tensor:
        """The numbers `(b, d)` of `patterns (b, d)`, int64; -1, undefined, for NaN, and beyond the range where that is asked for.

        Raises:
            TypeError, ValueError: no floating-point matrix of this width, or values beyond the range with `out_of_range="error"`.
        """
        check_floating("patterns", patterns)
        check_shape("patterns", patterns, self.width)
        low, high = self._ends(patterns)
        beyond = (patterns < low) | (patterns > high)
        if self.out_of_range == "error" and bool(beyond.any()):
            row, column = beyond.nonzero()[0].tolist()
            raise ValueError(
                f"patterns must be within the range of their columns, {int(beyond.sum())} values are not, the first "
                f"{float(patterns[row, column]):g} in row {row} and column {column}, "
                f"{float(low[column]):g} to {float(high[column]):g}"
            )
        undefined = patterns.isnan() | beyond if self.out_of_range == "undefined" else patterns.isnan()
        return torch.where(undefined, -1, self._numbers(patterns.nan_to_num(0.0)).to(torch.int64))

    def dequantise(self, codes: Tensor) -> Tensor:
        """What the numbers `codes (..., d)` stand for; the middle of its column where one is -1.

        The answer is float32 for integers, and of the precision of `codes` else.

        Raises:
            ValueError: another width.
        """
        if codes.shape[-1] != self.width:
            raise ValueError(f"codes must have width {self.width}, got shape {tuple(codes.shape)}")
        numbers = codes if codes.is_floating_point() else codes.float()
        low, high = self._ends(numbers)
        middle = low / 2 + high / 2
        if self.levels == 1:
            return middle.expand(numbers.shape)
        share = numbers / (self.levels - 1)
        return torch.where(numbers < 0, middle, low * (1 - share) + high * share)

    def encode(self, patterns: Tensor) -> Tensor:
        """The numbers of `patterns (..., d)` in their own precision, for `Encoded`.

        Raises:
            ValueError: `out_of_range` is `"undefined"`, which a plain pattern cannot say, or is `"error"` and a value is beyond.
        """
        if self.out_of_range == "undefined":
            raise ValueError("out_of_range must be 'clip' or 'error' behind Encoded; quantise() gives undefined columns")
        if self.out_of_range == "error":
            return self.quantise(patterns).to(patterns.dtype)
        return self._numbers(patterns)

    def decode(self, codes: Tensor) -> Tensor:
        return self.dequantise(codes)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "width": self.width, "levels": self.levels, "out_of_range": self.out_of_range}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.width} columns, levels={self.levels}, out_of_range={self.out_of_range!r})"

    def _numbers(self, patterns: Tensor) -> Tensor:
        low, high = self._ends(patterns)
        # halves, as the extent of a column may exceed what its precision holds
        extent = high / 2 - low / 2
        share = (patterns / 2 - low / 2) / torch.where(extent > 0, extent, 1)
        numbers = (share * (self.levels - 1)).round().clamp(0, self.levels - 1)
        return torch.where(extent > 0, numbers, 0)

    def _ends(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.low.to(like), self.high.to(like)


def at_percentile(columns: Tensor, percentile: float) -> Tensor:
    """The percentile of each column of sorted `columns (n, d)`, linear between two rows; `torch.quantile` has a limit of size."""
    place = percentile / 100 * (len(columns) - 1)
    below = int(place)
    above = min(below + 1, len(columns) - 1)
    share = place - below
    return columns[below] * (1 - share) + columns[above] * share


ENCODERS[ColumnQuantiser.name] = ColumnQuantiser
