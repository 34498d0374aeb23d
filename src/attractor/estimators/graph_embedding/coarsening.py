"""A small graph in the place of a large one: nodes that wake the same memory become one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array


class Coarse(NamedTuple):
    """A coarsened graph of m nodes.

    Attributes:
        adjacency: `S^T A S (m, m)`; its weights sum to those of A, edges inside of a node among them, on the diagonal.
        assignment: `(n,)` the new node of each node; or for a soft one its shares `S (n, m)`.
        memories: `(m,)` the memory that each new node stands for; those that no node wakes are left out.
    """

    adjacency: csr_array
    assignment: np.ndarray
    memories: np.ndarray


def coarsened(adjacency: csr_array, activity: np.ndarray, *, soft: bool) -> Coarse:
    """Coarsen by the hidden activity `(n, K)` of each node."""
    if soft:
        return Coarse(csr_array(activity.T @ (adjacency @ activity)), activity, np.arange(activity.shape[1]))
    memories, assignment = np.unique(activity.argmax(1), return_inverse=True)
    entries = (np.ones(len(assignment)), (np.arange(len(assignment)), assignment))
    shares = csr_array(entries, shape=(len(assignment), len(memories)))
    return Coarse(csr_array(shares.T @ adjacency @ shares), assignment, memories)


def modularity(adjacency: Any, assignment: Any) -> float:
    """Newman's modularity of a partition `(n,)`: the share of weight inside of parts, less what it would be by degrees alone.

    Args:
        adjacency: `(n, n)`, sparse. An edge from a node to itself counts by its entry, once; some count it twice.
        assignment: the part of each node, whole numbers from 0.

    Raises:
        TypeError: `adjacency` is no sparse matrix.
        ValueError: another number of parts than of nodes, negative parts, or no weight.

    Example:
        >>> pairs = csr_array(np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]))
        >>> modularity(pairs, np.array([0, 0, 1, 1]))
        0.5
    """
    if not hasattr(adjacency, "tocoo"):
        raise TypeError(f"adjacency must be a sparse matrix of scipy, got {type(adjacency).__name__}")
    edges, assignment = adjacency.tocoo(), np.asarray(assignment)
    if assignment.shape != edges.shape[:1] or assignment.dtype.kind not in "iu" or assignment.min(initial=0) < 0:
        raise ValueError(f"assignment must hold a number from 0 for each of {edges.shape[0]} nodes, got shape {assignment.shape}")
    total = edges.data.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"adjacency must have a positive weight, got {total}")
    inside = edges.data[assignment[edges.row] == assignment[edges.col]].sum() / total
    leaving, coming = (np.bincount(assignment, np.asarray(adjacency.sum(axis)).ravel()) / total for axis in (1, 0))
    return float(inside - leaving @ coming)
