"""The read-out of rows with holes: each column is the mean over the rows that know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.estimators.imputer.evidence import Layout
from attractor.read import Best, Dot, Read, Separation

CUES_AT_ONCE = 1024
HEADROOM = 50.0
LEAST = -80.0
"""Weights lie between `exp(LEAST)` and `exp(HEADROOM)`: rows far below the best one still count where that lacks a column."""
CLEAR = 1e6
"""How many times the sum of all least weights a column must have got."""


class Sums(NamedTuple):
    """Sums over rows: of the weights, `total (b, 1)`, and weighted, `rows (b, width + columns)`; `reference (b, 1)` scales both."""

    reference: Tensor
    total: Tensor
    rows: Tensor


class ColumnwiseSoftMax(Separation):
    """`sum_mu w_mu y_mui / sum_mu w_mu known_mui` with `w = exp(s)`: a soft-max for each column, over the rows that know it.

    The read-out is NaN in columns that all rows know only far below the best score; with `column`, that one is exact.

    Args:
        layout: of the stored rows.
        count: how many there are.
        own: ids `(b,)`; a cue leaves out the row of its own id.
        column: only rows that know this column count.
    """

    name = "column-wise softmax"
    normalised = True

    def __init__(self, layout: Layout, count: int, own: Tensor | None = None, column: int | None = None):
        self.layout = layout
        self.count = count
        self.own = own
        self.column = column

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Sums:
        read, top = rows[:, : self.layout.width + self.layout.columns], best.scores[:, :1]
        cue, own = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
        if self.own is not None:
            place = torch.searchsorted(ids, self.own).clamp_max(len(ids) - 1)
            cue = (ids[place] == self.own).nonzero().flatten()
            own = place[cue]
            top = torch.where(best.ids[:, :1] == self.own[:, None], best.scores[:, 1:], top)
        if self.column is not None:
            scores = scores.masked_fill(read[:, self.layout.width + self.column] == 0, -torch.inf)
            scores[cue, own] = -torch.inf
            top = scores.amax(-1, keepdim=True)
        reference = top.clamp_min(torch.finfo(top.dtype).min / 2) - HEADROOM
        # what is below the least normal number would slow the product down a hundredfold
        weights = (scores - reference).clamp_(LEAST, HEADROOM).exp_()
        weights[cue, own] = 0
        return Sums(reference, weights.sum(-1, keepdim=True), weights @ read)

    def merge(self, left: Sums, right: Sums) -> Sums:
        reference = torch.maximum(left.reference, right.reference)
        a, b = (left.reference - reference).exp(), (right.reference - reference).exp()
        return Sums(reference, a * left.total + b * right.total, a * left.rows + b * right.rows)

    def finish(self, body: Sums) -> tuple[Tensor, Tensor]:
        values, known = body.rows.split([self.layout.width, self.layout.columns], -1)
        least = CLEAR * self.count * torch.tensor(LEAST).exp()
        means = values / known.masked_fill(known < least, torch.nan)[:, self.layout.column_of]
        return means, (body.reference + body.total.log()).squeeze(-1)

    def potential(self, scores: Tensor) -> Tensor:
        return scores.logsumexp(-1)


def complete(
    bank: Bank,
    layout: Layout,
    values: Tensor,
    known: Tensor,
    beta: float,
    *,
    wanted: Tensor | None = None,
    own: Tensor | None = None,
    tell: Callable[[float], Any] = lambda done: None,
) -> Tensor:
    """The mean `(b, width)` of every column over the stored rows, by how much they resemble each cue.

    Args:
        bank: of rows that `layout` coded.
        layout: of the columns.
        values: cues `(b, width)`, zero where unknown.
        known: `(b, columns)`.
        beta: inverse temperature.
        wanted: the columns `(b, columns)` that are asked for; others may be NaN. Default: the unknown ones.
        own: ids `(b,)` of rows that a cue is not to see.
        tell: told of the fraction that is done.
    """
    wanted = ~known if wanted is None else wanted
    found = []
    for start in range(0, len(values), CUES_AT_ONCE):
        part = slice(start, start + CUES_AT_ONCE)
        cues, hidden = layout.cues(values[part], known[part], beta), None if own is None else own[part]
        means = read(bank, cues, ColumnwiseSoftMax(layout, len(bank), hidden))
        unclear = means[:, layout.first_entries].isnan() & wanted[part]
        for column in unclear.any(0).nonzero().flatten().tolist():
            some, entries = unclear[:, column].nonzero().flatten(), (layout.column_of == column).nonzero().flatten()
            again = ColumnwiseSoftMax(layout, len(bank), None if hidden is None else hidden[some], column)
            means[some[:, None], entries] = read(bank, cues[some], again)[:, entries]
        found.append(means)
        tell(min(1.0, (start + CUES_AT_ONCE) / len(values)))
    return torch.cat(found)


def read(bank: Bank, cues: Tensor, separation: ColumnwiseSoftMax) -> Tensor:
    asked = Read(Dot(), separation, cues)
    return asked.finish(bank.fold(asked)).values
