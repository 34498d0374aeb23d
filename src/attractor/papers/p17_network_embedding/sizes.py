"""How much each scale measures, and the settings of each graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attractor.papers.p17_network_embedding.claims import CONNECTOME, GRAPHS
from attractor.papers.report import Scale

RECALL_SETTINGS: dict[str, Any] = {"memories": 64, "window": 1, "walks": 100, "steps": 1, "batch_size": 105}
CONNECTOME_SETTINGS: dict[str, Any] = {"memories": 32, "window": 1, "walks": 20, "steps": 3, "batch_size": 256}
SETTINGS: dict[str, dict[str, Any]] = {
    CONNECTOME: CONNECTOME_SETTINGS,
    **{name: {"memories": 128, "window": 10} for name in GRAPHS if name != CONNECTOME},
}


@dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        graphs: that nodes are classified in.
        recall_epochs: of training for recall in the connectome.
        epochs: of training; for the connectome, and for the others at least: small ones have more, until they have recalled as many
            nodes as one of 15,000 nodes would.
        walks: of DeepWalk from each node.
        window: of NetMF in graphs of up to 15,000 nodes; 5 in larger ones, and 2 in the connectome, where it is best.
        splits: of labels into training and test.
        seeds: of the embeddings.
        networks: by chance, whose energy is followed.
        steps: of each.
    """

    graphs: tuple[str, ...]
    recall_epochs: int
    epochs: tuple[int, int]
    walks: int
    window: int
    splits: int
    seeds: int
    networks: int
    steps: int


SIZES: dict[Scale, Size] = {
    "smoke": Size((CONNECTOME,), 200, (100, 3), 10, 10, 2, 1, 5, 50),
    "laptop": Size(GRAPHS, 1000, (300, 20), 10, 10, 3, 1, 50, 200),
    "full": Size(GRAPHS, 1500, (300, 40), 40, 10, 10, 3, 50, 200),
}


def epochs_of(name: str, nodes: int, epochs: tuple[int, int]) -> int:
    """How many epochs a graph is trained."""
    return epochs[0] if name == CONNECTOME else max(epochs[1], min(5 * epochs[1], 15_000 * epochs[1] // nodes))
