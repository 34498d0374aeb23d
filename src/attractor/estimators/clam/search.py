"""The search over settings that clustering by a Silhouette Coefficient needs, with all it tried in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from attractor.estimators.clam.clustering import ClAM
from attractor.estimators.clam.points import Points, Restarts
from attractor.estimators.clam.settings import Select, check_select
from attractor.estimators.clam.start import STARTS, Start
from attractor.validation import check_positive

SEARCHED = {"beta": "sharpness", "select": "best(select)"}
"""Settings of `ClAM` that a search chooses, and where to."""


class Candidate(NamedTuple):
    """One restart of one setting.

    `sharpness` is beta times the number of features; losses compare between equal `mask_fraction` and, roughly, sharpness only;
    `clusters` are those in use.
    """

    init: str
    mask_fraction: float | None
    sharpness: float
    restart: int
    loss: float
    silhouette: float
    clusters: int


class Batch(NamedTuple):
    """All restarts of one start and one mask fraction, by an estimator that knows the scale of the data."""

    estimator: ClAM
    points: Points
    restarts: Restarts
    losses: np.ndarray
    silhouettes: np.ndarray
    clusters: np.ndarray

    def fitted(self, number: int) -> ClAM:
        """One of the restarts as a fitted estimator; its `losses_` and `silhouettes_` are those of the same setting."""
        fitted = copy(self.estimator)
        fitted.beta_ = fitted.beta = float(self.restarts.beta[number])
        first = number // fitted.n_init * fitted.n_init
        same = slice(first, first + fitted.n_init)
        fitted.losses_, fitted.silhouettes_ = self.losses[same], self.silhouettes[same]
        fitted.loss_, fitted.n_iter_ = float(self.losses[number]), fitted.max_iter
        fitted._keep(self.restarts.one(number), self.points)
        return fitted


@dataclass(frozen=True, eq=False)
class ClAMSearch:
    """What was tried: the `table` of candidates, and the trained restarts in `batches` of equal size."""

    table: tuple[Candidate, ...]
    batches: tuple[Batch, ...]

    def best(self, select: Select = "silhouette", *, least_clusters: int = 1) -> ClAM:
        """The best candidate, fitted.

        Args:
            select: by the largest `"silhouette"` or the smallest `"loss"`.
            least_clusters: that it must have in use.

        Raises:
            ValueError: `select` is unknown, or no candidate has so many clusters.
        """
        check_select(select)
        worth = [one.silhouette if select == "silhouette" else -one.loss for one in self.table]
        enough = [number for number, one in enumerate(self.table) if one.clusters >= least_clusters]
        if not enough:
            most = max(one.clusters for one in self.table)
            raise ValueError(f"least_clusters must be at most {most}, the most in use of any candidate, got {least_clusters}")
        return self.fitted(max(enough, key=worth.__getitem__))

    def fitted(self, number: int) -> ClAM:
        """The candidate in one row of the table, fitted."""
        size = len(self.table) // len(self.batches)
        return self.batches[number // size].fitted(number % size)


def search_clam(
    X: Any,
    n_clusters: int,
    *,
    sharpness: Sequence[float] = (2.0, 5.0, 10.0, 20.0, 50.0),
    mask_fraction: Sequence[float | None] = (0.2, None),
    init: Sequence[Start] = ("k-means++", "k-means"),
    n_init: int = 10,
    random_state: Any = None,
    progress: Callable[[float], None] | None = None,
    **settings: Any,
) -> ClAMSearch:
    """Train `n_init` restarts of every setting; those of all `sharpness` values are one batch.

    Args:
        X: samples `(n_samples, n_features)`.
        n_clusters: prototypes of each.
        sharpness: values of `beta * n_features`.
        mask_fraction: values to try.
        init: starts to try, by their names.
        n_init: restarts of each setting.
        random_state: as that of `ClAM`.
        progress: told of the fraction that is done.
        settings: others of `ClAM`; not `beta` and `select`, which are searched.

    Raises:
        TypeError, ValueError: as `ClAM.fit`, nothing to try, or a setting that is searched.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> found = search_clam(load_iris().data, 3, init=["k-means"], n_init=2, max_iter=50, random_state=0)
        >>> len(found.table), found.best().n_clusters_
        (20, 3)
    """
    for name, place in SEARCHED.items():
        if name in settings:
            raise TypeError(f"{name} is chosen by {place} and is no setting of a search")
    sharpnesses = [check_positive("sharpness", value) for value in tried("sharpness", sharpness)]
    starts = tried("init", init)
    for how in starts:
        if not isinstance(how, str) or how not in STARTS:
            raise ValueError(f"init must hold names among {', '.join(STARTS)}, got {how!r}")
    combinations = [(how, fraction) for how in starts for fraction in tried("mask_fraction", mask_fraction)]
    table: list[Candidate] = []
    batches: list[Batch] = []
    for done, (how, fraction) in enumerate(combinations):
        template = ClAM(n_clusters, n_init=n_init, init=how, mask_fraction=fraction, random_state=random_state, **settings)
        fresh, exact, fitting = template._begun(X)
        betas = [value / fresh.n_features_in_ for value in sharpnesses for _ in range(n_init)]

        def tell(part: float, done: int = done) -> None:
            if progress is not None:
                progress((done + part) / len(combinations))

        restarts = fitting.trained(how, betas, tell)
        batch = Batch(fresh, exact, restarts, fitting.judged(restarts), *fitting.silhouettes(restarts))
        batches.append(batch)
        for number, figures in enumerate(
            zip(batch.losses.tolist(), batch.silhouettes.tolist(), batch.clusters.tolist(), strict=True)
        ):
            table.append(Candidate(how, fraction, sharpnesses[number // n_init], number % n_init, *figures))
    return ClAMSearch(tuple(table), tuple(batches))


def tried(name: str, values: Any) -> list[Any]:
    """The values of a setting that a search tries."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(f"{name} must be a sequence of values to try, got {values!r}")
    if not len(values):
        raise ValueError(f"{name} must hold at least one value to try, got none")
    return list(values)
