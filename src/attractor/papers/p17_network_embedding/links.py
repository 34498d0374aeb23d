"""Links of LastFM Asia: edges that are hidden in training, against as many pairs of nodes that are not joined.

No hidden edge belongs to a spanning forest, chosen by chance, so every node keeps a neighbour. NetMF and DeepWalk have the best of
their settings by these very links, the Hopfield embedding has one setting. Counts of paths (Katz) and of common neighbours show
what needs no embedding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from attractor.data import LabelledNetwork
from attractor.estimators.graph_embedding.fitted import Kind
from attractor.papers.p17_network_embedding.claims import LASTFM
from attractor.papers.p17_network_embedding.embeddings import adjacency_of, embedded, hopfield
from attractor.papers.p17_network_embedding.sizes import DEEPWALK, NETMF, Settings, width

HIDDEN = 0.2
KATZ = 0.05
KINDS: tuple[Kind, ...] = ("activity", "context", "hidden")  # the first is judged
Tried = dict[str, list[Settings]]
Pairs = tuple[np.ndarray, np.ndarray]


def links(network: LabelledNetwork, settings: Settings, tried: Tried, seed: int) -> dict[str, Any]:
    """AUC by what scores the pairs: `value` that of activities, the rest in `areas`."""
    rng, dim = np.random.default_rng(seed), width(LASTFM)
    hidden = hidden_edges(network, rng)
    left = adjacency_of(LabelledNetwork(network.edges[:, torch.from_numpy(~hidden)], network.labels, network.name))
    joined = network.edges.numpy()[:, hidden]
    first, second = np.concatenate([joined, strangers(network, joined.shape[1], rng)], 1)
    fitted = hopfield(dim, seed, **settings).fit(left)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    areas: dict[str, float] = {kind: area(fitted.score_links(pairs, kind=kind)) for kind in KINDS}
    for method, several in tried.items():
        found = {}
        for each in several:
            for name, rows in embedded(method, left, dim, each, seed).items():
                found[name] = area((rows[first] * rows[second]).sum(1))
        if found:
            areas[method] = max(found.values())
    areas["common neighbours"], areas["Katz"] = (area(score) for score in path_counts(left, (first, second)))
    note = ", ".join(f"{name} {value:.3f}" for name, value in areas.items())
    return {"value": areas[KINDS[0]], "areas": areas, "note": note}


def hidden_edges(network: LabelledNetwork, rng: np.random.Generator) -> np.ndarray:
    """Which edges `(e,)` are hidden: a part of all, none of which a random spanning forest needs."""
    first, second = network.edges.numpy()
    order = rng.permutation(len(first)) + 1.0
    size = len(network)
    forest = minimum_spanning_tree(csr_array((order, (first, second)), shape=(size, size)))
    free = np.flatnonzero(~np.isin(order, forest.data))
    hidden = np.zeros(len(first), dtype=bool)
    hidden[rng.choice(free, min(len(free), int(HIDDEN * len(first))), replace=False)] = True
    return hidden


def strangers(network: LabelledNetwork, count: int, rng: np.random.Generator) -> np.ndarray:
    """Different pairs `(2, count)` of nodes that no edge joins, hidden or not."""
    known = set(map(tuple, network.edges.T.tolist()))
    found: dict[tuple[int, int], None] = {}
    while len(found) < count:
        first, second = sorted(rng.integers(len(network), size=2).tolist())
        if first != second and (first, second) not in known:
            found[first, second] = None
    return np.array(list(found)).T


def path_counts(adjacency: csr_array, pairs: Pairs) -> Pairs:
    """Common neighbours of pairs, and the paths of two and three steps between them, a longer one for less."""
    first, second = (adjacency[ends] for ends in pairs)
    two = np.asarray(first.multiply(second).sum(1)).ravel()
    three = np.asarray(first.multiply(second @ adjacency).sum(1)).ravel()
    return two, two + KATZ * three


def area(scores: np.ndarray) -> float:
    """Area under the ROC curve of pairs, the first half of which are edges."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.arange(len(scores)) < len(scores) // 2, scores))


def leads(runs: list[dict[str, Any]]) -> list[float]:
    """How far activities are above the better of NetMF and DeepWalk, for each run."""
    there = [method for method in (NETMF, DEEPWALK) if method in runs[0]["areas"]]
    best = max(there, key=lambda method: float(np.mean([run["areas"][method] for run in runs])))
    return [run["value"] - run["areas"][best] for run in runs]
