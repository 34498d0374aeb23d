"""Predictive coding: the generative network, its inference and learning, and the memory that they make."""

from attractor.memory.predictive_coding.connections import Connection, Convolution, Dense
from attractor.memory.predictive_coding.inference import Inference
from attractor.memory.predictive_coding.learning import Fit, PredictiveLearning
from attractor.memory.predictive_coding.memory import PredictiveCodingMemory
from attractor.memory.predictive_coding.network import Curvature, PredictiveNetwork

__all__ = [
    "Connection",
    "Convolution",
    "Curvature",
    "Dense",
    "Fit",
    "Inference",
    "PredictiveCodingMemory",
    "PredictiveLearning",
    "PredictiveNetwork",
]
