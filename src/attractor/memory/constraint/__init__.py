"""The constraint memory: clusters, learning, recall by bit flipping and peeling, and the theory of its noise."""

from attractor.memory.constraint.clusters import balanced_choices, random_clusters
from attractor.memory.constraint.decoding import BitFlipping, Check, correct
from attractor.memory.constraint.learning import Constraints, learn_constraints
from attractor.memory.constraint.memory import ConstraintMemory
from attractor.memory.constraint.peeling import Graph
from attractor.memory.constraint.theory import (
    correction_bound,
    density_evolution,
    disturbance_probability,
    fire_probability,
    miss_probability,
    recall_threshold,
    silent_probability,
)

__all__ = [
    "BitFlipping",
    "Check",
    "ConstraintMemory",
    "Constraints",
    "Graph",
    "balanced_choices",
    "correct",
    "correction_bound",
    "density_evolution",
    "disturbance_probability",
    "fire_probability",
    "learn_constraints",
    "miss_probability",
    "random_clusters",
    "recall_threshold",
    "silent_probability",
]
