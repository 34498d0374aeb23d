"""Graphs of fraud in MATLAB files, as YelpChi.mat and Amazon.mat of the literature on graph anomaly detection are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from attractor.data.graph_set import GraphSet

RELATION = "net_"


def load_fraud_graph(path: str | Path, *, unlabelled: int = 0, name: str | None = None) -> GraphSet:
    """A graph from a `.mat` file with the entries `features`, `label` (1 is fraud) and a sparse matrix `net_...` for each relation.

    An entry `homo`, the union of the relations, is passed over: `GraphSet.edges` is the same.

    Args:
        path: the file.
        unlabelled: so many nodes from the first on have no true label, whatever the file says: 3,305 in Amazon.mat.
        name: of the graph. Default: that of the file.

    Raises:
        ValueError: the file cannot be read, an entry is missing, or their sizes disagree.
        ImportError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.sparse import issparse
    except ImportError as error:
        raise ImportError("load_fraud_graph needs scipy: pip install 'attractor[sklearn]'") from error
    path = Path(path)
    try:
        content: dict[str, Any] = loadmat(path)
    except Exception as error:  # scipy raises errors of many kinds for damaged files
        raise ValueError(f"{str(path)!r} cannot be read as a MATLAB file: {error}") from error
    matrices = {key.removeprefix(RELATION): value for key, value in content.items() if key.startswith(RELATION)}
    missing = [key for key in ("features", "label") if key not in content] + ([] if matrices else [f"{RELATION}..."])
    if missing:
        found = [key for key in content if not key.startswith("__")]
        raise ValueError(f"{str(path)!r} must hold features, label and {RELATION}...; without {', '.join(missing)} it has {found}")
    features = content["features"]
    features = np.asarray(features.toarray() if issparse(features) else features, dtype=np.float32)
    labels = np.asarray(content["label"]).reshape(-1).astype(np.int64)
    if not 0 <= unlabelled <= len(labels):
        raise ValueError(f"unlabelled must be between 0 and the {len(labels)} nodes, got {unlabelled}")
    labels[:unlabelled] = -1
    relations = {}
    for kind, matrix in matrices.items():
        if not issparse(matrix) or matrix.shape != (len(labels), len(labels)):
            raise ValueError(f"{RELATION}{kind} must be a sparse matrix of {len(labels)} x {len(labels)} in {str(path)!r}")
        coordinates = matrix.tocoo()
        kept = coordinates.data != 0
        relations[kind] = torch.from_numpy(np.stack([coordinates.row[kept], coordinates.col[kept]]).astype(np.int64))
    return GraphSet(torch.from_numpy(features), relations, torch.from_numpy(labels), name or path.stem, source=str(path.name))
