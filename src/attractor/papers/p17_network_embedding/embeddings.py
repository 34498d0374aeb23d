"""One embedding of a graph by a method and its settings."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from attractor.data import LabelledNetwork
from attractor.estimators.graph_embedding import HopfieldGraphEmbedding
from attractor.estimators.graph_embedding.adjacency import network_from
from attractor.papers.p17_network_embedding.baselines import deepwalk, netmf, singular
from attractor.papers.p17_network_embedding.sizes import DEEPWALK, EDGES, HOPFIELD, NETMF, SINGULAR

KINDS = ("window", "hidden", "activity")


def adjacency_of(network: LabelledNetwork) -> csr_array:
    """Sparse `(n, n)`, with nodes that have no edge."""
    edges = network.edges.numpy()
    count = np.ones(edges.shape[1])
    return network_from(coo_array((count, (edges[0], edges[1])), shape=(len(network),) * 2)).adjacency


def hopfield(width: int, seed: int, **settings: Any) -> HopfieldGraphEmbedding:
    """The estimator; in some graphs there are papers that cite none."""
    return HopfieldGraphEmbedding(width, **{"isolated": "zero", "random_state": seed, **settings})


def embedded(method: str, adjacency: csr_array, width: int, settings: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """The embeddings `(n, width)` that a training gives, with unit rows, by what it is called."""
    name = " ".join(f"{key} {value:g}" for key, value in settings.items() if key in ("window", "steps", "beta", "negative"))
    if method == HOPFIELD:
        fitted = hopfield(width, seed, **settings).fit(adjacency)
        return {f"{name} {kind}": unit(fitted.set_params(kind=kind).transform()) for kind in KINDS}
    if method == NETMF:
        return {name: unit(netmf(adjacency, width, seed=seed, **settings))}
    if method == DEEPWALK:
        return {name: unit(deepwalk(adjacency, width, seed=seed, **settings))}
    return {name: unit({SINGULAR: lambda: singular(adjacency, width, seed=seed), EDGES: adjacency.toarray}[method]())}


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of nodes without an edge stay zero."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-12)).astype(np.float32)
