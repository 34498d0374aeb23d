"""Memories of sequences: the network, its variants, and the theory of how much it holds."""

from attractor.memory.sequence.interaction import ExponentialInteraction, Interaction, PolynomialInteraction
from attractor.memory.sequence.memory import SequenceMemory
from attractor.memory.sequence.pseudo_inverse import GeneralisedPseudoInverse
from attractor.memory.sequence.theory import (
    best_degree,
    biased_limit,
    exponential_crosstalk,
    sequence_capacity,
    transition_capacity,
)
from attractor.memory.sequence.timing import Timing
from attractor.memory.sequence.two_layers import TwoLayerSequence
from attractor.memory.sequence.walk import Walk

__all__ = [
    "ExponentialInteraction",
    "GeneralisedPseudoInverse",
    "Interaction",
    "PolynomialInteraction",
    "SequenceMemory",
    "Timing",
    "TwoLayerSequence",
    "Walk",
    "best_degree",
    "biased_limit",
    "exponential_crosstalk",
    "sequence_capacity",
    "transition_capacity",
]
