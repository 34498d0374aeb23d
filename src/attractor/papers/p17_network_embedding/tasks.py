"""What else the embedding is for: recall, links, nodes that come later, coarsening; and the law of its energy."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from attractor.data import DataUnavailableError, LabelledNetwork, load_network
from attractor.estimators.graph_embedding import modularity
from attractor.estimators.graph_embedding.network import energy, settle
from attractor.papers.claim import Row
from attractor.papers.figures import Chart, Series
from attractor.papers.p17_network_embedding.claims import (
    CONNECTOME,
    DESCENT,
    INDUCTIVE,
    LASTFM,
    LINKS,
    LINKS_LEAD,
    MODULARITY,
    RECALL,
    WEIGHT,
)
from attractor.papers.p17_network_embedding.classification import lower_end, predicted_classes
from attractor.papers.p17_network_embedding.embeddings import adjacency_of, hopfield, unit
from attractor.papers.p17_network_embedding.links import Tried, leads, links
from attractor.papers.p17_network_embedding.sizes import (
    DEEPWALK,
    NETMF,
    RECALL_SETTINGS,
    Settings,
    Size,
    epochs_of,
    settings_of,
    width,
)
from attractor.papers.parts import Measured, Tell
from attractor.papers.statistics import mean_interval, wilson
from attractor.papers.sweep import sweep

STEP_SIZES = (0.05, 0.5, 1.0)
HIDDEN_NODES = 0.1
COARSE = (32, 128)  # memories; the first is judged


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
    claims = (LINKS, LINKS_LEAD, INDUCTIVE, MODULARITY, WEIGHT)
    lacking = "measured at a larger scale" if LASTFM not in size.graphs else ""
    if lacking or reason(LASTFM, LINKS):
        missing = [reason(LASTFM, claim) or Row.unmeasured(claim, LASTFM, lacking) for claim in claims]
        return Measured([*rows, *missing])
    every = size.seeds[2]
    seeds = range(seed * every, (seed + 1) * every)
    nodes = len(load_network(LASTFM))
    settings = {"window": 10, "epochs": epochs_of(LASTFM, nodes, size.epochs)}
    methods = (NETMF, DEEPWALK) if find_spec("gensim") is not None else (NETMF,)
    tried = {method: settings_of(LASTFM, method, nodes, size) for method in methods}
    points = [(what, settings, tried if what == "links" else {}, each) for what in TASKS for each in seeds]
    runs: dict[str, list[Any]] = {}
    for point, run in zip(points, sweep(task, points, lambda done: tell(0.1 + 0.9 * done)), strict=True):
        runs.setdefault(point[0], []).append(run)
    for claim, what in ((LINKS, "links"), (INDUCTIVE, "inductive"), (MODULARITY, "coarsening")):
        value, interval = mean_interval([run["value"] for run in runs[what]])
        seconds, note = sum(run["seconds"] for run in runs[what]), runs[what][0]["note"]
        rows.append(Row(claim, value, interval, every, seconds, LASTFM, note=note))
        if claim is LINKS:
            rows.append(lower_end(LINKS_LEAD, leads(runs[what]), 0.0, LASTFM, note))
    lost = max(abs(run["lost"]) for run in runs["coarsening"])
    rows.append(Row(WEIGHT, lost, None, every, 0.0, LASTFM, note=runs["coarsening"][0]["note"]))
    return Measured(rows, [chart(runs)])


def reason(name: str, claim: Any) -> Row | None:
    """A row that says why nothing was measured, where the network is not on this machine."""
    try:
        load_network(name)
    except DataUnavailableError as error:
        return Row.unmeasured(claim, name, error)
    return None


def recall_row(size: Size, seed: int) -> Row:
    """How many neurons of the connectome come first when they are masked; beside it a search for the nearest context."""
    start = time.perf_counter()
    adjacency = adjacency_of(load_network(CONNECTOME))
    fitted = hopfield(seed=seed, epochs=size.recall_epochs, **RECALL_SETTINGS).fit(adjacency)
    right = sum(names[0] == node for node, names in zip(fitted.nodes_, fitted.recall().nodes, strict=True))
    count = len(fitted.nodes_)
    # searched for as they are, all neighbours of a node find those with these neighbours: itself and its twins
    rows = [tuple(adjacency.indices[adjacency.indptr[row] : adjacency.indptr[row + 1]]) for row in range(count)]
    nearest = sum(1 / rows.count(row) for row in rows) / count
    seconds = time.perf_counter() - start
    return Row(RECALL, right / count, wilson(right, count), count, seconds, CONNECTOME, baseline=nearest)


def task(what: str, settings: Settings, tried: Tried, seed: int) -> dict[str, Any]:
    """One of the tasks on LastFM Asia: its `value`, a `note`, and the `seconds` it took."""
    start = time.perf_counter()
    network = load_network(LASTFM)
    return {**TASKS[what](network, settings, tried, seed), "seconds": time.perf_counter() - start}


def inductive(network: LabelledNetwork, settings: Settings, tried: Tried, seed: int) -> dict[str, Any]:
    """Micro-F1 of seen less that of hidden nodes, by one classifier that learned half of the seen ones."""
    rng = np.random.default_rng(seed)
    adjacency, labels = adjacency_of(network), network.labels.numpy()
    hidden = rng.random(len(labels)) < HIDDEN_NODES
    seen = np.flatnonzero(~hidden)
    fitted = hopfield(width(LASTFM), seed, **settings).fit(adjacency[seen][:, seen])
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


def coarsening(network: LabelledNetwork, settings: Settings, tried: Tried, seed: int) -> dict[str, Any]:
    """Modularity of the strongest memories, for several numbers of them; the first is judged."""
    adjacency, found = adjacency_of(network), {}
    for memories in COARSE:
        coarse = hopfield(memories, seed, **settings).fit(adjacency).coarsen()
        found[memories] = (modularity(adjacency, coarse.assignment), len(coarse.memories))
        lost = float(adjacency.sum() - coarse.adjacency.sum())
    note = "; ".join(f"K = {memories}: {nodes} nodes, modularity {value:.3f}" for memories, (value, nodes) in found.items())
    values = {str(memories): value for memories, (value, _) in found.items()}
    return {"value": found[COARSE[0]][0], "lost": lost, "values": values, "note": note}


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
