"""The read-out of rows with holes: each column is the mean over the rows that know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.estimators.imputer.evidence import Evidence, Layout, needs_double
from attractor.read import Best, Partial, Read, Separation

HEADROOM = 50.0
LEAST = -80.0
"""Weights lie between `exp(LEAST)` and `exp(HEADROOM)`: rows far below the best one still count where that lacks a column."""
CLEAR = 1e6
"""How many times the sum of all least weights a column must have got."""
FLOOR = -1e30
"""A reference for the scores of a cue that no row may answer."""


class Cue(NamedTuple):
    """What is asked of the stored rows, for `b` rows.

    Attributes:
        values: coded, `(b, width)`, zero where unknown.
        known: which columns `(b, columns)` are.
        wanted: which columns `(b, columns)` are asked for.
        own: ids `(b,)` of rows that a cue is not to see, -1 for none.
    """

    values: Tensor
    known: Tensor
    wanted: Tensor
    own: Tensor

    def rows(self, chosen: Tensor | slice) -> Cue:
        return Cue(*(part[chosen] for part in self))


class Sums(NamedTuple):
    """Sums over rows: of the weights, `total (b, 1)`, and weighted, `rows (b, width + columns)`; `reference (b, 1)` scales both."""

    reference: Tensor
    total: Tensor
    rows: Tensor


class ColumnwiseSoftMax(Separation):
    """`sum_mu w_mu y_mui / sum_mu w_mu known_mui` with `w = exp(s)`: a soft-max for each column, over the rows that know it.

    The read-out is NaN in columns that all rows know only far below the best score.

    Args:
        layout: of the stored rows.
        count: how many there are.
        cue: what is asked.
        strict: only rows that know a wanted column count.
    """

    name = "column-wise softmax"
    normalised = True

    def __init__(self, layout: Layout, count: int, cue: Cue, *, strict: bool = False):
        self.layout = layout
        self.count = count
        self.cue = cue
        self.strict = strict

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Sums:
        read, top = rows[:, : self.layout.width + self.layout.columns], best.scores[:, :1]
        hidden = own_places(self.cue, ids)
        if self.strict:
            scores = only_helpful(scores.clone(), self.cue, read[:, self.layout.width :], hidden)
            top = scores.amax(-1, keepdim=True)
        elif len(hidden[0]):
            top = torch.where(best.ids[:, :1] == self.cue.own[:, None], best.scores[:, 1:], top)
        reference = top.clamp_min(FLOOR) - HEADROOM
        # what is below the least normal number would slow the product down a hundredfold
        weights = (scores - reference).to(read.dtype).clamp_(LEAST, HEADROOM).exp_()
        weights[hidden] = 0
        return Sums(reference.double(), weights.sum(-1, keepdim=True), weights @ read)

    def merge(self, left: Sums, right: Sums) -> Sums:
        reference = torch.maximum(left.reference, right.reference)
        a, b = ((part.reference - reference).exp().to(part.rows.dtype) for part in (left, right))
        return Sums(reference, a * left.total + b * right.total, a * left.rows + b * right.rows)

    def finish(self, body: Sums) -> tuple[Tensor, Tensor]:
        values, known = body.rows.split([self.layout.width, self.layout.columns], -1)
        least = CLEAR * self.count * torch.tensor(LEAST).exp()
        means = values / known.masked_fill(known < least, torch.nan)[:, self.layout.column_of]
        return means, (body.reference + body.total.log()).squeeze(-1)

    def potential(self, scores: Tensor) -> Tensor:
        return scores.logsumexp(-1)


def complete(bank: Bank, layout: Layout, cue: Cue, beta: Tensor) -> Tensor:
    """The mean `(b, width)` of every column over the stored rows, by how much they resemble each cue.

    Args:
        bank: of rows that `layout` coded.
        layout: of the columns.
        cue: what is asked; columns that are not wanted may be NaN.
        beta: inverse temperature of each, `(b,)`.
    """
    means = read(bank, layout, cue, beta, lambda one: ColumnwiseSoftMax(layout, len(bank), one))
    unclear = means[:, layout.first_entries].isnan() & cue.wanted
    while bool(unclear.any()):
        # the best of the rows that know such a column settles it: each round leaves fewer
        some = unclear.any(1).nonzero().flatten()
        asked = cue.rows(some)._replace(wanted=unclear[some])
        again = read(bank, layout, asked, beta[some], lambda one: ColumnwiseSoftMax(layout, len(bank), one, strict=True))
        means[some] = torch.where(unclear[some][:, layout.column_of], again, means[some])
        left = means[:, layout.first_entries].isnan() & cue.wanted
        if torch.equal(left, unclear):
            break
        unclear = left
    return means


class Rows(Protocol):
    """What a read goes over: a bank, or some rows of it."""

    def fold(self, read: Read) -> Partial: ...


def read(bank: Rows, layout: Layout, cue: Cue, beta: Tensor, separation: Callable[[Cue], Separation]) -> Tensor:
    """What `separation` makes of the scores, at an inverse temperature `beta (b,)` for each; in double precision where needed."""
    double = needs_double(cue.values, beta)
    parts = []
    for kind, places in ((torch.float32, (~double).nonzero().flatten()), (torch.float64, double.nonzero().flatten())):
        if len(places):
            some = cue.rows(places)
            asked = Read(Evidence(layout), separation(some), layout.cues(some.values.to(kind), some.known, beta[places]))
            parts.append((places, asked.finish(bank.fold(asked)).values))
    found = parts[0][1].new_empty(len(beta), parts[0][1].shape[1])
    for places, values in parts:
        found[places] = values
    return found


def own_places(cue: Cue, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The cues whose own row is in a block of rows `ids (n,)`, and which row that is."""
    place = torch.searchsorted(ids, cue.own).clamp_max(len(ids) - 1)
    asking = (ids[place] == cue.own).nonzero().flatten()
    return asking, place[asking]


def only_helpful(scores: Tensor, cue: Cue, knows: Tensor, hidden: tuple[Tensor, Tensor]) -> Tensor:
    """Moves `scores (b, n)` of rows that know, `(n, columns)`, no wanted column to `FLOOR`, and those `hidden` from a cue."""
    helpful = (cue.wanted.to(knows.dtype) @ knows.T).clamp_max_(1)  # arithmetic, for Booleans of this size take longer
    scores.add_(helpful.sub_(1), alpha=-FLOOR)
    scores[hidden] = FLOOR
    return scores
