"""Real tables: the Silhouette Coefficient and the agreement with the classes, of ClAM and its rivals on the same scaled data."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attractor.data.locate import DataUnavailableError
from attractor.data.tables import TABLES, load_table
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p14_clam.claims import (
    AGREEMENT,
    ANNEALED,
    FROM_MEANS,
    GAIN,
    LIBRAS_SILHOUETTE,
    LONGER,
    PICKED,
    PINS,
    RESTARTS,
    SEGMENT_MEANS,
    SEGMENT_NMI,
    TABLE_CLAIMS,
    UNMASKED,
    ZOO_NMI,
    ZOO_SILHOUETTE,
)
from attractor.papers.p14_clam.ingredients import variations
from attractor.papers.p14_clam.sizes import Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

if TYPE_CHECKING:
    from attractor.estimators.clam import ClAMSearch

LINKAGES = ("ward", "complete", "average", "single")
GAMMAS = (0.5, 1.0, 2.0)
"""Over the number of features."""
METHODS = ("k-means", "agglomerative", "spectral", "ClAM")
WIDE: dict[str, Any] = {"sharpness": (2.0, 5.0, 10.0, 20.0, 50.0), "mask_fraction": (0.2, None), "init": ("k-means++", "k-means")}
SMALL: dict[str, Any] = {
    "max_iter": 600,
    "steps": 10,
    "sharpness": (2.0, 5.0, 10.0, 20.0, 50.0),
    "mask_fraction": (0.2,),
    "init": ("k-means++", "normal"),
    "n_init": 2,
}
LOSSES = ("masked", "whole")
MANY_FEATURES = 500
"""From here on a table has fewer restarts and no variations of the training."""
Found = dict[str, Any]


def measure_tables(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for every table, and for what helps ClAM on all of them."""
    points = [(name, size.means, size.restarts, size.searches, size.most_spectral, seed) for name in size.tables]
    found = dict(zip(size.tables, sweep(cluster_table, points, tell), strict=True))
    there = {name: one for name, one in found.items() if "missing" not in one}
    rows = {row.claim: row for row in [*twenty_runs(there), *compared(there), *ingredients(there)]}
    not_there = [name for name in TABLES if name not in there]
    reasons = {name: found[name]["missing"] if name in found else "measured at a larger scale" for name in not_there}
    return Measured([rows[claim] if claim in rows else absent(claim, reasons) for claim in TABLE_CLAIMS], charts(there))


def cluster_table(name: str, means: int, restarts: int, searches: int, most_spectral: int, seed: int) -> Found:
    """All methods on one table: `[Silhouette, NMI, labels in use]` of each, and what parts of the search came to."""
    from sklearn.preprocessing import StandardScaler

    from attractor.estimators.clam import search_clam

    try:
        table = load_table(name)
    except DataUnavailableError as error:
        return {"missing": str(error)}
    began = time.perf_counter()
    X, y, k = StandardScaler().fit_transform(table.values.numpy()), table.labels.numpy(), len(table.classes)

    def judged(labels: np.ndarray) -> list[float]:
        return judgement(X, y, labels)

    wide = X.shape[1] >= MANY_FEATURES
    search = search_clam(X, k, n_init=min(restarts, 3) if wide else restarts, random_state=seed, **WIDE)
    first = max(one.silhouette for one in search.table if one.restart == 0)
    small = [search_clam(X, k, random_state=seed * searches + each, **SMALL) for each in range(searches if name in PINS else 0)]
    k_means = runs_of_k_means(X, k, max(means, len(search.table)), seed)
    inertia, labels = min(k_means[:means], key=lambda one: one[0])
    spectral = best(judged, spectral_labels(X, k, seed)) if len(X) <= most_spectral else None
    return {
        "k-means": judged(labels),
        "k-means picked": judged(picked(X, [labels for _, labels in k_means[: len(search.table)]])),
        "agglomerative": best(judged, agglomerative_labels(X, k)),
        "spectral": spectral,
        "ClAM": judged(search.best().labels_),
        "small": [judged_whole(one, k, judged) for one in small],
        "small by loss": [judged(one.best("loss").labels_) for one in small],
        "runs": len(search.table),
        "parts": {
            f"{init}, {'masked' if fraction else 'whole'}": max(
                one.silhouette for one in search.table if (one.init, one.mask_fraction) == (init, fraction)
            )
            for init in WIDE["init"]
            for fraction in WIDE["mask_fraction"]
        },
        "first": first,
        "all": max(one.silhouette for one in search.table),
        "variations": None if wide else variations(X, k, seed),
        "shape": list(X.shape),
        "clusters": k,
        "inertia": inertia,
        "seconds": time.perf_counter() - began,
    }


def judged_whole(search: ClAMSearch, clusters: int, judged: Callable[[np.ndarray], list[float]]) -> list[float]:
    """The best that uses all labels; the worst that can be where none does."""
    most = max(one.clusters for one in search.table)
    return judged(search.best(least_clusters=clusters).labels_) if most >= clusters else [-1.0, 0.0, float(most)]


def picked(X: np.ndarray, labellings: list[np.ndarray]) -> np.ndarray:
    """The labelling of the largest Silhouette."""
    from attractor.estimators.clam.silhouette import silhouettes

    together = torch.from_numpy(np.stack(labellings)).long()
    return labellings[int(silhouettes(torch.from_numpy(X), together).argmax())]


def judgement(X: np.ndarray, y: np.ndarray, labels: np.ndarray) -> list[float]:
    from sklearn.metrics import normalized_mutual_info_score, silhouette_score

    used = len(np.unique(labels))
    silhouette = float(silhouette_score(X, labels)) if 1 < used < len(X) else -1.0
    return [silhouette, float(normalized_mutual_info_score(y, labels)), float(used)]


def best(judged: Callable[[np.ndarray], list[float]], labellings: Iterable[np.ndarray]) -> list[float]:
    return max((judged(labels) for labels in labellings), key=lambda one: one[0])


def runs_of_k_means(X: np.ndarray, k: int, restarts: int, seed: int) -> list[tuple[float, np.ndarray]]:
    """Inertia and labels of each of so many runs."""
    from sklearn.cluster import KMeans

    random = np.random.RandomState(seed)
    models = [KMeans(k, n_init=1, random_state=random.randint(2**31)).fit(X) for _ in range(restarts)]
    return [(float(model.inertia_), model.labels_) for model in models]


def agglomerative_labels(X: np.ndarray, k: int) -> Iterable[np.ndarray]:
    from sklearn.cluster import AgglomerativeClustering

    return (AgglomerativeClustering(k, linkage=linkage).fit_predict(X) for linkage in LINKAGES)


def spectral_labels(X: np.ndarray, k: int, seed: int) -> Iterable[np.ndarray]:
    from sklearn.cluster import SpectralClustering

    with warnings.catch_warnings():
        # a graph in parts is one of its answers
        warnings.simplefilter("ignore")
        for gamma in GAMMAS:
            yield SpectralClustering(k, gamma=gamma / X.shape[1], random_state=seed).fit_predict(X)


def twenty_runs(found: dict[str, Found]) -> list[Row]:
    """Rows of the search of twenty runs, and of k-means beside them."""
    wanted: list[tuple[Claim, str, str, int]] = [
        *((claim, name, "k-means", 0) for name, claim in PINS.items()),
        (ZOO_SILHOUETTE, "zoo", "small", 0),
        (ZOO_NMI, "zoo", "small", 1),
        (LIBRAS_SILHOUETTE, "movement-libras", "small", 0),
        (SEGMENT_NMI, "segment", "small by loss", 1),
        (SEGMENT_MEANS, "segment", "k-means", 1),
    ]
    rows = []
    for claim, name, method, which in wanted:
        if name in found:
            one = found[name]
            runs = one[method] if method.startswith("small") else [one[method]]
            value, interval = mean_interval([run[which] for run in runs])
            note = f"{min(run[2] for run in runs):g} of {one['clusters']} labels in use at least"
            if method != "k-means":
                note += f"; best of {one['runs']} runs of 60 steps, with starts from k-means: {one['ClAM'][0]:.3f}"
            rows.append(Row(claim, value, interval, len(runs), one["seconds"], name, note=note))
    return rows


def compared(found: dict[str, Found]) -> list[Row]:
    rows = []
    for name, one in found.items():
        clam, means, chosen = one["ClAM"], one["k-means"], one["k-means picked"]
        search = f"best by Silhouette of {one['runs']} runs of 60 steps: sharpness x hidden or whole x start x restarts"
        all_of = "; ".join(f"{method} {told(one[method])}" for method in METHODS if one[method] is not None)
        note = f"{search}. Silhouette/NMI (labels of {one['clusters']}): {all_of}; k-means picked from as many runs {told(chosen)}"
        rows.append(Row(GAIN[name], gain(clam, means), None, 1, one["seconds"], name, note=note))
        rows.append(Row(PICKED[name], gain(clam, chosen), None, 1, one["seconds"], name, note=f"k-means {told(chosen)}"))
        rows.append(Row(AGREEMENT[name], clam[1] - means[1], None, 1, one["seconds"], name))
    return rows


def gain(one: list[float], other: list[float]) -> float:
    """Silhouette above another, in percent of that."""
    return 100 * (one[0] - other[0]) / abs(other[0])


def told(one: list[float]) -> str:
    return f"{one[0]:.3f}/{one[1]:.3f} ({one[2]:g})"


def ingredients(found: dict[str, Found]) -> list[Row]:
    """What each part of the search adds, over all tables."""
    if not found:
        return []

    def part(one: Found, init: str, loss: str) -> float:
        return float(one["parts"][f"{init}, {loss}"])

    gains = {
        UNMASKED: [fmean(part(one, init, "whole") - part(one, init, "masked") for init in WIDE["init"]) for one in found.values()],
        FROM_MEANS: [fmean(part(one, "k-means", loss) - part(one, "k-means++", loss) for loss in LOSSES) for one in found.values()],
        RESTARTS: [one["all"] - one["first"] for one in found.values()],
    }
    varied = {name: one["variations"] for name, one in found.items() if one["variations"] is not None}
    for claim, kind in ((LONGER, "longer"), (ANNEALED, "annealed")):
        gains[claim] = [one[kind] - one["plain"] for one in varied.values()]
    notes = {
        LONGER: "; ".join(f"{name} {one['plain']:.3f} -> {one['longer']:.3f}" for name, one in varied.items()),
        ANNEALED: "annealed beta: Silhouette against beta that stays (the same with four times the steps): "
        + "; ".join(
            f"{name} {one['annealed']:.3f} against {one['plain']:.3f} ({one['annealed longer']:.3f} against {one['longer']:.3f})"
            for name, one in varied.items()
        ),
    }
    seconds = sum(one["seconds"] for one in found.values())
    rows = []
    for claim, values in gains.items():
        mean, interval = mean_interval(values)
        note = notes.get(claim, "best of a part of the search")
        rows.append(Row(claim, mean, interval, len(values), seconds, f"{len(values)} tables", note=note))
    return rows


def charts(found: dict[str, Found]) -> list[Chart]:
    """Silhouette and NMI by table and method."""
    if not found:
        return []
    names = ", ".join(f"{number + 1} {name}" for number, name in enumerate(found))
    drawn = []
    for which, (file, label) in enumerate((("silhouette", "Silhouette Coefficient"), ("agreement", "NMI with the classes"))):
        series = []
        for method in METHODS:
            points = [(number + 1.0, one[method][which]) for number, one in enumerate(found.values()) if one[method] is not None]
            series.append(Series(method, tuple(x for x, _ in points), tuple(y for _, y in points)))
        drawn.append(Chart(file, f"Real tables: {label}, each method's best by Silhouette", names, label, tuple(series)))
    return drawn


def absent(claim: Claim, reasons: dict[str, str]) -> Row:
    """A row of a table that is not there."""
    name = next((name for name in reasons if claim.text.startswith(name)), None)
    note = "no table could be measured" if name is None else reasons[name]
    return Row.unmeasured(claim, name or "tables", note)
