"""Distributed dense associative memory: any number of patterns summed into a fixed number of random features."""

from attractor.memory.random_features.accuracy import ErrorEstimate, Size
from attractor.memory.random_features.feature_maps import Cos, Exp, ExpExp, FeatureMap, SinCos
from attractor.memory.random_features.memory import RandomFeatureMemory
from attractor.memory.random_features.polynomial import ArcCosine, PolynomialMap
from attractor.memory.random_features.projections import Gaussian, Hadamard, Orthogonal, Projection

__all__ = [
    "ArcCosine",
    "Cos",
    "ErrorEstimate",
    "Exp",
    "ExpExp",
    "FeatureMap",
    "Gaussian",
    "Hadamard",
    "Orthogonal",
    "PolynomialMap",
    "Projection",
    "RandomFeatureMemory",
    "SinCos",
    "Size",
]
