"""How many neighbours complete the stored rows best: leave-one-out, on entries hidden by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.estimators.imputer.evidence import Layout
from attractor.estimators.imputer.perplexity import Search
from attractor.estimators.imputer.reading import Cue, complete

CUES = 512
HIDDEN = 0.2
"""Share of the entries that are hidden where the table itself has no holes to copy."""
DRAWN = 3
"""Rows that each pattern of holes has to choose from."""
FEWEST = 2.0
FINER = 2**0.5


class Choice(NamedTuple):
    """A number of neighbours, the median inverse temperature that goes with it, and the error of completion."""

    neighbours: float
    beta: float
    error: float


def choose_neighbours(
    bank: Bank,
    layout: Layout,
    values: Tensor,
    known: Tensor,
    ids: Tensor,
    random: np.random.RandomState,
    tell: Callable[[float], Any],
) -> Choice | None:
    """The best of 2, 4, 8, ... and all rows, or one by `FINER` from it. None where no entry can be hidden and compared.

    The error is the root mean square of the hidden entries, in standard deviations.

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
    targets, left = values[places], known[places] & ~asked
    cue = Cue(targets * left[:, layout.column_of], left, asked, ids[places])
    grid = [FEWEST**power for power in range(1, len(values).bit_length()) if FEWEST**power < len(values)] + [float(len(values))]
    tried: dict[float, tuple[float, Tensor]] = {}

    def attempt(neighbours: float, start: Tensor) -> Tensor:
        beta = Search(bank, layout, neighbours).beta(cue, start)
        squares = (complete(bank, layout, cue, beta) - targets).square()
        # a wrong category differs in two entries
        squares[:, layout.numbers :] /= 2
        compared = asked[:, layout.column_of] & ~squares.isnan()
        error = float((squares[compared].double().sum() / asked.sum()).sqrt()) if bool(compared.any()) else torch.inf
        tried[neighbours] = error, beta
        tell(min(1.0, len(tried) / (len(grid) + 2)))
        return beta

    def best() -> float:
        return min(tried, key=lambda neighbours: tried[neighbours][0])

    beta = torch.ones(len(rows), dtype=torch.float64)
    # many are counted in few rows: where that takes long, the search starts near its end
    for neighbours in reversed(grid):
        beta = attempt(neighbours, beta)
    middle = best()
    for neighbours in (middle / FINER, middle * FINER):
        if FEWEST <= neighbours <= len(values):
            attempt(neighbours, tried[middle][1])
    error, beta = tried[best()]
    return Choice(best(), float(beta.median()), error) if error < torch.inf else None


def sample(known: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Rows `(m,)`, and what to hide of each, `(m, columns)`, like the holes of other rows and at least one entry.

    A row keeps one known entry or more.
    """
    fit = np.flatnonzero(known.sum(1) > 1)
    if not len(fit):
        return fit, known[fit]
    holey = np.flatnonzero(~known.all(1))
    if not len(holey):
        rows = np.concatenate([random.permutation(fit) for _ in range(-(-CUES // len(fit)))])[:CUES]
        holes = random.uniform(size=(CUES, known.shape[1])) < HIDDEN
    else:
        holes = ~known[random.choice(holey, CUES)]
        # of some rows the one with the fewest holes of its own, so that it does not lack much more than rows do
        drawn = random.choice(fit, (CUES, DRAWN))
        suited = known[drawn].sum(-1) * (known[drawn] & holes[:, None]).any(-1)
        rows = drawn[np.arange(CUES), suited.argmax(1)]
    return rows, np.stack([hide(known[row], hole, random) for row, hole in zip(rows, holes, strict=True)])


def hide(known: np.ndarray, holes: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Those of `holes` that a row knows, but for one that it keeps; where there is none, another entry."""
    hidden = known & holes
    if not hidden.any():
        hidden[random.choice(np.flatnonzero(known))] = True
    elif not (known & ~hidden).any():
        hidden[random.choice(np.flatnonzero(hidden))] = False
    return hidden
