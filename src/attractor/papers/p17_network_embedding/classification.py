"""Classification of nodes by logistic regression on embeddings, beside NetMF and DeepWalk on the same splits of the labels.

The connectome, small and dense, has direct neighbours as contexts, and the sparse graphs share one setting. These settings were
found with scores on some of these graphs in sight, so the figures are those of a tuned method. Rows of embeddings are normalised;
every method has the same regression, and as many dimensions.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from attractor.data import DataUnavailableError, LabelledNetwork, load_network
from attractor.estimators.graph_embedding import HopfieldGraphEmbedding
from attractor.estimators.graph_embedding.adjacency import network_from
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p17_network_embedding.baselines import deepwalk, netmf
from attractor.papers.p17_network_embedding.claims import (
    CONNECTOME,
    CONNECTOME_MICRO,
    GRAPHS,
    MACRO,
    MICRO,
    SHARES,
    VERBS,
    VERBS_MICRO,
    VERBS_SECONDS,
)
from attractor.papers.p17_network_embedding.sizes import SETTINGS, Size, epochs_of
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

HOPFIELD, NETMF, DEEPWALK = "Hopfield embedding", "NetMF", "DeepWalk"
METHODS = (HOPFIELD, NETMF, DEEPWALK)
LARGE = 15_000
CONNECTOME_SPLITS = 10
Runs = dict[tuple[str, str], list[Any]]


def hopfield(name: str, nodes: int, epochs: tuple[int, int], seed: int, **options: Any) -> HopfieldGraphEmbedding:
    """The estimator with the settings of a graph; in some graphs there are papers that cite none."""
    settings = {**SETTINGS[name], "epochs": epochs_of(name, nodes, epochs), "isolated": "zero", "random_state": seed}
    return HopfieldGraphEmbedding(**{**settings, **options})


def adjacency_of(network: LabelledNetwork) -> csr_array:
    """Sparse `(n, n)`, with nodes that have no edge."""
    edges = network.edges.numpy()
    count = np.ones(edges.shape[1])
    return network_from(coo_array((count, (edges[0], edges[1])), shape=(len(network),) * 2)).adjacency


def classified(name: str, method: str, epochs: list[int], walks: int, window: int, splits: int, seed: int) -> dict[str, Any]:
    """F1 on test nodes, a number for each split: `micro 10`, `macro 10` and so on; and the seconds that the embedding took."""
    network = load_network(name)
    adjacency, dim = adjacency_of(network), SETTINGS[name]["memories"]
    start = time.perf_counter()
    if method == HOPFIELD:
        embedding = hopfield(name, len(network), (epochs[0], epochs[1]), seed).fit_transform(adjacency)
    elif method == NETMF:
        reach = 2 if name == CONNECTOME else window if len(network) <= LARGE else min(window, 5)
        embedding = netmf(adjacency, dim, window=reach, seed=seed)
    elif name == CONNECTOME:
        embedding = deepwalk(adjacency, dim, walks=4 * walks, epochs=5, seed=seed)
    else:
        embedding = deepwalk(adjacency, dim, walks=walks, seed=seed)
    found: dict[str, Any] = {"seconds": time.perf_counter() - start}
    labels = network.labels.numpy()
    for share in SHARES:
        scores = [f1(embedding, labels, share / 100, split) for split in range(splits)]
        found[f"micro {share}"], found[f"macro {share}"] = ([score[kind] for score in scores] for kind in (0, 1))
    return found


def f1(embedding: np.ndarray, labels: np.ndarray, share: float, split: int) -> tuple[float, float]:
    """Micro- and macro-F1 on the nodes with labels that are not for training; classes of one node are left out."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split

    kept = labels >= 0
    kept[kept] = np.bincount(labels[kept])[labels[kept]] > 1
    rows, classes = unit(embedding[kept]), labels[kept]
    train, test = train_test_split(np.arange(len(rows)), train_size=share, random_state=split, stratify=classes)
    predicted = predicted_classes(rows[train], classes[train], rows[test])
    return tuple(float(f1_score(classes[test], predicted, average=kind)) for kind in ("micro", "macro"))  # type: ignore[return-value]  # two kinds


def predicted_classes(rows: np.ndarray, classes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Classes of `others` by logistic regression; that the solver stopped early does not matter here."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(LogisticRegression(C=10, max_iter=300).fit(rows, classes).predict(others))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of nodes without an edge stay zero."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-12)).astype(np.float32)


def measure_classification(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for F1 on all graphs; where data or gensim are missing, rows or notes that say so."""
    missing: dict[str, str] = {name: "measured at a larger scale" for name in GRAPHS if name not in size.graphs}
    for name in size.graphs:
        try:
            load_network(name)
        except DataUnavailableError as error:
            missing[name] = str(error)
    methods = METHODS if find_spec("gensim") is not None else METHODS[:2]
    points = [
        (name, method, list(size.epochs), size.walks, size.window, CONNECTOME_SPLITS if name == CONNECTOME else size.splits, each)
        for name in size.graphs
        if name not in missing
        for method in methods
        for each in range(seed * size.seeds, (seed + 1) * size.seeds)
    ]
    runs: Runs = {}
    for point, run in zip(points, sweep(classified, points, tell), strict=True):
        runs.setdefault((point[0], point[1]), []).append(run)
    row = partial(row_of, runs, missing, methods)
    rows = [row(claim, graph, f"micro {share}") for (graph, share), claim in MICRO.items()]
    rows += [row(claim, graph, "macro 50") for graph, claim in MACRO.items()]
    rows += [row(CONNECTOME_MICRO, CONNECTOME, "micro 50", lead=False), row(VERBS_MICRO, VERBS, "micro 50", lead=False)]
    rows.append(row(VERBS_SECONDS, VERBS, "seconds", lead=False))
    return Measured(rows, [chart(runs, share) for share in SHARES] if runs else [])


def row_of(
    runs: Runs, missing: dict[str, str], methods: tuple[str, ...], claim: Claim, graph: str, what: str, *, lead: bool = True
) -> Row:
    """What the Hopfield embedding has, or how far it is above the better of the others on the same splits."""
    if graph in missing:
        return Row(claim, None, None, 0, 0.0, graph, note=missing[graph])
    values = {method: numbers(runs, graph, method, what) for method in methods}
    best = max((method for method in methods if method != HOPFIELD), key=lambda method: float(np.mean(values[method])))
    mine = values[HOPFIELD]
    measured, interval = mean_interval([one - other for one, other in zip(mine, values[best], strict=True)] if lead else list(mine))
    note = ", ".join(f"{method} {np.mean(each):.3f}" for method, each in values.items())
    if DEEPWALK not in methods:
        note += "; DeepWalk needs gensim: pip install gensim"
    seconds = sum(run["seconds"] for method in methods for run in runs[graph, method])
    return Row(claim, measured, interval, len(mine), seconds, graph, note=note)


def numbers(runs: Runs, graph: str, method: str, what: str) -> list[float]:
    """One number for each split and seed."""
    found = [run[what] for run in runs[graph, method]]
    return [number for one in found for number in (one if isinstance(one, list) else [one])]


def chart(runs: Runs, share: int) -> Chart:
    """Micro-F1 by graph and method."""
    graphs = [graph for graph in GRAPHS if (graph, HOPFIELD) in runs]
    series = []
    for method in METHODS:
        found = [numbers(runs, graph, method, f"micro {share}") for graph in graphs if (graph, method) in runs]
        if found:
            means, low, high = (tuple(float(kind(one)) for one in found) for kind in (np.mean, min, max))
            series.append(Series(method, tuple(map(float, range(1, len(found) + 1))), means, low, high))
    title = f"Nodes classified with {share}% of the labels: " + ", ".join(f"{place} {name}" for place, name in enumerate(graphs, 1))
    return Chart(f"f1-{share}", title, "graph", "micro-F1 (bars: range of splits)", tuple(series))
