"""How much each scale measures, and the settings that are tried on each graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attractor.papers.p17_network_embedding.claims import CONNECTOME, GRAPHS
from attractor.papers.report import Scale

Settings = dict[str, Any]
HOPFIELD, NETMF, DEEPWALK = "Hopfield embedding", "NetMF", "DeepWalk"
SINGULAR, EDGES = "SVD of the edges", "rows of edges"
METHODS = (HOPFIELD, NETMF, DEEPWALK, SINGULAR, EDGES)
RANDOM = (HOPFIELD, DEEPWALK)
LARGE = 15_000  # nodes
RECALL_SETTINGS: Settings = {"width": 64, "window": 1, "walks": 100, "steps": 1, "batch_size": 105}
CONNECTOME_SETTINGS: Settings = {"walks": 20, "batch_size": 256}


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        graphs: that nodes are classified in.
        recall_epochs: of training for recall in the connectome.
        epochs: of training; for the connectome, and for the others at least: small ones have more, until they have recalled as many
            nodes as one of 15,000 nodes would.
        walks: of DeepWalk from each node.
        choice: most nodes of graphs in which DeepWalk has a choice of its window, which costs most of the time.
        splits: of labels into training and test, for each seed.
        seeds: of embeddings and splits; of the connectome, of each of the others, and of the other tasks.
        networks: by chance, whose energy is followed.
        steps: of each.
    """

    graphs: tuple[str, ...]
    recall_epochs: int
    epochs: tuple[int, int]
    walks: int
    choice: int
    splits: int
    seeds: tuple[int, int, int]
    networks: int
    steps: int


SIZES: dict[Scale, Size] = {
    "smoke": Size((CONNECTOME,), 200, (100, 3), 10, 5000, 2, (3, 1, 1), 5, 50),
    "laptop": Size(GRAPHS, 1000, (300, 20), 10, 5000, 4, (10, 3, 3), 50, 200),
    "full": Size(GRAPHS, 1500, (300, 40), 40, LARGE, 10, (20, 10, 5), 50, 200),
}


def width(name: str) -> int:
    """Of embeddings of a graph."""
    return 32 if name == CONNECTOME else 128


def epochs_of(name: str, nodes: int, epochs: tuple[int, int]) -> int:
    """How many epochs a graph is trained."""
    return epochs[0] if name == CONNECTOME else max(epochs[1], min(5 * epochs[1], LARGE * epochs[1] // nodes))


def settings_of(name: str, method: str, nodes: int, size: Size) -> list[Settings]:
    """What is tried for a method on a graph; labels of training nodes choose from it. No method has more than six."""
    small = name == CONNECTOME
    if method == HOPFIELD:
        tried: list[Settings] = [{"window": window, "steps": steps} for window, steps in ((10, 1), (5, 1), (10, 2))]
        if small:
            tried = [{"window": 1, "steps": steps, "beta": beta} for steps in (3, 2) for beta in (2.0, 1.0)]
        common = {"epochs": epochs_of(name, nodes, size.epochs), **(CONNECTOME_SETTINGS if small else {})}
        return [{**each, **common} for each in tried]
    if method == NETMF:
        pairs = (
            [(1, 1.0), (1, 0.5), (2, 1.0), (2, 0.5), (5, 1.0), (10, 1.0)] if small else [(2, 1.0), (5, 1.0), (10, 1.0), (10, 0.5)]
        )
        return [{"window": window, "negative": negative} for window, negative in pairs if window <= 5 or nodes <= LARGE]
    if method == DEEPWALK:
        common = {"walks": 4 * size.walks, "epochs": 5} if small else {"walks": size.walks}
        return [{"window": window, **common} for window in ((2, 5, 10) if small else (5, 10) if nodes <= size.choice else (5,))]
    return [{}]
