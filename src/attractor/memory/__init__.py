"""Memories: store patterns, recall them from damaged or partial cues."""

from attractor.memory.base import BIPOLAR, MEMORIES, REAL, Domain, Memory, memory_class, register
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.consolidated import ConsolidatedMemory
from attractor.memory.constraint import BitFlipping, ConstraintMemory
from attractor.memory.delta_rules import consolidate, hebbian_importance, learn_by_errors, stable_share, stable_states
from attractor.memory.dense import DenseMemory
from attractor.memory.encoders import PCA, Binarise, Encoded, Encoder, Quantise
from attractor.memory.entropic import (
    Autoencoder,
    ColumnQuantiser,
    EntropicMemory,
    EntropicRegisters,
    EntropicRelation,
    association_chain,
    calibrate,
    entropic_system,
)
from attractor.memory.hopfield import HopfieldMemory
from attractor.memory.kernel import KernelMemory
from attractor.memory.laws import Law, law_of
from attractor.memory.learning_rules import Hebbian, LearningRule, PseudoInverse, Storkey
from attractor.memory.palimpsest import PalimpsestMemory
from attractor.memory.predictive_coding import PredictiveCodingMemory
from attractor.memory.random_features import RandomFeatureMemory
from attractor.memory.recall import Recall, Trace
from attractor.memory.sequence import SequenceMemory
from attractor.memory.sparse_distributed import SparseDistributedMemory
from attractor.memory.sparse_recovery import SparseRecoveryMemory
from attractor.memory.states import Binary, Continuous, Spherical, State

__all__ = [
    "BIPOLAR",
    "MEMORIES",
    "PCA",
    "REAL",
    "Autoencoder",
    "Binarise",
    "Binary",
    "BitFlipping",
    "CapacityEstimate",
    "ColumnQuantiser",
    "ConsolidatedMemory",
    "ConstraintMemory",
    "Continuous",
    "DenseMemory",
    "Domain",
    "Encoded",
    "Encoder",
    "EntropicMemory",
    "EntropicRegisters",
    "EntropicRelation",
    "Hebbian",
    "HopfieldMemory",
    "KernelMemory",
    "Law",
    "LearningRule",
    "Memory",
    "PalimpsestMemory",
    "PredictiveCodingMemory",
    "PseudoInverse",
    "Quantise",
    "RandomFeatureMemory",
    "Recall",
    "SequenceMemory",
    "SparseDistributedMemory",
    "SparseRecoveryMemory",
    "Spherical",
    "State",
    "Storkey",
    "Trace",
    "association_chain",
    "calibrate",
    "consolidate",
    "entropic_system",
    "hebbian_importance",
    "law_of",
    "learn_by_errors",
    "memory_class",
    "register",
    "stable_share",
    "stable_states",
]
