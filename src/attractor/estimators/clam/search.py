"""The search over settings that clustering by a Silhouette Coefficient needs, with all it tried in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from attractor.estimators.clam.clustering import ClAM, Select
from attractor.estimators.clam.start import Start
from attractor.estimators.clam.training import Points, Restarts
from attractor.validation import check_positive


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
        fitted._keep(self.restarts, number, self.points)
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
        if select not in ("loss", "silhouette"):
            raise ValueError(f"select must be 'loss' or 'silhouette', got {select!r}")
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
        init: starts to try.
        n_init: restarts of each setting.
        random_state: as that of `ClAM`.
        progress: told of the fraction that is done.
        settings: others of `ClAM`.

    Raises:
        TypeError, ValueError: as `ClAM.fit`, or nothing to try.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> found = search_clam(load_iris().data, 3, init=["k-means"], n_init=2, max_iter=50, random_state=0)
        >>> len(found.table), found.best().n_clusters_
        (20, 3)
    """
    for name, values in (("sharpness", sharpness), ("mask_fraction", mask_fraction), ("init", init)):
        if not values:
            raise ValueError(f"{name} must hold at least one value to try, got none")
    for value in sharpness:
        check_positive("sharpness", value)
    combinations = [(how, fraction) for how in init for fraction in mask_fraction]
    table: list[Candidate] = []
    batches: list[Batch] = []
    for done, (how, fraction) in enumerate(combinations):
        template = ClAM(n_clusters, n_init=n_init, init=how, mask_fraction=fraction, random_state=random_state, **settings)
        fresh, exact, generator = template._begun(X)
        points = exact.trained_on(template.device)
        betas = [value / fresh.n_features_in_ for value in sharpness for _ in range(n_init)]

        def tell(part: float, done: int = done) -> None:
            if progress is not None:
                progress((done + part) / len(combinations))

        restarts = fresh._trained(points, betas, how, generator, tell)
        losses = fresh._judged(points, restarts, generator)
        batch = Batch(fresh, exact, restarts, losses, *fresh._silhouettes(points, restarts, generator))
        batches.append(batch)
        for number, figures in enumerate(
            zip(batch.losses.tolist(), batch.silhouettes.tolist(), batch.clusters.tolist(), strict=True)
        ):
            table.append(Candidate(how, fraction, sharpness[number // n_init], number % n_init, *figures))
    return ClAMSearch(tuple(table), tuple(batches))
