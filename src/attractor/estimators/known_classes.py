"""The classes that an estimator learns batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import unique_labels


def known_classes(learned: np.ndarray | None, classes: Any, y: np.ndarray) -> np.ndarray:
    """All classes that there will be, sorted, for a call of `partial_fit`.

    Args:
        learned: those of the calls before; None in the first.
        classes: what the call was given; None in a later one for those of before.
        y: its labels.

    Raises:
        ValueError: `classes` missing in the first call or other ones later, or a label that is none of them.

    Example:
        >>> known_classes(None, ["b", "a"], np.array(["b"])).tolist()
        ['a', 'b']
    """
    known: np.ndarray | None = learned if classes is None else unique_labels(classes)
    if known is None:
        raise ValueError("classes must be given in the first call of partial_fit, got None")
    if learned is not None and not np.array_equal(known, learned):
        raise ValueError(f"classes must be those of the first call, {learned.tolist()}, got {known.tolist()}")
    strange = np.setdiff1d(y, known)
    if len(strange):
        raise ValueError(f"y must hold labels of classes only, {known.tolist()}, got {strange.tolist()}")
    return known
