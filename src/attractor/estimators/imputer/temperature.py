"""The inverse temperature at which stored rows complete each other best: leave-one-out, on entries hidden by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.estimators.imputer.evidence import Layout
from attractor.estimators.imputer.reading import complete

CUES = 512
HIDDEN = 0.2
"""Share of the entries that are hidden where the table itself has no holes to copy."""
COARSE = tuple(4.0**power for power in range(-2, 7))
FINER = (2.0, 2**0.5)
PATIENCE = 4.0
"""The coarse search ends two steps above the best so far: beyond it, rows are compared that hardly weigh anything."""


class Choice(NamedTuple):
    """An inverse temperature, and its root mean square error of completion in standard deviations."""

    beta: float
    error: float


def choose_beta(
    bank: Bank,
    layout: Layout,
    values: Tensor,
    known: Tensor,
    ids: Tensor,
    random: np.random.RandomState,
    tell: Callable[[float], Any] = lambda done: None,
) -> Choice | None:
    """The best of `COARSE`, from below, then of its neighbours by `FINER`. None where no entry can be hidden and compared.

    Args:
        bank: of all rows.
        layout: of their columns.
        values, known, ids: the rows again, as they were coded, and their ids in the bank.
        random: draws the rows and what is hidden.
        tell: told of the fraction that is done.
    """
    rows, hidden = sample(known.numpy(), random)
    if not len(rows):
        return None
    places, asked = torch.from_numpy(rows), torch.from_numpy(hidden)
    targets, own = values[places], ids[places]
    left = known[places] & ~asked
    cues = targets * left[:, layout.column_of]

    def error(beta: float) -> float:
        squares = (complete(bank, layout, cues, left, beta, wanted=asked, own=own) - targets).square()
        # a wrong category differs in two entries
        squares[:, layout.numbers :] /= 2
        compared = asked[:, layout.column_of] & ~squares.isnan()
        return float(squares[compared].sum() / asked.sum()) if bool(compared.any()) else torch.inf

    errors: dict[float, float] = {}

    def best() -> float:
        return min(errors, key=lambda beta: errors[beta])

    for place, beta in enumerate(COARSE):
        errors[beta] = error(beta)
        tell(0.6 * (place + 1) / len(COARSE))
        if beta > PATIENCE * best():
            break
    for place, factor in enumerate(FINER):
        middle = best()
        errors |= {beta: error(beta) for beta in (middle / factor, middle * factor)}
        tell(0.6 + 0.4 * (place + 1) / len(FINER))
    return Choice(best(), errors[best()] ** 0.5) if errors[best()] < torch.inf else None


def sample(known: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Rows `(m,)`, and what to hide of each, `(m, columns)`, like the holes of other rows and at least one entry.

    A row keeps one known entry or more.
    """
    fit = np.flatnonzero(known.sum(1) > 1)
    if not len(fit):
        return fit, known[fit]
    rows = np.concatenate([random.permutation(fit) for _ in range(-(-CUES // len(fit)))])[:CUES]
    holey = np.flatnonzero(~known.all(1))
    if len(holey):
        holes = ~known[random.choice(holey, len(rows))]
    else:
        holes = random.uniform(size=(len(rows), known.shape[1])) < HIDDEN
    return rows, np.stack([hide(known[row], hole, random) for row, hole in zip(rows, holes, strict=True)])


def hide(known: np.ndarray, holes: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Those of `holes` that a row knows, but for one that it keeps; where there is none, another entry."""
    hidden = known & holes
    if not hidden.any():
        hidden[random.choice(np.flatnonzero(known))] = True
    elif not (known & ~hidden).any():
        hidden[random.choice(np.flatnonzero(hidden))] = False
    return hidden
