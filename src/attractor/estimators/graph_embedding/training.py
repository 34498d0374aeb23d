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
from attractor.estimators.graph_embedding.walks import Bags, Walker
from attractor.validation import finite

DECAY = 0.999  # of the mean square of gradients, from one touch of their row to the next
SMALLEST = 1e-12  # unit of a gradient, so that squares that vanish lead nowhere


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


class Rows:
    """The rows of a matrix `(n, K)`, which a step takes out, and moves down their gradient in units of its root mean square.

    Each number has a mean of its own, which runs over the steps that touch its row: Adam without its first moment, which would
    take the memory of one more matrix, and made no embedding of real graphs better. One mean for a whole row made them worse.
    """

    def __init__(self, values: Tensor, rate: float):
        self.values, self.rate = values, rate
        self.square = torch.zeros_like(values)
        self.touched = values.new_zeros(len(values), 1)

    def take(self, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Different rows that are touched `(u,)`, a copy of them `(u, K)` that collects gradients, and the place of each node."""
        rows, place = nodes.unique(return_inverse=True)
        return rows, self.values[rows].requires_grad_(), place

    def move(self, rows: Tensor, taken: Tensor) -> None:
        gradient = taken.grad
        assert gradient is not None
        touched = self.touched[rows] + 1
        square = self.square[rows].mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)
        self.touched.index_copy_(0, rows, touched)
        self.square.index_copy_(0, rows, square)
        unit = square.div_(1 - DECAY**touched).sqrt_().clamp_(min=SMALLEST)
        self.values.index_copy_(0, rows, taken.detach() - gradient.div_(unit).mul_(self.rate))


def train(
    adjacency: csr_array,
    content: Tensor,
    context: Tensor,
    starts: Tensor,
    own: Tensor,
    learning: Learning,
    generator: torch.Generator,
    progress: Callable[[float], None] | None = None,
) -> list[float]:
    """Change `content (n, K)` and `context (n, K)` in place; the mean loss of each epoch.

    Args:
        starts: nodes, each with a way out, from which a walk of the window's length starts in each epoch. One of its nodes is
            masked, and recalled: well connected ones more often, which embeds sparse graphs better.
        own: `(n,)` Boolean, starts that are masked themselves: those that no walk leads to, or that are new.
        generator: on the device of the memories.

    Raises:
        ValueError: the loss or a memory is not finite, as with too large a learning rate.
    """
    nodes, device = len(content), content.device
    walker = Walker(adjacency, device)
    contents, contexts = (Rows(values, learning.learning_rate) for values in (content, context))
    batches = -(-len(starts) // learning.batch_size)
    losses = []
    for epoch in range(learning.epochs):
        total = 0.0
        order = torch.randperm(len(starts), generator=generator, device=device)
        for number, here in enumerate(starts[order].split(learning.batch_size)):
            path = torch.cat([here[:, None], walker.walk(here, learning.window - 1, generator)], 1)
            step = torch.randint(learning.window, (len(here), 1), generator=generator, device=device)
            masked = path.gather(1, step.masked_fill(own[here, None], 0)).squeeze(1)
            bags = walker.contexts(masked, learning.window, learning.walks, generator)
            sample = torch.arange(nodes, device=device)
            if learning.candidates < nodes:
                sample = distinct(nodes, learning.candidates, generator)
            asked, content_rows, place = contents.take(torch.cat([masked, sample]))
            seen, context_rows, inside = contexts.take(bags.nodes)
            loss = sampled_loss(
                embedding(place[len(masked) :], content_rows),
                context_drive(context_rows, Bags(inside, bags.weights)),
                masked,
                sample,
                embedding(place[: len(masked)], content_rows),
                beta=learning.beta,
                steps=learning.steps,
                nodes=nodes,
            )
            loss.backward()
            contents.move(asked, content_rows)
            contexts.move(seen, context_rows)
            total += float(loss.detach()) * len(masked)
            if progress is not None:
                progress((epoch + (number + 1) / batches) / learning.epochs)
        losses.append(total / len(starts))
        if not torch.tensor(losses[-1]).isfinite():
            raise ValueError(diverged(learning.learning_rate))
    if not (finite(content) and finite(context)):
        raise ValueError(diverged(learning.learning_rate))
    return losses


def diverged(rate: float) -> str:
    return f"learning_rate must be smaller, training with {rate} came to numbers that are not finite"


def distinct(nodes: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` different nodes, each set of them with the same chance."""
    if nodes < 8 * count:
        return torch.randperm(nodes, generator=generator, device=generator.device)[:count]
    # few of many are seldom drawn twice, and a permutation of all would cost more than the step
    drawn = torch.randint(nodes, (2 * count + 8,), generator=generator, device=generator.device)
    values, place = drawn.unique(return_inverse=True)
    first = torch.full_like(values, len(drawn)).scatter_reduce(0, place, torch.arange(len(drawn), device=drawn.device), "amin")
    return drawn[first.sort().values[:count]]
