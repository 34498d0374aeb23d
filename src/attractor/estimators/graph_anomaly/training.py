"""Training of any network that gives the log-odds of each node, with weighted cross-entropy.

The epoch with the greatest area under the ROC curve on the validation nodes is kept, and the threshold with their greatest
macro-F1. (The published code chooses both by macro-F1, by which an early, half-trained epoch often wins.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attractor.estimators.graph_anomaly.sampling import Neighbourhoods
from attractor.nn.energy_transformer.norm import keep_descending
from attractor.validation import finite

THRESHOLDS = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
"""Probabilities above which a node may be called anomalous."""


class NodeGraph(NamedTuple):
    """Features `(n, f)` and edges `(2, e)` of each kind."""

    features: Tensor
    relations: Mapping[str, Tensor]


class Target(NamedTuple):
    """Labels `(n,)` in the precision of the features, and the numbers of the nodes for training and for validation."""

    labels: Tensor
    train: Tensor
    validation: Tensor


class Sampling(NamedTuple):
    """Steps on `batch_size` training nodes with neighbours within `hops`, at most so many of each node and kind."""

    batch_size: int
    hops: int
    neighbours: int


class Best(NamedTuple):
    """The epoch that was kept, its area under the ROC curve on the validation nodes, and the threshold of the log-odds."""

    epoch: int
    area: float
    threshold: float


def train(
    network: nn.Module,
    graph: NodeGraph,
    target: Target,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    anomaly_weight: float,
    sampling: Sampling | None,
    generator: torch.Generator,
    progress: Callable[[float], None] | None = None,
) -> Best:
    """Train `network(features, relations) -> (n,)` by Adam and leave it at the epoch that is best on the validation nodes.

    Nodes for validation are scored in evaluation mode.

    Raises:
        ValueError: weights or scores are not finite any more.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    weight = torch.as_tensor(anomaly_weight, dtype=graph.features.dtype, device=graph.features.device)
    true = target.labels[target.validation] > 0.5
    best, kept = Best(-1, -1.0, 0.0), {}
    draw = batches(graph, target, sampling, generator)
    for epoch in range(epochs):
        try:
            network.train()
            for part, labels in draw():
                optimizer.zero_grad()
                logits = network(*part)[: len(labels)] if sampling else network(*part)[target.train]
                F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight).backward()
                optimizer.step()
                keep_descending(network)
            logits = scores(network, graph)[target.validation]
        except ValueError as error:  # the graph is finite: weights have grown until tokens or log-odds were not
            raise ValueError(f"training diverged at epoch {epoch}: lower learning_rate or anomaly_weight ({error})") from error
        area = area_under_roc(logits, true)
        if area > best.area:
            best = Best(epoch, area, best_threshold(logits, true))
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        if progress is not None:
            progress((epoch + 1) / epochs)
    network.load_state_dict(kept)
    return best


def batches(
    graph: NodeGraph, target: Target, sampling: Sampling | None, generator: torch.Generator
) -> Callable[[], Iterator[tuple[NodeGraph, Tensor]]]:
    """One epoch's parts of the graph with the labels of the training nodes in them, which come first where nodes are sampled."""
    if sampling is None:
        return lambda: iter([(graph, target.labels[target.train])])
    device = graph.features.device
    neighbourhoods = Neighbourhoods({name: edges.cpu() for name, edges in graph.relations.items()}, len(graph.features))

    def draw() -> Iterator[tuple[NodeGraph, Tensor]]:
        order = target.train.cpu()[torch.randperm(len(target.train), generator=generator)]
        for seeds in order.split(sampling.batch_size):
            nodes, relations = neighbourhoods(seeds, hops=sampling.hops, neighbours=sampling.neighbours, generator=generator)
            part = NodeGraph(graph.features[nodes.to(device)], {name: edges.to(device) for name, edges in relations.items()})
            yield part, target.labels[seeds.to(device)]

    return draw


@torch.no_grad()
def scores(network: nn.Module, graph: NodeGraph) -> Tensor:
    """Log-odds `(n,)` of all nodes, in evaluation mode.

    Raises:
        ValueError: they are not finite.
    """
    network.eval()
    logits = network(*graph)
    if not finite(logits):
        raise ValueError(f"X must give finite log-odds, got NaN or infinity at {int((~logits.isfinite()).sum())} nodes")
    return logits


def best_threshold(logits: Tensor, true: Tensor) -> float:
    """The log-odds of that of the `THRESHOLDS` which gives the greatest macro-F1.

    Example:
        >>> round(best_threshold(torch.tensor([-1.0, 0.5, 2.0]), torch.tensor([False, False, True])), 2)
        0.62
    """
    thresholds = THRESHOLDS.logit().tolist()
    values = [macro_f1(logits > threshold, true) for threshold in thresholds]
    return thresholds[max(range(len(values)), key=values.__getitem__)]


def area_under_roc(values: Tensor, true: Tensor) -> float:
    """The probability that an anomalous node has a greater value than a normal one; equal values count half.

    Example:
        >>> area_under_roc(torch.tensor([0.1, 0.2, 0.2, 0.3]), torch.tensor([False, True, False, True]))
        0.875
    """
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts.double() - 1) / 2)[places]
    anomalous = int(true.sum())
    return float(ranks[true].sum() - anomalous * (anomalous + 1) / 2) / (anomalous * (len(true) - anomalous))


def macro_f1(predicted: Tensor, true: Tensor) -> float:
    """The mean over both classes of `2 tp / (2 tp + fp + fn)`; that of a class which is neither there nor predicted is 0.

    Example:
        >>> macro_f1(torch.tensor([True, False, False]), torch.tensor([True, True, False]))
        0.6666666666666666
    """
    wrong = int((predicted != true).sum())
    both = int((predicted & true).sum()), int((~predicted & ~true).sum())
    return sum(2 * right / max(2 * right + wrong, 1) for right in both) / 2
