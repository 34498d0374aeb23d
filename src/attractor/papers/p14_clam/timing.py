"""Time beside scikit-learn's k-means, with as many restarts, both timed in turn."""

from __future__ import annotations

import time

from attractor.data.locate import DataUnavailableError
from attractor.data.tables import load_table
from attractor.papers.claim import Row
from attractor.papers.p14_clam.claims import TIME
from attractor.papers.p14_clam.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import geometric_interval

RESTARTS = 100


def measure_time(size: Size, seed: int, tell: Tell) -> Measured:
    """The ratio for each table, of which the largest makes the row."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    from attractor.estimators.clam import ClAM

    began, ratios = time.perf_counter(), {}
    for done, name in enumerate(size.timed):
        try:
            table = load_table(name)
        except DataUnavailableError:
            continue
        X, k = StandardScaler().fit_transform(table.values.numpy()), len(table.classes)
        # the first call of either loads and compiles
        KMeans(k, n_init=1, random_state=seed).fit(X)
        ClAM(k, n_init=1, max_iter=2, random_state=seed).fit(X)
        rounds = []
        for turn in range(size.rounds):
            start = time.perf_counter()
            KMeans(k, n_init=RESTARTS, random_state=seed + turn).fit(X)
            middle = time.perf_counter()
            ClAM(k, n_init=RESTARTS, random_state=seed + turn).fit(X)
            rounds.append((time.perf_counter() - middle) / (middle - start))
        ratios[name] = geometric_interval(rounds)
        tell((done + 1) / len(size.timed))
    if not ratios:
        return Measured([Row(TIME, None, None, 0, 0.0, "tables", note="no table could be measured")])
    slowest = max(ratios, key=lambda name: ratios[name][0])
    ratio, interval = ratios[slowest]
    note = "times of k-means: " + ", ".join(f"{name} {mean:.1f}" for name, (mean, _) in ratios.items())
    return Measured([Row(TIME, ratio, interval, size.rounds, time.perf_counter() - began, slowest, note=note)])
