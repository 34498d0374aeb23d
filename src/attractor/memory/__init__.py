"""Memories: store patterns, recall them from damaged or partial cues."""

from attractor.memory.base import BIPOLAR, MEMORIES, REAL, Domain, Memory, memory_class, register
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.dense import DenseMemory
from attractor.memory.laws import Law, law_of
from attractor.memory.recall import Recall, Trace
from attractor.memory.states import Binary, Continuous, Spherical, State

__all__ = [
    "BIPOLAR",
    "MEMORIES",
    "REAL",
    "Binary",
    "CapacityEstimate",
    "Continuous",
    "DenseMemory",
    "Domain",
    "Law",
    "Memory",
    "Recall",
    "Spherical",
    "State",
    "Trace",
    "law_of",
    "memory_class",
    "register",
]
