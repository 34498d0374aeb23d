"""Graph classification sets in the text files of the TU Dortmund collection (MUTAG, PROTEINS, NCI1...).

A set `DS` is a folder with `DS_A.txt` (an edge `node, node` a line, nodes of all graphs counted from 1), `DS_graph_indicator.txt`
(the graph of each node), `DS_graph_labels.txt`, and, if it has them, `DS_node_labels.txt`, `DS_node_attributes.txt`,
`DS_edge_labels.txt` and `DS_edge_attributes.txt`.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attractor.data.graph_collection import Graph, GraphCollection, one_hot
from attractor.data.molecules import MAXIMUM_BYTES

Table = npt.NDArray[np.float64]
MAXIMUM_ENTRIES = 2**26
"""Of one-hot features: the most numbers that a file of labels may become."""


def read_tu(folder: str | Path) -> GraphCollection:
    """The set whose files lie in `folder`; their common prefix is its name.

    Labels of nodes and edges become one-hot features, attributes follow them as they are. A node without either has its number of
    edges as its only feature.

    Raises:
        FileNotFoundError: a file that every set has is missing.
        ValueError: the folder holds no set or more than one, a file is damaged or larger than 256 MiB, the files do not
            belong together, or there are too many different labels for one-hot features; the message names the file.

    Example:
        >>> import pathlib, tempfile
        >>> files = {"A": "1, 2\\n2, 1\\n", "graph_indicator": "1\\n1\\n2\\n"}
        >>> files |= {"graph_labels": "-1\\n1\\n", "node_labels": "0\\n3\\n0\\n"}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, text in files.items():
        ...         written = pathlib.Path(folder, f"PAIRS_{name}.txt").write_text(text)
        ...     pairs = read_tu(folder)
        >>> pairs, pairs.classes, pairs.graphs[0].node_features
        (GraphCollection('PAIRS', 2 graphs, 2 classes), ('-1', '1'), tensor([[1., 0.],
                [0., 1.]]))
    """
    found = sorted(Path(folder).glob("*_graph_indicator.txt"))
    if len(found) != 1:
        raise ValueError(f"{str(folder)!r} should hold one DS_graph_indicator.txt, found {len(found)}")
    prefix = str(found[0]).removesuffix("graph_indicator.txt")
    graph_of = whole_numbers(read_table(f"{prefix}graph_indicator.txt", columns=1), f"{prefix}graph_indicator.txt")[:, 0]
    given = whole_numbers(read_table(f"{prefix}graph_labels.txt", columns=1), f"{prefix}graph_labels.txt")[:, 0]
    edges = whole_numbers(read_table(f"{prefix}A.txt", columns=2), f"{prefix}A.txt").T - 1
    if (graph_of[1:] < graph_of[:-1]).any() or set(graph_of.tolist()) != set(range(1, len(given) + 1)):
        raise ValueError(f"{prefix}graph_indicator.txt should name graphs 1 to {len(given)} in their order, each at least once")
    if edges.size and not (edges.min() >= 0 and edges.max() < len(graph_of)):
        raise ValueError(f"{prefix}A.txt should join nodes 1 to {len(graph_of)}, got {edges.min() + 1} to {edges.max() + 1}")
    crossing = np.flatnonzero(graph_of[edges[0]] != graph_of[edges[1]])
    if len(crossing):
        raise ValueError(f"{prefix}A.txt, line {crossing[0] + 1}: an edge should join two nodes of one graph")
    nodes = read_features(prefix, "node", len(graph_of))
    if nodes is None:
        nodes = torch.from_numpy(np.bincount(edges[0], minlength=len(graph_of))).to(torch.float32)[:, None]
    kinds = read_features(prefix, "edge", edges.shape[1])
    owner = graph_of[edges[0]]
    order = torch.from_numpy(np.argsort(owner, kind="stable"))
    bounds = np.arange(1, len(given) + 2)
    firsts = np.searchsorted(graph_of, bounds).tolist()
    parts = zip(order.split(np.diff(np.searchsorted(np.sort(owner), bounds)).tolist()), pairwise(firsts), strict=True)
    joined = torch.from_numpy(edges)
    graphs = [
        Graph(nodes[first:last], joined[:, mine] - first, None if kinds is None else kinds[mine]) for mine, (first, last) in parts
    ]
    classes, labels = np.unique(given, return_inverse=True)
    name = Path(prefix).name.rstrip("_")
    return GraphCollection(
        tuple(graphs), torch.from_numpy(labels), tuple(map(str, classes.tolist())), name, source="files of the user"
    )


def read_features(prefix: str, of: str, rows: int) -> Tensor | None:
    """Labels, one-hot, and attributes of nodes or edges; None where the set has neither."""
    parts = []
    for what in ("labels", "attributes"):
        path = Path(f"{prefix}{of}_{what}.txt")
        if not path.exists():
            continue
        table = read_table(path)
        if len(table) != rows:
            raise ValueError(f"{str(path)!r} should have {rows} lines, one for each {of}, got {len(table)}")
        if what == "attributes":
            parts.append(torch.from_numpy(table).to(torch.float32))
            continue
        for column in whole_numbers(table, path).T:
            labels, numbers = np.unique(column, return_inverse=True)
            if rows * len(labels) > MAXIMUM_ENTRIES:
                raise ValueError(f"{str(path)!r} should have fewer different labels for {rows} lines, got {len(labels)}")
            parts.append(one_hot(numbers.tolist(), len(labels)))
    return torch.cat(parts, 1) if parts else None


def read_table(path: str | Path, *, columns: int | None = None) -> Table:
    """Comma-separated finite numbers, `(lines, columns)`."""
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing: every set has it")
    if place.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(path)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    if not place.stat().st_size:
        return np.empty((0, columns or 1))
    try:
        table = np.loadtxt(place, delimiter=",", dtype=np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    if not np.isfinite(table).all() or (columns is not None and table.shape[1] != columns):
        raise ValueError(f"{str(path)!r} should hold {columns or 'some'} finite numbers a line, got {table.shape[1]}")
    return table


def whole_numbers(table: Table, path: str | Path) -> npt.NDArray[np.int64]:
    if (table != np.rint(table)).any():
        raise ValueError(f"{str(path)!r} should hold whole numbers")
    return table.astype(np.int64)
