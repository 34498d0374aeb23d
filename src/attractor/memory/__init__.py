"""Memories: store patterns, recall them from damaged or partial cues."""

from attractor.memory.base import BIPOLAR, MEMORIES, REAL, Domain, Memory, memory_class, register
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.consolidated import ConsolidatedMemory
from attractor.memory.delta_rules import consolidate, hebbian_importance, learn_by_errors, stable_share, stable_states
from attractor.memory.dense import DenseMemory
from attractor.memory.encoders import PCA, Binarise, Encoded, Encoder, Quantise
from attractor.memory.hopfield import HopfieldMemory
from attractor.memory.kernel import KernelMemory
from attractor.memory.laws import Law, law_of
from attractor.memory.learning_rules import Hebbian, LearningRule, PseudoInverse, Storkey
from attractor.memory.random_features import RandomFeatureMemory
from attractor.memory.recall import Recall, Trace
from attractor.memory.sequence import SequenceMemory
from attractor.memory.sparse_distributed import SparseDistributedMemory
from attractor.memory.states import Binary, Continuous, Spherical, State

__all__ = [
    "BIPOLAR",
    "MEMORIES",
    "PCA",
    "REAL",
    "Binarise",
    "Binary",
    "CapacityEstimate",
    "ConsolidatedMemory",
    "Continuous",
    "DenseMemory",
    "Domain",
    "Encoded",
    "Encoder",
    "Hebbian",
    "HopfieldMemory",
    "KernelMemory",
    "Law",
    "LearningRule",
    "Memory",
    "PseudoInverse",
    "Quantise",
    "RandomFeatureMemory",
    "Recall",
    "SequenceMemory",
    "SparseDistributedMemory",
    "Spherical",
    "State",
    "Storkey",
    "Trace",
    "consolidate",
    "hebbian_importance",
    "law_of",
    "learn_by_errors",
    "memory_class",
    "register",
    "stable_share",
    "stable_states",
]
