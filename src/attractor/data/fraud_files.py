"""Graphs of fraud in MATLAB files, as YelpChi.mat and Amazon.mat of the literature on graph anomaly detection are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from attractor.data.graph_set import GraphSet
from attractor.data.matlab import Matrix, SparseMatrix, read_matlab
from attractor.validation import check_count

RELATION = "net_"
MAXIMUM_BYTES = 2**31
"""Most that a file, or its features as a full matrix, may take in memory."""


def load_fraud_graph(path: str | Path, *, unlabelled: int = 0, name: str | None = None) -> GraphSet:
    """A graph from a `.mat` file with the entries `features`, `label` (1 is fraud) and a sparse matrix `net_...` for each relation.

    A row of a relation attends to the columns of its entries. An entry `homo`, the union of the relations, is passed over:
    `GraphSet.edges` is the same.

    Args:
        path: the file, of MATLAB 5 to 7.2; unpacked it may take 2 GiB.
        unlabelled: so many nodes from the first on have no true label, whatever the file says: 3,305 in Amazon.mat.
        name: of the graph. Default: that of the file.

    Raises:
        TypeError: `unlabelled` is no integer.
        ValueError: the file cannot be read or is too large, an entry is missing or of another kind, or their sizes disagree.
    """
    check_count("unlabelled", unlabelled, 0)
    path = Path(path)
    try:
        content = read_matlab(path, is_wanted, MAXIMUM_BYTES)
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a MATLAB file: {error}") from error
    matrices = {key.removeprefix(RELATION): value for key, value in content.items() if key.startswith(RELATION)}
    missing = [key for key in ("features", "label") if key not in content] + ([] if matrices else [f"{RELATION}..."])
    if missing:
        raise ValueError(f"{str(path)!r} must hold features, label and {RELATION}..., it is without {', '.join(missing)}")
    with np.errstate(over="ignore"):
        features = full("features", content["features"], path).astype(np.float32)
    if not np.isfinite(features).all():
        raise ValueError(f"features must be finite in float32 in {str(path)!r}")
    labels = full("label", content["label"], path).reshape(-1)
    if unlabelled > len(labels):
        raise ValueError(f"unlabelled must be between 0 and the {len(labels)} nodes, got {unlabelled}")
    if not np.isin(labels[unlabelled:], (0, 1)).all():
        raise ValueError(f"label must hold 0 and 1 in {str(path)!r}, got {np.setdiff1d(labels[unlabelled:], (0, 1))[:8].tolist()}")
    if len(features) != len(labels):
        raise ValueError(f"features and label must have as many nodes in {str(path)!r}, got {len(features)} and {len(labels)}")
    targets = torch.full((len(labels),), -1)
    targets[unlabelled:] = torch.from_numpy(labels[unlabelled:].astype(np.int64))
    relations = {}
    for kind, matrix in matrices.items():
        if not isinstance(matrix, SparseMatrix) or matrix.shape != (len(labels), len(labels)):
            raise ValueError(f"{RELATION}{kind} must be a sparse matrix of {len(labels)} x {len(labels)} in {str(path)!r}")
        kept = matrix.values != 0
        relations[kind] = torch.from_numpy(np.stack([matrix.rows[kept], matrix.columns[kept]]))
    return GraphSet(torch.from_numpy(features), relations, targets, name or path.stem, source=str(path.name))


def is_wanted(name: str) -> bool:
    return name in ("features", "label") or name.startswith(RELATION)


def full(entry: str, value: Matrix, path: Path) -> np.ndarray:
    """An entry as an array that is not sparse."""
    if isinstance(value, np.ndarray):
        return value
    rows, columns = value.shape
    if rows * columns * value.values.dtype.itemsize > MAXIMUM_BYTES:
        raise ValueError(f"{entry} must take at most {MAXIMUM_BYTES:,} bytes in {str(path)!r}, got shape {value.shape}")
    return value.full()
