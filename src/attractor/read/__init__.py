"""Reading a memory: similarity, separation, and the fold over blocks of patterns that joins them."""

from attractor.read.best import Best
from attractor.read.block import Block
from attractor.read.catalogue import SEPARATIONS, separation_from, similarity_from
from attractor.read.feature_map import Affine, FeatureMap, Linear, Perceptron
from attractor.read.fold import Partial, Read, ReadOut
from attractor.read.kernel import Kernel
from attractor.read.polynomial import Identity, Polynomial, RectifiedPolynomial
from attractor.read.separation import Exponential, Separation, SoftMax, Tempered
from attractor.read.similarity import SIMILARITIES, Cosine, Dot, Euclidean, Manhattan, Similarity
from attractor.read.sparse import Entmax, Sparsemax, TopK

__all__ = [
    "SEPARATIONS",
    "SIMILARITIES",
    "Affine",
    "Best",
    "Block",
    "Cosine",
    "Dot",
    "Entmax",
    "Euclidean",
    "Exponential",
    "FeatureMap",
    "Identity",
    "Kernel",
    "Linear",
    "Manhattan",
    "Partial",
    "Perceptron",
    "Polynomial",
    "Read",
    "ReadOut",
    "RectifiedPolynomial",
    "Separation",
    "Similarity",
    "SoftMax",
    "Sparsemax",
    "Tempered",
    "TopK",
    "separation_from",
    "similarity_from",
]
