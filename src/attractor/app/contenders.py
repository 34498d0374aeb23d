"""The memories that the command line puts side by side: how each registered one is made for patterns of a given width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from attractor.memory import (
    MEMORIES,
    Binarise,
    Binary,
    BitFlipping,
    ConsolidatedMemory,
    ConstraintMemory,
    DenseMemory,
    Encoded,
    EntropicMemory,
    HopfieldMemory,
    KernelMemory,
    Memory,
    PalimpsestMemory,
    PredictiveCodingMemory,
    Quantise,
    RandomFeatureMemory,
    SparseDistributedMemory,
    SparseRecoveryMemory,
)
from attractor.memory.kernel import NoiseAware
from attractor.memory.predictive_coding import PredictiveLearning
from attractor.read import RectifiedPolynomial, Sparsemax, TopK

NOT_COMPARED = {"encoded", "entropic_relation", "sequence"}
"""A wrapper of memories, and those that recall something else than the pattern that they know."""


@dataclass(frozen=True)
class Contender:
    """A memory in a comparison.

    Attributes:
        title: a few words for tables.
        make: the empty memory for patterns of a width, in the memory's own domain.
        monotone: whether its recall never raises its energy, by its own account.
        binary: whether it takes -1 and 1 only, so that real data reaches it through `Binarise`.
        levels: how many whole numbers it takes, so that real data reaches it through `Quantise`; None for real numbers.
        learn: what it learns from its patterns when they are stored.
        misfit: why patterns, in the memory's own domain, are not what it is made for, so that it stays out; None where they are.
    """

    title: str
    make: Callable[[int], Memory]
    monotone: bool = True
    binary: bool = False
    levels: int | None = None
    learn: Callable[[Memory], object] | None = None
    misfit: Callable[[Memory, Tensor], str | None] | None = None

    def build(self, dim: int, low: float, high: float) -> Memory:
        """The empty memory for data between `low` and `high`, behind an encoder where it needs one."""
        memory = self.make(dim)
        if self.levels is not None:
            return Encoded(memory, Quantise(self.levels, low, high))
        return Encoded(memory, Binarise((low + high) / 2, low, high)) if self.binary else memory


def learn_kernel(memory: Memory) -> None:
    """Teach a kernel to recognise damaged copies of what is stored."""
    assert isinstance(memory, KernelMemory)
    if len(memory) > 1:
        memory.learn(NoiseAware(steps=30, batch=256))


def misfit_of_palimpsest(memory: Memory, patterns: Tensor) -> str | None:
    """Why patterns are not those of independent neurons."""
    assert isinstance(memory, PalimpsestMemory)
    return memory.misfit(patterns)


SOFT_MAX = Contender("soft-max, Euclidean", DenseMemory)
COSINE = Contender("soft-max, cosine", lambda dim: DenseMemory(dim, similarity="cosine"))
MANHATTAN = Contender("soft-max, Manhattan", lambda dim: DenseMemory(dim, similarity="manhattan"), monotone=False)
SPARSEMAX = Contender("sparsemax, Euclidean", lambda dim: DenseMemory(dim, separation=Sparsemax()))
TOP_K = Contender("top-32, Euclidean", lambda dim: DenseMemory(dim, separation=TopK(32)))
BINARY = Contender("soft-max, binary", lambda dim: DenseMemory(dim, state=Binary("synchronous")), binary=True)
CUBIC = Contender(
    "power 3, binary",
    lambda dim: DenseMemory(dim, separation=RectifiedPolynomial(3), state=Binary("synchronous")),
    binary=True,
)
HEBBIAN = Contender("Hopfield, Hebbian", HopfieldMemory, binary=True)
PSEUDO_INVERSE = Contender("Hopfield, pseudo-inv.", lambda dim: HopfieldMemory(dim, rule="pseudo-inverse"), binary=True)
STORKEY = Contender("Hopfield, Storkey", lambda dim: HopfieldMemory(dim, rule="storkey"), binary=True)

KERNEL = Contender("learned kernel", KernelMemory, monotone=False, learn=learn_kernel)
# descends by whole soft-max reads; at half of this beta the kernels of a few hundred small images overlap: recalls end between them
RANDOM_FEATURES = Contender("random features", lambda dim: RandomFeatureMemory(dim, features=4000, beta=480 / dim, alpha=1.0))

CONSOLIDATED = Contender("merged in slots", ConsolidatedMemory, monotone=False)
# few sweeps: errors of whole pixels are further from a stored image than more of them would repair
CONSTRAINT = Contender(
    "local constraints",
    lambda dim: ConstraintMemory(dim, learn="svd", limits=(0, 15), decoder=BitFlipping(noise=0.4, rounds=20, sweeps=2)),
    monotone=False,
    levels=16,
)
PREDICTIVE_CODING = Contender(
    "predictive coding",
    lambda dim: PredictiveCodingMemory(dim, learning=PredictiveLearning(steps=600, batch=128)),
    monotone=False,
)
ENTROPIC = Contender("entropic, 16 levels", lambda dim: EntropicMemory(dim, 16), monotone=False, levels=16)
PALIMPSEST = Contender(
    "palimpsest", lambda dim: PalimpsestMemory(dim, flip_rate=0.2), monotone=False, levels=2, misfit=misfit_of_palimpsest
)
KANERVA = Contender("sparse distributed", SparseDistributedMemory, monotone=False, binary=True)
# says of itself where data leave no constraint, or damage is not sparse
SPARSE_RECOVERY = Contender("sparse recovery", SparseRecoveryMemory, monotone=False)

CONTENDERS: dict[str, tuple[Contender, ...]] = {
    "consolidated": (CONSOLIDATED,),
    "constraint": (CONSTRAINT,),
    "dense": (SOFT_MAX, COSINE, MANHATTAN, SPARSEMAX, TOP_K, BINARY, CUBIC),
    "entropic": (ENTROPIC,),
    "hopfield": (HEBBIAN, PSEUDO_INVERSE, STORKEY),
    "kernel": (KERNEL,),
    "palimpsest": (PALIMPSEST,),
    "predictive_coding": (PREDICTIVE_CODING,),
    "random_features": (RANDOM_FEATURES,),
    "sparse_distributed": (KANERVA,),
    "sparse_recovery": (SPARSE_RECOVERY,),
}

DEMONSTRATED = (SOFT_MAX, COSINE, MANHATTAN, BINARY, HEBBIAN)


def registered() -> list[Contender]:
    """Every registered memory, those of other packages with their own defaults."""
    chosen: list[Contender] = []
    for name in sorted(MEMORIES):
        if name in CONTENDERS:
            chosen += CONTENDERS[name]
        elif name not in NOT_COMPARED:
            kind = MEMORIES[name]
            make: Callable[..., Memory] = kind
            chosen.append(Contender(name, make, monotone=False, binary=kind.domain.kind == "bipolar"))
    return chosen
