"""Estimators for scikit-learn: classifiers, of dialogues too, a detector of anomalous nodes in graphs, and a classifier of graphs.

Beside them stand `ImageCompletion`, which trains the model that it is given, and, in `attractor.estimators.sequential`, learning
one task after the other.

Only what follows scikit-learn's interface needs scikit-learn, and imports it when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.estimators.clam import ClAM, ClAMSearch, DeepClAMReport, fit_deep_clam, search_clam
    from attractor.estimators.dense_classifier import DenseMemoryClassifier
    from attractor.estimators.emotion_classifier import AssociativeEmotionClassifier
    from attractor.estimators.flyvec import FlyVec, FlyVecVectorizer
    from attractor.estimators.graph_anomaly import GraphAnomalyDetector
    from attractor.estimators.graph_classifier import GraphClassifier
    from attractor.estimators.graph_embedding import HopfieldGraphEmbedding
    from attractor.estimators.image_completion import ImageCompletion
    from attractor.estimators.imputer import AssociativeImputer
    from attractor.estimators.sdm_classifier import SDMClassifier

__all__ = [
    "AssociativeEmotionClassifier",
    "AssociativeImputer",
    "ClAM",
    "ClAMSearch",
    "DeepClAMReport",
    "DenseMemoryClassifier",
    "FlyVec",
    "FlyVecVectorizer",
    "GraphAnomalyDetector",
    "GraphClassifier",
    "HopfieldGraphEmbedding",
    "ImageCompletion",
    "SDMClassifier",
    "fit_deep_clam",
    "search_clam",
]

MODULES = {
    "AssociativeEmotionClassifier": "emotion_classifier",
    "AssociativeImputer": "imputer",
    "ClAM": "clam",
    "ClAMSearch": "clam",
    "DeepClAMReport": "clam",
    "DenseMemoryClassifier": "dense_classifier",
    "FlyVec": "flyvec",
    "FlyVecVectorizer": "flyvec",
    "GraphAnomalyDetector": "graph_anomaly",
    "GraphClassifier": "graph_classifier",
    "HopfieldGraphEmbedding": "graph_embedding",
    "ImageCompletion": "image_completion",
    "SDMClassifier": "sdm_classifier",
    "fit_deep_clam": "clam",
    "search_clam": "clam",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
