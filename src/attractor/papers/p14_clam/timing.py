"""Time beside scikit-learn's k-means, with as many restarts, both timed in turn."""

from __future__ import annotations

import time

from attractor.data.locate import DataUnavailableError
from attractor.data.tables import load_table
from attractor.papers.claim import Row
from attractor.papers.p14_clam.claims import TIMES
from attractor.papers.p14_clam.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval

Ratio = tuple[float, tuple[float, float] | None]


def measure_time(size: Size, seed: int, tell: Tell) -> Measured:
    """For each number of restarts the ratio of each table, of which the largest makes the row."""
    rows = []
    for done, (restarts, claim) in enumerate(TIMES.items()):
        began, ratios = time.perf_counter(), {}
        for name in size.timed:
            try:
                ratios[name] = ratio(name, restarts, size.rounds, seed)
            except DataUnavailableError:
                continue
        tell((done + 1) / len(TIMES))
        seconds = time.perf_counter() - began
        if not ratios:
            rows.append(Row(claim, None, None, 0, seconds, "tables", note="no table could be measured"))
            continue
        slowest = max(ratios, key=lambda name: ratios[name][0])
        note = "times of k-means: " + ", ".join(f"{name} {mean:.1f}" for name, (mean, _) in ratios.items())
        rows.append(Row(claim, *ratios[slowest], size.rounds, seconds, slowest, note=note))
    return Measured(rows)


def ratio(name: str, restarts: int, rounds: int, seed: int) -> Ratio:
    """How many times longer ClAM takes on a table, both with their own settings."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    from attractor.estimators.clam import ClAM

    table = load_table(name)
    X, k = StandardScaler().fit_transform(table.values.numpy()), len(table.classes)
    # the first call of either loads and compiles
    KMeans(k, n_init=1, random_state=seed).fit(X)
    ClAM(k, n_init=1, max_iter=2, random_state=seed).fit(X)
    ratios = []
    for turn in range(rounds):
        start = time.perf_counter()
        KMeans(k, n_init=restarts, random_state=seed + turn).fit(X)
        middle = time.perf_counter()
        ClAM(k, n_init=restarts, random_state=seed + turn).fit(X)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return geometric_interval(ratios)
