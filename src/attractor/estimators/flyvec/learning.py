"""The learning rule of FlyVec, at the cost of what a batch touches.

A window is an input `x` with 1 for each neighbour (first half) and for the word in the middle (second half); `p` are word counts.
The winner is `mu = argmax <W_mu, x>`, and only it learns (Liang et al. 2021; the rule is Krotov and Hopfield's of 2019):

    dW_mu = sum over the windows that mu wins of (x/p - <W_mu, x/p> W_mu) = push_mu - a_mu W_mu

`push` has entries where the batch has words; the decay `a_mu W_mu` has them everywhere. So `W = s U` with one scale for each cell:
the decay changes `s` alone, `s' = s (1 - c a)`, and `U' = U + c push / s'` where `push` is not zero.

The step is `c = rate / max |dW|`. Where nothing is pushed, `|dW| = |a_mu W_mu|`, which a bound on `|U_mu|` keeps below the largest
entry seen elsewhere; only where it fails, the column is looked through. So the maximum is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding_bag

from attractor.estimators.flyvec.corpus import Ids
from attractor.threads import at_most

Floats = npt.NDArray[np.floating[Any]]

LEAST_STEP = 1e-30
"""Smallest number that a step is divided by."""
CHUNK = 512
"""Windows whose drives a thread holds at a time, so that they stay in its cache."""
SMALLEST_SCALE = 1e-3
"""Below it a scale goes into the weights, for their precision."""


class Touched(NamedTuple):
    """What the windows of some cells do.

    Attributes:
        entries: places in `U`, flat, that are pushed.
        cells: of each.
        pushes: sum of `x/p` there.
        values: of `U` there.
        pulls: `a (cells,)` of all cells.
        largest: entry of `|dW|`.
    """

    entries: npt.NDArray[np.integer[Any]]
    cells: npt.NDArray[np.integer[Any]]
    pushes: Floats
    values: Floats
    pulls: npt.NDArray[np.float64]
    largest: float


class Learner:
    """Weights that learn from batches of windows. Whatever the number of threads, the result is the same to the bit.

    Args:
        synapses: `W (cells, 2 V)` to start from; float32 or float64.
        divisors: `p (V,)`, positive.
        threads: that work on a batch. Default: those of torch.
    """

    def __init__(self, synapses: Floats, divisors: npt.NDArray[Any], threads: int | None = None):
        cells, inputs = synapses.shape
        # a row of zeros for what contributes nothing
        self.weights = np.zeros((inputs + 1, cells), synapses.dtype)
        self.weights[:-1] = synapses.T
        self.scale = np.ones(cells)
        self.reach = np.abs(self.weights).max(0)
        self.shares = (1 / np.tile(divisors, 2)).astype(synapses.dtype)
        self.threads = torch.get_num_threads() if threads is None else threads
        # the thread that asks does a part of the work itself
        self._pool = single_threaded_pool(self.threads - 1)

    def __enter__(self) -> Learner:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    @property
    def finite(self) -> bool:
        """Whether all weights are; `reach` bounds them and keeps what is not a number."""
        return bool(np.isfinite((self.scale * self.reach).astype(self.weights.dtype)).all())

    @property
    def synapses(self) -> Floats:
        """`W (cells, 2 V)`; a view, valid until the next step."""
        self.fold(slice(None))
        return self.weights[:-1].T

    def winners(self, rows: Ids) -> npt.NDArray[np.integer[Any]]:
        """The cell `(b,)` with the largest drive for each window; the lower of equals."""
        return np.concatenate(self._each(self._winners, np.array_split(rows, self.threads)))

    def step(self, rows: Ids, rate: float, *, max_normalised: bool) -> None:
        """Learn from a batch of windows.

        Args:
            rows: `(b, w)`, as `windows` gives them.
            rate: `eps`.
            max_normalised: whether the largest entry of the change is `rate`; else the change is `rate` times the rule.
        """
        winners = self.winners(rows)
        # cells are shared out, so no two threads touch the same entry
        group = winners * self.threads // len(self.scale)
        parts = [group == number for number in range(self.threads)] if self.threads > 1 else [slice(None)]
        found = self._each(lambda part: self._touched(rows[part], winners[part]), parts)
        factor = rate / max(LEAST_STEP, *(one.largest for one in found)) if max_normalised else rate
        self.scale *= 1 - factor * np.sum([one.pulls for one in found], 0)
        small = np.flatnonzero(np.abs(self.scale) < SMALLEST_SCALE)
        if len(small):
            self.fold(small)
        self._each(lambda touched: self._push(touched, factor), found)

    def energy(self, rows: Ids) -> float:
        """`- sum <W_mu, x/p> / ||W_mu||` over the windows, `mu` the winner of each."""
        winners = self.winners(rows)
        shares = np.append(self.shares, 0).astype(np.float64)[rows]
        values = self.weights[rows, winners[:, None]].astype(np.float64)
        norms = np.linalg.norm(self.weights, axis=0).astype(np.float64)
        signs = np.sign(self.scale)
        return -float((signs[winners] * (values * shares).sum(1) / norms[winners]).sum())

    def fold(self, cells: npt.NDArray[np.int64] | slice) -> None:
        """Put the scales of some cells into their weights."""
        self.weights[:, cells] *= self.scale[cells].astype(self.weights.dtype)
        self.reach[cells] *= np.abs(self.scale[cells]).astype(self.reach.dtype)
        self.scale[cells] = 1

    @property
    def _key_type(self) -> type[np.integer[Any]]:
        return np.int32 if self.weights.size < 2**31 else np.int64

    def _winners(self, rows: Ids) -> npt.NDArray[np.integer[Any]]:
        weights, scale = torch.from_numpy(self.weights), self.scale.astype(self.weights.dtype)
        found = np.empty(len(rows), self._key_type)
        for start in range(0, len(rows), CHUNK):
            some = slice(start, start + CHUNK)
            drives = embedding_bag(torch.from_numpy(rows[some]), weights, mode="sum").numpy()
            drives *= scale
            found[some] = drives.argmax(1)
        return found

    def _touched(self, rows: Ids, winners: npt.NDArray[np.integer[Any]]) -> Touched:
        cells = len(self.scale)
        keys = (rows.astype(winners.dtype, copy=False) * winners.dtype.type(cells) + winners[:, None]).ravel()
        keys.sort()
        # those of the row of zeros come last
        keys = keys[: np.searchsorted(keys, cells * len(self.shares))]
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
        entries = keys[first]
        word, cell = np.divmod(entries, winners.dtype.type(cells))
        times = np.diff(first, append=len(keys)).astype(self.shares.dtype)
        pushes = times * self.shares[word]
        values = self.weights.reshape(-1)[entries]
        pulls = np.bincount(cell, pushes * values, minlength=cells) * self.scale
        decays = pulls * self.scale
        change = np.abs(pushes - decays.astype(pushes.dtype)[cell] * values)
        largest = float(change.max(initial=0.0))
        for doubtful in np.flatnonzero(np.abs(decays) * self.reach > largest).tolist():
            column = np.abs(self.weights[:, doubtful])
            column[word[cell == doubtful]] = 0
            largest = max(largest, float(abs(decays[doubtful]) * column.max()))
        return Touched(entries, cell, pushes, values, pulls, largest)

    def _push(self, touched: Touched, factor: float) -> None:
        flat = self.weights.reshape(-1)
        added = (factor / self.scale).astype(flat.dtype)[touched.cells] * touched.pushes
        # the values may have been rescaled since they were read
        fresh = flat[touched.entries] + added
        flat[touched.entries] = fresh
        np.maximum.at(self.reach, touched.cells, np.abs(fresh))

    def _each(self, work: Callable[[Any], Any], parts: Iterable[Any]) -> list[Any]:
        """The work on every part, in the threads."""
        first, *others = parts
        begun = [self._pool.submit(work, part) for part in others]
        with at_most(1):
            return [work(first), *(part.result() for part in begun)]


def single_threaded_pool(threads: int) -> ThreadPoolExecutor:
    """Threads in each of which torch uses no further ones."""
    started = Barrier(max(1, threads))

    def alone() -> None:
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(max(1, threads), initializer=alone)
    # what a thread sets also holds for those that are born later, in the whole process
    with at_most(1):
        list(pool.map(lambda number: number, range(threads)))
    return pool
