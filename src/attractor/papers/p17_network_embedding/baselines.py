"""What the Hopfield embedding is compared with: factorised proximities (NetMF) and skip-grams on walks (DeepWalk)."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from scipy.sparse.linalg import svds

from attractor.estimators.graph_embedding.walks import Walker, steps_of

ROWS = 512  # of the proximities that are dense at once


def netmf(adjacency: csr_array, dim: int, *, window: int = 10, negative: float = 1.0, seed: int = 0) -> np.ndarray:
    """The embedding `U sqrt(Sigma) (n, dim)` of NetMF (Qiu et al. 2018): the largest singular vectors of its proximities.

    Nodes without a neighbour have zero rows.

    Raises:
        ValueError: `dim` is not below the number of nodes.

    Example:
        >>> import networkx
        >>> netmf(networkx.to_scipy_sparse_array(networkx.karate_club_graph(), weight=None), 4).shape
        (34, 4)
    """
    if not 0 < dim < adjacency.shape[0]:
        raise ValueError(f"dim must be between 1 and {adjacency.shape[0] - 1}, got {dim}")
    start = np.random.default_rng(seed).normal(size=adjacency.shape[0])
    left, values, _ = svds(proximities(adjacency, window=window, negative=negative), k=dim, v0=start)
    order = np.argsort(-values)
    return np.asarray(left[:, order] * np.sqrt(values[order]))


def proximities(adjacency: csr_array, *, window: int, negative: float) -> csr_array:
    """`log max(1, vol / (b T) sum_{r=1..T} P^r D^-1)` with `vol` the sum of all weights; most entries are 0 and not kept."""
    sums = np.asarray(adjacency.sum(1), dtype=np.float64).ravel()
    inverse = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    step = steps_of(adjacency)
    back = csr_array(step.T)
    parts = []
    for first in range(0, len(sums), ROWS):
        power = step[first : first + ROWS].toarray().T
        total = power.copy()
        for _ in range(window - 1):
            power = back @ power
            total += power
        ratio = total.T * inverse * (sums.sum() / (negative * window))
        parts.append(csr_array(np.log(np.maximum(ratio, 1))))
    return csr_array(vstack(parts))


def deepwalk(
    adjacency: csr_array,
    dim: int,
    *,
    walks: int = 10,
    length: int = 40,
    window: int = 5,
    epochs: int = 1,
    workers: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """The embedding `(n, dim)` of DeepWalk (Perozzi et al. 2014): gensim's skip-gram with 5 negatives on walks from every node.

    Nodes without a neighbour have zero rows.

    Raises:
        ImportError: gensim is not installed.
    """
    word2vec = import_module("gensim.models").Word2Vec
    generator = torch.Generator().manual_seed(seed)
    walker = Walker(adjacency)
    starts = torch.from_numpy(np.flatnonzero(np.diff(adjacency.indptr)))
    sentences = []
    for _ in range(walks):
        shuffled = starts[torch.randperm(len(starts), generator=generator)]
        paths = torch.cat([shuffled[:, None], walker.walk(shuffled, length - 1, generator)], 1)
        sentences += [[str(node) for node in path] for path in paths.tolist()]
    settings = {"vector_size": dim, "window": window, "sg": 1, "negative": 5, "hs": 0, "min_count": 0, "epochs": epochs}
    model = word2vec(sentences, workers=workers, seed=seed + 1, **settings)
    embedding = np.zeros((adjacency.shape[0], dim), dtype=np.float32)
    embedding[starts.numpy()] = model.wv[[str(node) for node in starts.tolist()]]
    return embedding


def singular(adjacency: csr_array, dim: int, *, seed: int = 0) -> np.ndarray:
    """`U Sigma (n, dim)` of the adjacency: the plainest factorisation."""
    start = np.random.default_rng(seed).normal(size=adjacency.shape[0])
    left, values, _ = svds(adjacency.astype(np.float64), k=dim, v0=start)
    return np.asarray(left * values)
