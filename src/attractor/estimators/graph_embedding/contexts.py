"""The expected context of a node: what random walks from it see on average, itself left out.

`c_i` is row i of `S = (1/w) sum_{r=1..w} P^r`, without its diagonal `d_i` and normalised again. Its drive `Phi c_i` needs no such
matrix: `S Phi = P M` with `M = (1/w) sum_{r=0..w-1} P^r Phi`, so

    Phi c_i = ((P M)_i - d_i Phi_i) / (1 - d_i)

A node that is not in the graph and has the neighbours p, a row that sums to 1, has the drive `p M`. Where nothing is masked, a
node may see itself too: the drive of its whole window, row i of S as it is, is `(P M)_i`.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array, eye_array

from attractor.estimators.graph_embedding.walks import Walker, steps_of

EXACT_NODES = 32_768
ROWS = 1024  # of powers of P that are held at once
WALKS = 64  # from each node, where returns are counted


def reach(adjacency: csr_array, context: np.ndarray, window: int) -> np.ndarray:
    """`M (n, K)`."""
    step = steps_of(adjacency).astype(context.dtype)
    power, total = context, context.copy()
    for _ in range(window - 1):
        power = step @ power
        total += power
    return total / window


def drives(adjacency: csr_array, context: np.ndarray, reached: np.ndarray, returned: np.ndarray) -> np.ndarray:
    """`Phi c_i (n, K)` of all nodes; those that always return, `d_i = 1`, have themselves as their context."""
    others = (1 - returned)[:, None].astype(context.dtype)
    alone = others <= 0
    away = steps_of(adjacency).astype(context.dtype) @ reached - returned[:, None].astype(context.dtype) * context
    return np.where(alone, context, away / np.where(alone, 1, others))


def windows(adjacency: csr_array, reached: np.ndarray) -> np.ndarray:
    """`S Phi (n, K)` by edges between two nodes; those that have none see themselves alone, as they are in `M`."""
    lonely = np.diff(adjacency.indptr) == 0
    return np.where(lonely[:, None], reached, steps_of(adjacency).astype(reached.dtype) @ reached)


def returns(adjacency: csr_array, window: int, generator: torch.Generator) -> np.ndarray:
    """The diagonal `d (n,)` of S: exact, or in graphs of more than `EXACT_NODES` nodes counted on walks."""
    if adjacency.shape[0] > EXACT_NODES:
        return counted_returns(adjacency, window, generator)
    step = steps_of(adjacency)
    back = csr_array(step.T)
    diagonal = np.zeros(adjacency.shape[0])
    every = csr_array(eye_array(len(diagonal)))
    for first in range(0, len(diagonal), ROWS):
        # (P^(a + b))_ii is the product of row i of P^a and row i of the transpose of P^b, so half of the powers are enough
        ahead = behind = every[first : first + ROWS]
        for power in range(1, window + 1):
            if power % 2:
                ahead = ahead @ step
            else:
                behind = behind @ back
            diagonal[first : first + ROWS] += np.asarray(ahead.multiply(behind).sum(1)).ravel()
    return diagonal / window


def counted_returns(adjacency: csr_array, window: int, generator: torch.Generator) -> np.ndarray:
    """The share of steps that end where the walk began. Nodes without a way out have 1: they see nothing else."""
    walker = Walker(adjacency)
    leaving = torch.from_numpy(np.flatnonzero(np.diff(adjacency.indptr)))
    counts = torch.zeros(len(leaving), dtype=torch.int64)
    for _ in range(WALKS):
        counts += (walker.walk(leaving, window, generator) == leaving[:, None]).sum(1)
    shares = np.ones(adjacency.shape[0])
    shares[leaving.numpy()] = counts.numpy() / (WALKS * window)
    return shares
