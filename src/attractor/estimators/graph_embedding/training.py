"""Training of content and context memories on walks: each step touches the rows of its nodes alone, so a step costs the same in a
graph of a thousand nodes and of a million.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding

from attractor.estimators.graph_embedding.network import context_drive, sampled_loss
from attractor.estimators.graph_embedding.walks import Walker


@dataclass(frozen=True)
class Learning:
    """How memories are trained: settings of `HopfieldGraphEmbedding`, which explains them."""

    window: int
    walks: int
    steps: int
    beta: float
    epochs: int
    batch_size: int
    candidates: int
    learning_rate: float


def train(
    adjacency: csr_array,
    content: Tensor,
    context: Tensor,
    starts: Tensor,
    learning: Learning,
    generator: torch.Generator,
    progress: Callable[[float], None] | None = None,
) -> list[float]:
    """Change `content (n, K)` and `context (n, K)` in place; the mean loss of each epoch.

    Args:
        starts: nodes that walks start from, each once in an epoch; each has a way out. Masked is any of the nodes of such a walk
            of the window's length: in each connected part of a graph as many as it has nodes, well connected ones more often.
        generator: on the device of the memories.

    Raises:
        ValueError: the loss is not finite, as with too large a learning rate.
    """
    nodes, device = len(content), content.device
    walker = Walker(adjacency, device)
    weights = [content.requires_grad_(), context.requires_grad_()]
    optimiser = torch.optim.SparseAdam(weights, lr=learning.learning_rate)
    batches = -(-len(starts) // learning.batch_size)
    losses = []
    for epoch in range(learning.epochs):
        total = 0.0
        order = torch.randperm(len(starts), generator=generator, device=device)
        for number, here in enumerate(starts[order].split(learning.batch_size)):
            path = torch.cat([here[:, None], walker.walk(here, learning.window - 1, generator)], 1)
            step = torch.randint(learning.window, (len(here), 1), generator=generator, device=device)
            targets = path.gather(1, step).squeeze(1)
            bags = walker.contexts(targets, learning.window, learning.walks, generator)
            sample = torch.arange(nodes, device=device)
            if learning.candidates < nodes:
                sample = distinct(nodes, learning.candidates, generator)
            loss = sampled_loss(
                embedding(sample, content, sparse=True),
                context_drive(context, bags, sparse=True),
                targets,
                sample,
                embedding(targets, content, sparse=True),
                beta=learning.beta,
                steps=learning.steps,
                nodes=nodes,
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(targets)
            if progress is not None:
                progress((epoch + (number + 1) / batches) / learning.epochs)
        losses.append(total / len(starts))
        if not torch.tensor(losses[-1]).isfinite():
            raise ValueError(
                f"learning_rate must be smaller, training came to a loss of {losses[-1]} with {learning.learning_rate}"
            )
    for one in weights:
        one.requires_grad_(False)
    return losses


def distinct(nodes: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` different nodes, each set of them with the same chance."""
    if nodes < 8 * count:
        return torch.randperm(nodes, generator=generator, device=generator.device)[:count]
    # few of many are seldom drawn twice, and a permutation of all would cost more than the step
    drawn = torch.randint(nodes, (2 * count,), generator=generator, device=generator.device)
    values, place = drawn.unique(return_inverse=True)
    first = torch.full_like(values, len(drawn)).scatter_reduce(0, place, torch.arange(len(drawn), device=drawn.device), "amin")
    return drawn[first.sort().values[:count]]
