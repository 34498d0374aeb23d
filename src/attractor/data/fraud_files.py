"""Graphs of fraud in MATLAB files, as YelpChi.mat and Amazon.mat of the literature on graph anomaly detection are kept."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attractor.data.graph_set import GraphSet
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
        ImportError: scipy is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.sparse import issparse
    except ImportError as error:
        raise ImportError("load_fraud_graph needs scipy: pip install 'attractor[sklearn]'") from error
    check_count("unlabelled", unlabelled, 0)
    path = Path(path)
    try:
        check_unpacked(path)
        content: dict[str, Any] = loadmat(path)
    except Exception as error:  # scipy raises errors of many kinds for damaged files
        raise ValueError(f"{str(path)!r} cannot be read as a MATLAB file: {error}") from error
    matrices = {key.removeprefix(RELATION): value for key, value in content.items() if key.startswith(RELATION)}
    missing = [key for key in ("features", "label") if key not in content] + ([] if matrices else [f"{RELATION}..."])
    if missing:
        found = [key for key in content if not key.startswith("__")]
        raise ValueError(f"{str(path)!r} must hold features, label and {RELATION}...; without {', '.join(missing)} it has {found}")
    with np.errstate(over="ignore"):
        features = full("features", content["features"], path).astype(np.float32)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ValueError(f"features must be a matrix of numbers that are finite in float32 in {str(path)!r}")
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
        if not issparse(matrix) or matrix.shape != (len(labels), len(labels)):
            raise ValueError(f"{RELATION}{kind} must be a sparse matrix of {len(labels)} x {len(labels)} in {str(path)!r}")
        coordinates = matrix.tocoo()
        kept = coordinates.data != 0
        relations[kind] = torch.from_numpy(np.stack([coordinates.row[kept], coordinates.col[kept]]).astype(np.int64))
    return GraphSet(torch.from_numpy(features), relations, targets, name or path.stem, source=str(path.name))


def full(entry: str, value: Any, path: Path) -> np.ndarray:
    """An entry of real numbers as an array that is not sparse."""
    if value.dtype.kind not in "biuf":
        raise ValueError(f"{entry} must hold real numbers in {str(path)!r}, got {value.dtype}")
    size = value.dtype.itemsize * int(np.prod([int(length) for length in value.shape], dtype=object))
    if size > MAXIMUM_BYTES:
        raise ValueError(f"{entry} must take at most {MAXIMUM_BYTES:,} bytes in {str(path)!r}, got shape {value.shape}")
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


def check_unpacked(path: Path) -> None:
    """A file holds blocks, each with its kind (15: packed by zlib) and length; together they must not unpack to too much.

    Raises:
        OSError, ValueError, zlib.error: the file cannot be read, is cut off, or too large.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(head := file.read(8)) == 8 and total <= MAXIMUM_BYTES:
            kind, length = (int(number) for number in np.frombuffer(head, f"{order}u4"))
            if kind != 15:
                file.seek(length, 1)
                continue
            unpacker, left = zlib.decompressobj(), length
            while left and total <= MAXIMUM_BYTES:
                packed = file.read(min(left, 2**12))
                if not packed:
                    raise ValueError("it is cut off")
                left -= len(packed)
                total += len(unpacker.decompress(packed))  # 4 KiB unpack to 4 MiB at most
    if total > MAXIMUM_BYTES:
        raise ValueError(f"it unpacks to more than {MAXIMUM_BYTES:,} bytes")
