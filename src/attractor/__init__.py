"""Associative memory for PyTorch: store patterns, recall them from damaged or partial cues.

A name is loaded, and torch with it, when it is first asked for: a process that only appends to a bank on disk needs no torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.bank import ClusterBank, DiskBank, IndexedBank, RamBank
    from attractor.errors import AttractorWarning, CapacityWarning, EnergyUnboundedWarning, NotConvergedWarning
    from attractor.memory import (
        PCA,
        Binarise,
        Binary,
        Continuous,
        DenseMemory,
        Encoded,
        EntropicMemory,
        HopfieldMemory,
        KernelMemory,
        Memory,
        PredictiveCodingMemory,
        Quantise,
        RandomFeatureMemory,
        Recall,
        SequenceMemory,
        Spherical,
        register,
    )
    from attractor.read import (
        Cosine,
        Dot,
        Entmax,
        Euclidean,
        Exponential,
        Identity,
        Kernel,
        Manhattan,
        Polynomial,
        RectifiedPolynomial,
        SoftMax,
        Sparsemax,
        TopK,
    )

__version__ = version("attractor")

__all__ = [
    "PCA",
    "AttractorWarning",
    "Binarise",
    "Binary",
    "CapacityWarning",
    "ClusterBank",
    "Continuous",
    "Cosine",
    "DenseMemory",
    "DiskBank",
    "Dot",
    "Encoded",
    "EnergyUnboundedWarning",
    "Entmax",
    "EntropicMemory",
    "Euclidean",
    "Exponential",
    "HopfieldMemory",
    "Identity",
    "IndexedBank",
    "Kernel",
    "KernelMemory",
    "Manhattan",
    "Memory",
    "NotConvergedWarning",
    "Polynomial",
    "PredictiveCodingMemory",
    "Quantise",
    "RamBank",
    "RandomFeatureMemory",
    "Recall",
    "RectifiedPolynomial",
    "SequenceMemory",
    "SoftMax",
    "Sparsemax",
    "Spherical",
    "TopK",
    "register",
]

ROOMS = ("errors", "read", "bank", "memory", "dynamics", "energy")


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    rooms = (import_module(f"{__name__}.{room}") for room in ROOMS)
    globals()[name] = next(getattr(room, name) for room in rooms if hasattr(room, name))
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *ROOMS, *__all__})
