"""Which nodes are normal, anomalous or unknown, and which of them are learned from."""

from __future__ import annotations

from typing import Any

import numpy as np

NORMAL, ANOMALOUS, UNKNOWN = 0, 1, -1


def checked_labels(y: Any, nodes: int) -> np.ndarray:
    """Labels `(n,)` int64 of -1, 0 and 1."""
    labels = np.asarray(y)
    if labels.shape != (nodes,):
        raise ValueError(f"y must have shape ({nodes},), one label for each row of X, got {labels.shape}")
    if labels.dtype.kind not in "iub":
        raise TypeError(f"y must hold integers or Booleans, got {labels.dtype}")
    labels = labels.astype(np.int64)
    strange = np.setdiff1d(labels, (UNKNOWN, NORMAL, ANOMALOUS))
    if len(strange):
        raise ValueError(f"y must hold 0 (normal), 1 (anomalous) and -1 (unknown), got {strange[:8].tolist()}")
    return labels


def check_classes(name: str, labels: np.ndarray) -> None:
    """Both classes must be there: without one of them the weight of the classes is not finite."""
    for label, word in ((NORMAL, "normal (0)"), (ANOMALOUS, "anomalous (1)")):
        if not (labels == label).any():
            raise ValueError(f"{name} must hold both classes, got none that is {word} among {len(labels)} labelled nodes")


def parts(
    labels: np.ndarray, train_mask: Any, validation_mask: Any, fraction: float, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Masks `(n,)` of the nodes for training and for validation."""
    known = labels != UNKNOWN
    training = known if train_mask is None else checked_mask("train_mask", train_mask, known)
    if validation_mask is None:
        check_classes("y" if train_mask is None else "train_mask", labels[training])
        validation = held_out(labels, training, fraction, random)
    else:
        validation = checked_mask("validation_mask", validation_mask, known)
        overlap = 0 if train_mask is None else int((training & validation).sum())
        if overlap:
            raise ValueError(f"train_mask and validation_mask must not overlap, got {overlap} nodes in both")
    training = training & ~validation
    for name, part in (("training", training), ("validation", validation)):
        check_classes(f"the nodes for {name}", labels[part])
    return training, validation


def checked_mask(name: str, mask: Any, known: np.ndarray) -> np.ndarray:
    """A mask `(n,)` of labelled nodes."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must be Boolean, got {array.dtype}")
    if array.shape != known.shape:
        raise ValueError(f"{name} must have shape {known.shape}, got {array.shape}")
    if (array & ~known).any():
        raise ValueError(f"{name} must choose labelled nodes, got {(array & ~known).sum()} with the label -1")
    return array


def held_out(labels: np.ndarray, pool: np.ndarray, fraction: float, random: np.random.RandomState) -> np.ndarray:
    """A share of the nodes of each class in the pool."""
    held = np.zeros_like(pool)
    for label in (NORMAL, ANOMALOUS):
        members = (pool & (labels == label)).nonzero()[0]
        count = round(fraction * len(members))
        if not 0 < count < len(members):
            raise ValueError(
                f"validation_fraction must leave nodes of each class for training and for validation, "
                f"got {fraction}: {count} of {len(members)} nodes labelled {label}"
            )
        held[random.permutation(members)[:count]] = True
    return held
