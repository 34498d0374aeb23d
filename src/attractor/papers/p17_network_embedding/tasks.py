"""What else the embedding is for: recall, links, nodes that come later, coarsening; and the law of its energy."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from attractor.data import DataUnavailableError, LabelledNetwork, load_network
from attractor.estimators.graph_embedding import HopfieldGraphEmbedding, modularity
from attractor.estimators.graph_embedding.network import energy, settle
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p17_network_embedding.baselines import netmf
from attractor.papers.p17_network_embedding.claims import (
    CONNECTOME,
    DESCENT,
    INDUCTIVE,
    LASTFM,
    LINKS,
    MODULARITY,
    RECALL,
    WEIGHT,
)
from attractor.papers.p17_network_embedding.classification import adjacency_of, hopfield, predicted_classes, unit
from attractor.papers.p17_network_embedding.sizes import RECALL_SETTINGS, Size
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep

STEP_SIZES = (0.05, 0.5, 1.0)
HIDDEN_EDGES, HIDDEN_NODES = 0.2, 0.1


def measure_descent(size: Size, seed: int, tell: Tell) -> Measured:
    """The worst rise of the energy of networks and contexts by chance, in float64."""
    start, worst = time.perf_counter(), 0.0
    for number in range(size.networks):
        generator = torch.Generator().manual_seed(seed * size.networks + number)
        content, drive, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((40, 10), (4, 10), (4, 40)))
        for step_size in STEP_SIZES:
            state, last = v, energy(content, drive, v, 1.0)
            for _ in range(size.steps):
                state = settle(content, drive, beta=1.0, steps=1, step_size=step_size, v=state)
                now = energy(content, drive, state, 1.0)
                worst, last = max(worst, float((now - last).max())), now
        tell((number + 1) / size.networks)
    note = f"steps of {', '.join(map(str, STEP_SIZES))} from logits by chance"
    return Measured([Row(DESCENT, worst, None, size.networks, time.perf_counter() - start, "random networks", note=note)])


def measure_tasks(size: Size, seed: int, tell: Tell) -> Measured:
    """Rows for recall on the connectome and all else on LastFM Asia."""
    rows = [unavailable if (unavailable := reason(CONNECTOME, RECALL)) else recall_row(size, seed)]
    tell(0.1)
    claims = (LINKS, INDUCTIVE, MODULARITY, WEIGHT)
    lacking = "measured at a larger scale" if LASTFM not in size.graphs else ""
    if lacking or reason(LASTFM, LINKS):
        missing = [reason(LASTFM, claim) or Row(claim, None, None, 0, 0.0, LASTFM, note=lacking) for claim in claims]
        return Measured([*rows, *missing])
    seeds = range(seed * size.seeds, (seed + 1) * size.seeds)
    epochs = list(size.epochs)
    points = [(what, epochs, each) for what in TASKS for each in seeds]
    runs: dict[str, list[Any]] = {}
    for point, run in zip(points, sweep(task, points, lambda done: tell(0.1 + 0.9 * done)), strict=True):
        runs.setdefault(point[0], []).append(run)
    for claim, what in ((LINKS, "links"), (INDUCTIVE, "inductive"), (MODULARITY, "coarsening")):
        value, interval = mean_interval([run["value"] for run in runs[what]])
        seconds = sum(run["seconds"] for run in runs[what])
        rows.append(Row(claim, value, interval, len(seeds), seconds, LASTFM, note=runs[what][0]["note"]))
    lost = max(abs(run["lost"]) for run in runs["coarsening"])
    rows.append(Row(WEIGHT, lost, None, len(seeds), 0.0, LASTFM, note=runs["coarsening"][0]["note"]))
    return Measured(rows, [chart(runs)])


def reason(name: str, claim: Any) -> Row | None:
    """A row that says why nothing was measured, where the network is not on this machine."""
    try:
        load_network(name)
    except DataUnavailableError as error:
        return Row(claim, None, None, 0, 0.0, name, note=str(error))
    return None


def recall_row(size: Size, seed: int) -> Row:
    """How many neurons of the connectome come first when they are masked; beside it a search for the nearest context."""
    start = time.perf_counter()
    adjacency = adjacency_of(load_network(CONNECTOME))
    fitted = HopfieldGraphEmbedding(epochs=size.recall_epochs, random_state=seed, **RECALL_SETTINGS).fit(adjacency)
    right = sum(names[0] == node for node, names in zip(fitted.nodes_, fitted.recall().nodes, strict=True))
    count = len(fitted.nodes_)
    # searched for as they are, all neighbours of a node find those with these neighbours: itself and its twins
    rows = [tuple(adjacency.indices[adjacency.indptr[row] : adjacency.indptr[row + 1]]) for row in range(count)]
    nearest = sum(1 / rows.count(row) for row in rows) / count
    seconds = time.perf_counter() - start
    return Row(RECALL, right / count, wilson(right, count), count, seconds, CONNECTOME, baseline=nearest)


def task(what: str, epochs: list[int], seed: int) -> dict[str, Any]:
    """One of `TASKS` on LastFM Asia: its `value`, a `note`, and the `seconds` it took."""
    start = time.perf_counter()
    found = TASKS[what](load_network(LASTFM), (epochs[0], epochs[1]), seed)
    return {**found, "seconds": time.perf_counter() - start}


def links(network: LabelledNetwork, epochs: tuple[int, int], seed: int) -> dict[str, Any]:
    """AUC of hidden edges against as many pairs that are not joined."""
    rng = np.random.default_rng(seed)
    edges = network.edges.numpy()
    hidden = np.asarray(rng.random(edges.shape[1]) < HIDDEN_EDGES)
    known = set((edges[0] * len(network) + edges[1]).tolist())
    strangers: list[tuple[int, int]] = []
    while len(strangers) < hidden.sum():
        first, second = sorted(rng.integers(len(network), size=2).tolist())
        if first != second and first * len(network) + second not in known:
            strangers.append((first, second))
    left = adjacency_of(LabelledNetwork(network.edges[:, torch.from_numpy(~hidden)], network.labels, network.name))
    pairs = [*zip(*edges[:, hidden].tolist(), strict=True), *strangers]
    fitted = hopfield(LASTFM, len(network), epochs, seed).fit(left)
    areas = {kind: area(fitted.score_links(pairs, kind=kind)) for kind in ("activity", "context", "hidden")}
    rows = unit(netmf(left, fitted.memories, seed=seed))
    ends = np.array(pairs).T
    areas["NetMF"] = area((rows[ends[0]] * rows[ends[1]]).sum(1))
    note = ", ".join(f"{kind} {value:.3f}" for kind, value in areas.items())
    return {"value": areas["activity"], "areas": areas, "note": note}


def area(scores: np.ndarray) -> float:
    """Area under the ROC curve of pairs, the first half of which are edges."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.arange(len(scores)) < len(scores) // 2, scores))


def inductive(network: LabelledNetwork, epochs: tuple[int, int], seed: int) -> dict[str, Any]:
    """Micro-F1 of seen less that of hidden nodes, by one classifier that learned half of the seen ones."""
    rng = np.random.default_rng(seed)
    adjacency, labels = adjacency_of(network), network.labels.numpy()
    hidden = rng.random(len(labels)) < HIDDEN_NODES
    seen = np.flatnonzero(~hidden)
    fitted = hopfield(LASTFM, len(network), epochs, seed).fit(adjacency[seen][:, seen])
    place = {node: row for row, node in enumerate(seen.tolist())}
    neighbours = {
        node: [place[other] for other in adjacency.indices[adjacency.indptr[node] : adjacency.indptr[node + 1]] if other in place]
        for node in np.flatnonzero(hidden).tolist()
    }
    known = {node: others for node, others in neighbours.items() if others}
    rows, late = unit(fitted.transform()), unit(fitted.transform(known))
    order = rng.permutation(len(seen))
    train, test = np.array_split(order, 2)
    classes = labels[seen]
    asked = np.concatenate([rows[test], late])
    right = predicted_classes(rows[train], classes[train], asked) == np.concatenate([classes[test], labels[list(known)]])
    before, after = float(right[: len(test)].mean()), float(right[len(test) :].mean())
    return {"value": before - after, "note": f"seen {before:.3f}, hidden {after:.3f} of {len(known)} nodes with a seen neighbour"}


def coarsening(network: LabelledNetwork, epochs: tuple[int, int], seed: int) -> dict[str, Any]:
    """Modularity of the strongest memories, for several numbers of them; the first is judged."""
    adjacency, found = adjacency_of(network), {}
    for memories in (32, 128):
        coarse = hopfield(LASTFM, len(network), epochs, seed, memories=memories).fit(adjacency).coarsen()
        found[memories] = (modularity(adjacency, coarse.assignment), len(coarse.memories))
        lost = float(adjacency.sum() - coarse.adjacency.sum())
    note = "; ".join(f"K = {memories}: {nodes} nodes, modularity {value:.3f}" for memories, (value, nodes) in found.items())
    values = {str(memories): value for memories, (value, _) in found.items()}
    return {"value": found[32][0], "lost": lost, "values": values, "note": note}


TASKS = {"links": links, "inductive": inductive, "coarsening": coarsening}


def chart(runs: dict[str, list[Any]]) -> Chart:
    """Links and modularity beside each other, a point for each seed."""
    series = [
        Series(f"links: AUC, {kind}", (1.0,) * len(runs["links"]), tuple(run["areas"][kind] for run in runs["links"]))
        for kind in runs["links"][0]["areas"]
    ]
    for memories in runs["coarsening"][0]["values"]:
        values = tuple(run["values"][memories] for run in runs["coarsening"])
        series.append(Series(f"coarsening: modularity, K = {memories}", (2.0,) * len(values), values))
    return Chart("tasks", "LastFM Asia: links (1) and coarsening (2)", "task", "AUC or modularity", tuple(series))
