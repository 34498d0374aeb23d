"""Training of any network that gives the log-odds of each node, with weighted cross-entropy.

The epoch with the greatest area under the ROC curve on the validation nodes is kept, and the threshold with their greatest
macro-F1. (The published code chooses both by macro-F1, by which an early, half-trained epoch often wins.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attractor.estimators.graph_anomaly.sampling import Neighbourhoods
from attractor.nn.energy_transformer import EnergyLayerNorm

THRESHOLDS = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
"""Probabilities above which a node may be called anomalous."""
LEAST_GAIN = 1e-3


class Graph(NamedTuple):
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
    graph: Graph,
    target: Target,
    *,
    epochs: int,
    learning_rate: float,
    weight_decay: float,
    anomaly_weight: float,
    sampling: Sampling | None,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Best:
    """Train `network(features, relations) -> (n,)` by Adam and leave it at the epoch that is best on the validation nodes.

    Nodes for validation are scored in evaluation mode.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    weight = torch.as_tensor(anomaly_weight, dtype=graph.features.dtype, device=graph.features.device)
    true = target.labels[target.validation] > 0.5
    best, kept = Best(-1, -1.0, 0.0), {}
    draw = batches(graph, target, sampling, torch.Generator().manual_seed(seed))
    for epoch in range(epochs):
        network.train()
        for part, labels in draw():
            optimizer.zero_grad()
            logits = network(*part)[: len(labels)] if sampling else network(*part)[target.train]
            F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight).backward()
            optimizer.step()
            keep_descending(network)
        logits = scores(network, graph)[target.validation]
        area = area_under_roc(logits, true)
        if area > best.area:
            best = Best(epoch, area, best_threshold(logits, true))
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        if progress is not None:
            progress((epoch + 1) / epochs)
    network.load_state_dict(kept)
    return best


@torch.no_grad()
def keep_descending(network: nn.Module) -> None:
    """Gains of energy layer norms stay positive: with a negative one the energy would rise."""
    for module in network.modules():
        if isinstance(module, EnergyLayerNorm):
            module.gain.clamp_(min=LEAST_GAIN)


def batches(
    graph: Graph, target: Target, sampling: Sampling | None, generator: torch.Generator
) -> Callable[[], Iterator[tuple[Graph, Tensor]]]:
    """One epoch's parts of the graph with the labels of the training nodes in them, which come first where nodes are sampled."""
    if sampling is None:
        return lambda: iter([(graph, target.labels[target.train])])
    device = graph.features.device
    neighbourhoods = Neighbourhoods({name: edges.cpu() for name, edges in graph.relations.items()}, len(graph.features))

    def draw() -> Iterator[tuple[Graph, Tensor]]:
        order = target.train.cpu()[torch.randperm(len(target.train), generator=generator)]
        for seeds in order.split(sampling.batch_size):
            nodes, relations = neighbourhoods(seeds, hops=sampling.hops, neighbours=sampling.neighbours, generator=generator)
            part = Graph(graph.features[nodes.to(device)], {name: edges.to(device) for name, edges in relations.items()})
            yield part, target.labels[seeds.to(device)]

    return draw


@torch.no_grad()
def scores(network: nn.Module, graph: Graph) -> Tensor:
    """Log-odds `(n,)` of all nodes, in evaluation mode."""
    network.eval()
    return network(*graph)


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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Modules made and trained within draw from this seed; the global generators are as before afterwards."""
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        torch.manual_seed(seed)
        yield
