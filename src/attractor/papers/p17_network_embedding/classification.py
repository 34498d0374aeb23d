"""Classification of nodes by logistic regression on embeddings, beside NetMF and DeepWalk on the same splits of the labels.

Every method has a few settings, and as many dimensions. On each split the labels of training nodes alone choose one of them, by
cross-validation; the test nodes are asked once. (What all settings share, such as the rate of learning, was found with scores of
other splits in sight.) Splits and embeddings depend on the seed of the run. Splits of one seed share an embedding and most of their
nodes, so they are averaged, and intervals are those over seeds.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from attractor.data import DataUnavailableError, load_network
from attractor.papers.claim import Claim, Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p17_network_embedding.claims import (
    CONNECTOME,
    CONNECTOME_MICRO,
    GRAPHS,
    LOWER,
    MACRO,
    MICRO,
    SHARES,
    VERBS,
    VERBS_MICRO,
    VERBS_SECONDS,
)
from attractor.papers.p17_network_embedding.embeddings import adjacency_of, embedded
from attractor.papers.p17_network_embedding.sizes import (
    DEEPWALK,
    EDGES,
    HOPFIELD,
    METHODS,
    NETMF,
    RANDOM,
    SINGULAR,
    Settings,
    Size,
    settings_of,
    width,
)
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval
from attractor.papers.sweep import sweep

FOLDS = 5
CHOOSING = 1000  # training nodes that choose a setting, at most
Run = dict[str, Any]
Runs = dict[tuple[str, str], list[Run]]


def classified(name: str, method: str, tried: list[Settings], splits: int, seeds: list[int]) -> list[Run]:
    """For each seed: `micro 10`, `macro 10` and so on, means over splits; what was `chosen` on each; `seconds` of each training.

    Embeddings are those of the first seed: a method that is random has one only.
    """
    network = load_network(name)
    adjacency = adjacency_of(network)
    embeddings: dict[str, np.ndarray] = {}
    seconds = []
    for settings in tried:
        start = time.perf_counter()
        embeddings |= embedded(method, adjacency, width(name), settings, seeds[0])
        seconds.append(time.perf_counter() - start)
    labels = network.labels.numpy()
    return [{**scores(embeddings, labels, splits, seed), "seconds": seconds if seed == seeds[0] else []} for seed in seeds]


def scores(embeddings: dict[str, np.ndarray], labels: np.ndarray, splits: int, seed: int) -> Run:
    """F1 on test nodes with the setting that training nodes choose, on splits that no other seed has."""
    found: Run = {"chosen": []}
    for share in SHARES:
        both = []
        for split in range(splits):
            train, test = parted(labels, share / 100, 10_000 * (seed + 1) + split)
            best = chosen(embeddings, labels, train)
            both.append(f1(embeddings[best], labels, train, test))
            found["chosen"].append(best)
        found[f"micro {share}"], found[f"macro {share}"] = np.mean(both, 0).tolist()
    return found


def parted(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes for training and for test; nodes without a label and classes of one node are left out."""
    from sklearn.model_selection import train_test_split

    kept = labels >= 0
    kept[kept] = np.bincount(labels[kept])[labels[kept]] > 1
    rows = np.flatnonzero(kept)
    train, test = train_test_split(rows, train_size=share, random_state=seed, stratify=labels[rows])
    return train, test


def chosen(embeddings: dict[str, np.ndarray], labels: np.ndarray, train: np.ndarray) -> str:
    """The name of the embedding that does best inside of the training nodes; the first of equals."""
    return (
        max(embeddings, key=lambda name: inner(embeddings[name], labels, train)) if len(embeddings) > 1 else next(iter(embeddings))
    )


def inner(embedding: np.ndarray, labels: np.ndarray, train: np.ndarray) -> float:
    """Micro-F1 in a cross-validation inside of the training nodes."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    nodes = train[:CHOOSING]  # their order is by chance
    # no more folds than one of the classes has nodes
    folds = StratifiedKFold(max(2, min(FOLDS, np.bincount(labels[nodes]).max())), shuffle=True, random_state=0)
    with silent():
        return float(cross_val_score(regression(), embedding[nodes], labels[nodes], scoring="f1_micro", cv=folds).mean())


def f1(embedding: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Micro- and macro-F1 on test nodes."""
    from sklearn.metrics import f1_score

    predicted = predicted_classes(embedding[train], labels[train], embedding[test])
    micro, macro = (float(f1_score(labels[test], predicted, average=kind)) for kind in ("micro", "macro"))
    return micro, macro


def predicted_classes(rows: np.ndarray, classes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Classes of `others` by logistic regression."""
    with silent():
        return np.asarray(regression().fit(rows, classes).predict(others))


def regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=300)


@contextmanager
def silent() -> Iterator[None]:
    """That the solver stopped early, and that some classes have less nodes than folds, does not matter here."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def measure_classification(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for F1 on all graphs; where data or gensim are missing, rows or notes that say so."""
    missing: dict[str, str] = {name: "measured at a larger scale" for name in GRAPHS if name not in size.graphs}
    counts = {}
    for name in size.graphs:
        try:
            counts[name] = len(load_network(name))
        except DataUnavailableError as error:
            missing[name] = str(error)
    points = []
    # large graphs first: none of them is left for the end
    for name in sorted(counts, key=counts.__getitem__, reverse=True):
        for method in methods_of(name):
            every = size.seeds[0] if name == CONNECTOME else size.seeds[1]
            seeds = list(range(seed * every, (seed + 1) * every))
            tried = settings_of(name, method, counts[name], size)
            points += [
                (name, method, tried, size.splits, some) for some in ([[one] for one in seeds] if method in RANDOM else [seeds])
            ]
    runs: Runs = {}
    for point, found in zip(points, sweep(classified, points, tell), strict=True):
        runs.setdefault((point[0], point[1]), []).extend(found)
    row = partial(row_of, runs, missing)
    rows = [row(claim, graph, f"micro {share}") for (graph, share), claim in MICRO.items()]
    rows += [row(claim, graph, "macro 50") for graph, claim in MACRO.items()]
    rows += [row(CONNECTOME_MICRO, CONNECTOME, "micro 50", lead=False), row(VERBS_MICRO, VERBS, "micro 50", lead=False)]
    rows.append(row(VERBS_SECONDS, VERBS, "seconds", lead=False))
    return Measured(rows, [chart(runs, share) for share in SHARES] if runs else [])


def methods_of(name: str) -> list[str]:
    """What is measured on a graph here."""
    small = name == CONNECTOME
    return [
        method
        for method in METHODS
        if (small or method not in (SINGULAR, EDGES)) and (method != DEEPWALK or find_spec("gensim") is not None)
    ]


def row_of(runs: Runs, missing: dict[str, str], claim: Claim, graph: str, what: str, *, lead: bool = True) -> Row:
    """What the Hopfield embedding has, or how far it is above the better of NetMF and DeepWalk on the same splits."""
    if graph in missing:
        return Row.unmeasured(claim, graph, missing[graph])
    values = {method: numbers(runs, graph, method, what) for method in METHODS if (graph, method) in runs}
    mine = values[HOPFIELD]
    if lead:
        best = max((method for method in (NETMF, DEEPWALK) if method in values), key=lambda method: float(np.mean(values[method])))
        mine = [one - other for one, other in zip(mine, values[best], strict=True)]
    note = ", ".join(f"{method} {np.mean(each):.3f} ({favourite(runs[graph, method])})" for method, each in values.items())
    if DEEPWALK not in values:
        note += "; DeepWalk needs gensim: pip install gensim"
    seconds = sum(sum(run["seconds"]) for method in values for run in runs[graph, method])
    if claim.text.endswith(LOWER):
        return lower_end(claim, mine, seconds, graph, note)
    measured, interval = mean_interval(mine)
    return Row(claim, measured, interval, len(mine), seconds, graph, note=note)


def lower_end(claim: Claim, values: list[float], seconds: float, data: str, note: str) -> Row:
    """How much `values` are at least: their mean less what chance leaves open, which one value cannot tell."""
    mean, interval = mean_interval(values)
    if interval is None:
        return Row(claim, None, None, 1, seconds, data, note=f"one seed has no interval; {mean:.4f}; {note}")
    note = f"mean {mean:.4f}, interval {interval[0]:.4f} to {interval[1]:.4f}; {note}"
    return Row(claim, interval[0], None, len(values), seconds, data, note=note)


def numbers(runs: Runs, graph: str, method: str, what: str) -> list[float]:
    """One number for each seed that has it; of times the longest."""
    return [float(np.max(run[what])) for run in runs[graph, method] if np.size(run[what])]


def favourite(runs: list[Run]) -> str:
    """The setting that was chosen most often."""
    return Counter(name for run in runs for name in run["chosen"]).most_common(1)[0][0] or "no setting"


def chart(runs: Runs, share: int) -> Chart:
    """Micro-F1 by graph and method."""
    graphs = [graph for graph in GRAPHS if (graph, HOPFIELD) in runs]
    series = []
    for method in METHODS:
        there = [(place, graph) for place, graph in enumerate(graphs, 1) if (graph, method) in runs]
        if there:
            found = [numbers(runs, graph, method, f"micro {share}") for _, graph in there]
            means, low, high = (tuple(float(kind(one)) for one in found) for kind in (np.mean, min, max))
            series.append(Series(method, tuple(float(place) for place, _ in there), means, low, high))
    title = f"Nodes classified with {share}% of the labels: " + ", ".join(f"{place} {name}" for place, name in enumerate(graphs, 1))
    return Chart(f"f1-{share}", title, "graph", "micro-F1 (bars: range of seeds)", tuple(series))
