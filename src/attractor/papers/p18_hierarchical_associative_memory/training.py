"""Training by unrolled relaxation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.energy.network import EnergyNetwork
from attractor.papers.parts import Tell


@dataclass(frozen=True)
class Schedule:
    """How long to train, in batches of which size, at which learning rate at first."""

    epochs: int
    batch: int
    rate: float


def train(
    network: EnergyNetwork,
    loss: Callable[[Tensor], Tensor],
    count: int,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    tell: Tell,
) -> None:
    """Adam on `loss(rows)`, where `rows` are the numbers of a batch out of `count` items, in another order each epoch.

    The rate falls to zero along a half cosine: at a constant one, the last steps alone decide a percent of the digits.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, schedule.epochs)
    for epoch in range(schedule.epochs):
        tell(epoch / schedule.epochs)
        for rows in torch.randperm(count, generator=generator).split(schedule.batch):
            optimiser.zero_grad()
            loss(rows).backward()
            optimiser.step()
        falling.step()


def part_of(tell: Tell, number: int, count: int) -> Tell:
    """Reports the progress of one training as that of `count` of them."""
    return lambda done: tell((number + done) / count)
