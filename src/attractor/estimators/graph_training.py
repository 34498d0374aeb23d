"""Training of a classifier of graphs: AdamW on batches of graphs of similar size, with warm-up, a cosine and clipped gradients.

The signs of positions are drawn anew for each graph and step, as an eigenvector has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from attractor.nn.energy_transformer.graphs import TokenGraph, batches, collate, flipped, moved
from attractor.nn.energy_transformer.graphs_model import GraphEnergyTransformer
from attractor.nn.energy_transformer.norm import keep_descending

BETAS = (0.9, 0.99)
CLIP = 1.0
LAST_RATE = 0.005
"""What is left of the learning rate at the end."""


def train(
    model: GraphEnergyTransformer,
    tokens: Sequence[TokenGraph],
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    warm_up: float,
    weight_decay: float,
    label_smoothing: float,
    device: str | torch.device,
    generator: torch.Generator,
    progress: Callable[[float], None] | None = None,
) -> list[float]:
    """Train the model in place and leave it in evaluation; the mean loss of each epoch.

    Raises:
        ValueError: the loss or its gradient is not finite, as with too large a learning rate.
    """
    sizes = [len(one.positions) for one in tokens]
    # a stream of its own: with the seed of the weights, noise would repeat the numbers they were drawn from
    noise = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
    optimiser = torch.optim.AdamW(model.parameters(), learning_rate, BETAS, weight_decay=weight_decay)
    steps = epochs * math.ceil(len(tokens) / batch_size)
    schedule = LambdaLR(optimiser, lambda step: rate((step + 1) / steps, warm_up))
    diverged = f"learning_rate must be smaller, training came to a loss that is not finite with {learning_rate}"
    losses = []
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(sizes, batch_size, generator):
            batch = moved(flipped(collate([tokens[row] for row in rows]), generator), device)
            try:
                scores = model(batch, generator=noise)
            except ValueError as error:
                # the graphs are finite: weights have grown until tokens were not
                raise ValueError(diverged) from error
            loss = cross_entropy(scores, labels[rows].to(device), label_smoothing=label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            slope = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            if not bool(loss.isfinite() & slope.isfinite()):
                raise ValueError(diverged)
            optimiser.step()
            keep_descending(model)
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(tokens))
        if progress is not None:
            progress((epoch + 1) / epochs)
    model.eval()
    return losses


def rate(done: float, warm_up: float) -> float:
    """The factor of the learning rate: a straight rise to 1, then a cosine down to `LAST_RATE`.

    Example:
        >>> [round(rate(done, 0.2), 3) for done in (0.1, 0.2, 1.0)]
        [0.5, 1.0, 0.005]
    """
    if done < warm_up:
        return done / warm_up
    fallen = (1 - math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
    return 1 - (1 - LAST_RATE) * fallen
