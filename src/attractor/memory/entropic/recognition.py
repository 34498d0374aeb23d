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
    """Recognises by one state of the tables `weights (r, n, m)`."""

    def __init__(self, weights: Tensor, iota: float, kappa: float, xi: int, undefined: Undefined):
        self.count, self.columns, self.values = weights.shape
        self.weights, self.kappa, self.xi, self.undefined = weights, kappa, xi, undefined
        self.means = column_means(weights)
        self.largest = weights.amax((1, 2))
        # the least weight of a cell in memory, as a whole number; None for 1
        limits = (iota * self.means).ceil().clamp_min(1) if iota else None
        self.limits = None if limits is None else limits[:, None]

    def __call__(self, codes: Tensor) -> Recognition:
        """Ask every table for each of `codes (b, n)`."""
        place, defined = cells(codes, self.values)
        held = self._at(place)
        missed = held == 0 if self.limits is None else held < self.limits
        columns: Tensor | int = self.columns
        expected = self.means.mean(-1, keepdim=True).expand(-1, len(codes))
        if defined is not None:
            held = held * defined
            missed = missed & defined if self.undefined == "ignore" else missed | ~defined
            if self.undefined == "ignore":
                columns = defined.sum(-1).clamp_min(1)
                expected = self.means @ defined.T.to(self.means) / columns
        misses, weight = missed.sum(-1), held.sum(-1) / torch.as_tensor(columns, dtype=torch.float64, device=codes.device)
        accepted = (misses <= self.xi) & (self.largest > 0)[:, None] & (weight >= self.kappa * expected)
        return Recognition(accepted.T, misses.T, weight.T, expected.T, (weight / self.largest.clamp_min(1)[:, None]).T)

    def _at(self, place: Tensor) -> Tensor:
        """The weights at `place (b, n)` of each table, `(r, b, n)`."""
        flat = place.view(-1)
        tables = self.weights.reshape(self.count, -1)
        return torch.stack([each.index_select(0, flat).view(place.shape) for each in tables])


def column_means(weights: Tensor) -> Tensor:
    """omega `(..., n)`: the mean of the non-zero weights of each column of `weights (..., n, m)`, 0 for an empty one."""
    return weights.sum(-1).double() / (weights > 0).sum(-1).clamp_min(1)


def cells(codes: Tensor, values: int) -> tuple[Tensor, Tensor | None]:
    """Where in a flat table the cells of `codes (b, n)` are, and which of them are defined; None for all."""
    first = torch.arange(codes.shape[1], device=codes.device) * values
    if int(codes.min()) >= 0:
        return codes + first, None
    return codes.clamp_min(0) + first, codes >= 0
