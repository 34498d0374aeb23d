"""Associative memory for PyTorch: store patterns, recall them from damaged or partial cues."""

from importlib.metadata import version

from attractor.bank import DiskBank, RamBank
from attractor.errors import AttractorWarning, CapacityWarning, EnergyUnboundedWarning, NotConvergedWarning
from attractor.memory import (
    PCA,
    Binarise,
    Binary,
    Continuous,
    DenseMemory,
    Encoded,
    HopfieldMemory,
    KernelMemory,
    Memory,
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
    "Continuous",
    "Cosine",
    "DenseMemory",
    "DiskBank",
    "Dot",
    "Encoded",
    "EnergyUnboundedWarning",
    "Entmax",
    "Euclidean",
    "Exponential",
    "HopfieldMemory",
    "Identity",
    "Kernel",
    "KernelMemory",
    "Manhattan",
    "Memory",
    "NotConvergedWarning",
    "Polynomial",
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
