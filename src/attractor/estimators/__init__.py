"""Estimators for scikit-learn: a classifier, a detector of anomalous nodes in graphs, and a classifier of whole graphs.

Beside them stand `ImageCompletion`, which trains the model that it is given, and, in `attractor.estimators.sequential`, learning
one task after the other.

Only what follows scikit-learn's interface needs scikit-learn, and imports it when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.estimators.dense_classifier import DenseMemoryClassifier
    from attractor.estimators.graph_anomaly import GraphAnomalyDetector
    from attractor.estimators.graph_classifier import GraphClassifier
    from attractor.estimators.image_completion import ImageCompletion

__all__ = ["DenseMemoryClassifier", "GraphAnomalyDetector", "GraphClassifier", "ImageCompletion"]

MODULES = {
    "DenseMemoryClassifier": "dense_classifier",
    "GraphAnomalyDetector": "graph_anomaly",
    "GraphClassifier": "graph_classifier",
    "ImageCompletion": "image_completion",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
