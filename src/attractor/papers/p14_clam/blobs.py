"""Generated blobs: where completion tells clusters, and where it cannot."""

from __future__ import annotations

import time

import numpy as np

from attractor.papers.claim import Claim, Row
from attractor.papers.p14_clam.claims import BLOBS, CORNERS, NOISY
from attractor.papers.p14_clam.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval

ROWS = 300
CORNER = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def measure_blobs(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for three kinds of blobs."""
    seeds = range(seed * size.seeds, (seed + 1) * size.seeds)
    wanted: list[tuple[Claim, str, str]] = [
        *((claim, "informative", init) for init, claim in BLOBS.items()),
        (CORNERS, "corners", "k-means"),
    ]
    rows = []
    for done, (claim, kind, init) in enumerate(wanted):
        start = time.perf_counter()
        scores = [agreement(kind, init, each) for each in seeds]
        rows.append(Row(claim, min(scores), None, len(scores), time.perf_counter() - start, "generated"))
        tell((done + 1) / (len(wanted) + 1))
    start = time.perf_counter()
    mean, interval = mean_interval([agreement("noisy", "k-means", each) for each in seeds])
    rows.append(Row(NOISY, mean, interval, len(seeds), time.perf_counter() - start, "generated"))
    return Measured(rows)


def agreement(kind: str, init: str, seed: int) -> float:
    """ARI of ClAM with its defaults against the blobs."""
    from sklearn.metrics import adjusted_rand_score

    from attractor.estimators.clam import ClAM

    X, y = blobs(kind, seed)
    return float(adjusted_rand_score(y, ClAM(3, init=init, random_state=seed).fit(X).labels_))


def blobs(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian blobs of deviation 1, `(300, d)`, and which each row belongs to."""
    random = np.random.default_rng(seed)
    labels = np.arange(ROWS) % 3
    centres = 4 * random.normal(size=(3, 10)) if kind == "informative" else CORNER
    X = centres[labels] + random.normal(size=(ROWS, centres.shape[1]))
    if kind == "noisy":
        X = np.concatenate([X, random.normal(size=(ROWS, 8))], 1)
    return X, labels
