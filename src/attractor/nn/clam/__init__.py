"""Clustering with associative memories: a point runs down the energy of the prototypes into one of them."""

from attractor.nn.clam.completion import completion_loss, hidden_features, shared_completion_loss
from attractor.nn.clam.deep import DeepClAM, DeepClAMOutput
from attractor.nn.clam.layer import ClAMLayer, ClAMOutput

__all__ = [
    "ClAMLayer",
    "ClAMOutput",
    "DeepClAM",
    "DeepClAMOutput",
    "completion_loss",
    "hidden_features",
    "shared_completion_loss",
]
