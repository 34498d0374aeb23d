"""Estimators: a classifier for scikit-learn; and in `attractor.estimators.sequential`, learning one task after the other.

Only what follows scikit-learn's interface needs scikit-learn, and imports it when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attractor.estimators.dense_classifier import DenseMemoryClassifier

__all__ = ["DenseMemoryClassifier"]


def __getattr__(name: str) -> Any:
    if name != "DenseMemoryClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from attractor.estimators.dense_classifier import DenseMemoryClassifier

    return DenseMemoryClassifier
