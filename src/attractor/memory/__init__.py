"""Memories: store patterns, recall them from damaged or partial cues."""

from attractor.memory.base import BIPOLAR, MEMORIES, REAL, Domain, Memory, memory_class, register
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.dense import DenseMemory
from attractor.memory.encoders import PCA, Binarise, Encoded, Encoder, Quantise
from attractor.memory.hopfield import HopfieldMemory
from attractor.memory.laws import Law, law_of
from attractor.memory.learning_rules import Hebbian, LearningRule, PseudoInverse, Storkey
from attractor.memory.recall import Recall, Trace
from attractor.memory.states import Binary, Continuous, Spherical, State

__all__ = [
    "BIPOLAR",
    "MEMORIES",
    "PCA",
    "REAL",
    "Binarise",
    "Binary",
    "CapacityEstimate",
    "Continuous",
    "DenseMemory",
    "Domain",
    "Encoded",
    "Encoder",
    "Hebbian",
    "HopfieldMemory",
    "Law",
    "LearningRule",
    "Memory",
    "PseudoInverse",
    "Quantise",
    "Recall",
    "Spherical",
    "State",
    "Storkey",
    "Trace",
    "law_of",
    "memory_class",
    "register",
]
