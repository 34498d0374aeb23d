"""Sparse distributed memory (Kanerva 1988)."""

from attractor.memory.sparse_distributed.memory import SparseDistributedMemory
from attractor.memory.sparse_distributed.radius import radius_for, reached_share

__all__ = ["SparseDistributedMemory", "radius_for", "reached_share"]
