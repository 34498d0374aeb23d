"""Recognition: what tables of weights say of an object, without any search.

accepted    at most xi columns miss, those with R[i, v_i] = 0 or R[i, v_i] < iota omega_i,
            and mean_i R[i, v_i] >= kappa mean_i omega_i, where omega_i is the mean of the non-zero weights of column i
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Undefined = Literal["ignore", "miss"]


class Recognition(NamedTuple):
    """What registers say of `b` objects; `(b,)` of one register, `(b, r)` of several.

    Attributes:
        accepted: whether the object is recognised.
        misses: how many of its columns the register does not hold.
        weight: rho, the mean weight of its cells.
        expected: the mean of omega over the same columns: what `weight` has to reach `kappa` times.
        relative: `weight` as a share of the largest weight of the register.
    """

    accepted: Tensor
    misses: Tensor
    weight: Tensor
    expected: Tensor
    relative: Tensor


class Recogniser:
    """Recognises by one state of the tables `weights (r, n, m)`.

    A cell's weight and whether it misses stand in one integer, the weight in its lowest bits, so that one sum over an object's
    cells gives both sums.
    """

    def __init__(self, weights: Tensor, iota: float, kappa: float, xi: int, undefined: Undefined):
        self.columns, self.values = weights.shape[1:]
        self.kappa, self.xi, self.undefined = kappa, xi, undefined
        self.means = column_means(weights)
        self.largest = weights.amax((1, 2))
        self.bits = (self.columns * int(self.largest.max())).bit_length()
        # the least weight of a cell in memory, as a whole number
        limits = (iota * self.means).ceil().clamp_min(1)
        self.tables = (weights + ((weights < limits[..., None]).long() << self.bits)).flatten(1)

    def __call__(self, codes: Tensor) -> Recognition:
        """Ask every table for each of `codes (b, n)`."""
        place, defined = cells(codes, self.values)
        sums = torch.stack([self._sums(table, place, defined) for table in self.tables])
        misses, weights = sums >> self.bits, sums & (2**self.bits - 1)
        columns: Tensor | int = self.columns
        expected = self.means.mean(-1, keepdim=True).expand(-1, len(codes))
        if defined is not None and self.undefined == "ignore":
            columns = defined.sum(-1).clamp_min(1)
            expected = self.means @ defined.T.to(self.means) / columns
        elif defined is not None:
            misses = misses + (~defined).sum(-1)
        weight = weights / torch.as_tensor(columns, dtype=torch.float64, device=codes.device)
        accepted = (misses <= self.xi) & (self.largest > 0)[:, None] & (weight >= self.kappa * expected)
        return Recognition(accepted.T, misses.T, weight.T, expected.T, (weight / self.largest.clamp_min(1)[:, None]).T)

    def _sums(self, table: Tensor, place: Tensor, defined: Tensor | None) -> Tensor:
        held = table.index_select(0, place.view(-1)).view(place.shape)
        return (held if defined is None else held * defined).sum(-1)


def column_means(weights: Tensor) -> Tensor:
    """omega `(..., n)`: the mean of the non-zero weights of each column of `weights (..., n, m)`, 0 for an empty one."""
    return weights.sum(-1).double() / (weights > 0).sum(-1).clamp_min(1)


def cells(codes: Tensor, values: int) -> tuple[Tensor, Tensor | None]:
    """Where in a flat table the cells of `codes (b, n)` are, and which of them are defined; None for all."""
    first = torch.arange(codes.shape[1], device=codes.device) * values
    if int(codes.min()) >= 0:
        return codes + first, None
    return codes.clamp_min(0) + first, codes >= 0
