"""Memory by sparse recovery: it learns the linear constraints of its patterns, and removes the sparsest error from a cue."""

from attractor.memory.sparse_recovery.decoders import (
    BasisPursuit,
    Bregman,
    Decoder,
    Denoising,
    HardThresholding,
    LinearisedBregman,
)
from attractor.memory.sparse_recovery.dual import dual_rows, sparse_rows
from attractor.memory.sparse_recovery.expander import Expander
from attractor.memory.sparse_recovery.learning import Exact, GramSchmidt, Learning, OrthogonalIteration, Subspace
from attractor.memory.sparse_recovery.memory import Recovery, SparseRecoveryMemory
from attractor.memory.sparse_recovery.models import LinearCode, adversarial_errors, random_errors, sparse_constraints
from attractor.memory.sparse_recovery.theory import correctable_errors, needed_constraints

__all__ = [
    "BasisPursuit",
    "Bregman",
    "Decoder",
    "Denoising",
    "Exact",
    "Expander",
    "GramSchmidt",
    "HardThresholding",
    "Learning",
    "LinearCode",
    "LinearisedBregman",
    "OrthogonalIteration",
    "Recovery",
    "SparseRecoveryMemory",
    "Subspace",
    "adversarial_errors",
    "correctable_errors",
    "dual_rows",
    "needed_constraints",
    "random_errors",
    "sparse_constraints",
    "sparse_rows",
]
