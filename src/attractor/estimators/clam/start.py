"""Where prototypes start, for many restarts at once: `(restarts, clusters, features)`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from attractor.estimators.clam.descent import NUMBERS

Start = Literal["k-means++", "k-means", "normal", "random"]
STARTS: tuple[Start, ...] = ("k-means++", "k-means", "normal", "random")
MOST_ROWS = 2**14
"""Rows that seeds are drawn from; more change little and cost `restarts * rows` numbers."""
ITERATIONS = 10
"""Of Lloyd's algorithm: most of what it gains comes first, and training goes on from there."""


def start(points: Tensor, clusters: int, restarts: int, how: Start, generator: torch.Generator) -> Tensor:
    """The first prototypes of each restart.

    Args:
        points: `(n, d)`.
        clusters: of each restart.
        restarts: how many.
        how: `"k-means++"` seeds, `"k-means"` after them, `"random"` rows, or `"normal"` as in the reference code.
        generator: of the draws, on the CPU.
    """
    if how == "normal":
        return (0.1 + 0.1 * torch.randn(restarts, clusters, points.shape[1], generator=generator)).to(points)
    if len(points) > MOST_ROWS:
        points = points[torch.randperm(len(points), generator=generator)[:MOST_ROWS].to(points.device)]
    if how == "random":
        rows = torch.rand(restarts, len(points), generator=generator).topk(clusters, -1).indices
        return points[rows.to(points.device)]
    seeds = far_apart(points, clusters, restarts, generator)
    return seeds if how == "k-means++" else lloyd(points, seeds, ITERATIONS)


def far_apart(points: Tensor, clusters: int, restarts: int, generator: torch.Generator) -> Tensor:
    """Rows drawn with chances as their squared distance to those drawn before (k-means++, Arthur and Vassilvitskii 2007)."""
    squares = points.square().sum(1)
    rows = torch.randint(len(points), (restarts,), generator=generator)
    seeds = [points[rows.to(points.device)]]
    nearest = points.new_full((restarts, len(points)), torch.inf)
    for _ in range(1, clusters):
        last = seeds[-1]
        distances = torch.addmm(squares, last, points.T, alpha=-2) + last.square().sum(1, keepdim=True)
        nearest = torch.minimum(nearest, distances.clamp_min(0))
        # where every row has a seed upon it, any will do
        chances = torch.where(nearest.amax(1, keepdim=True) > 0, nearest, 1.0).cpu()
        seeds.append(points[torch.multinomial(chances, 1, generator=generator).squeeze(1).to(points.device)])
    return torch.stack(seeds, 1)


def lloyd(points: Tensor, centres: Tensor, iterations: int) -> Tensor:
    """Centres `(restarts, k, d)` after some iterations of k-means; one without points stays where it is."""
    at_once = max(1, NUMBERS // (centres.shape[1] * len(points)))
    return torch.cat([_lloyd(points, some, iterations) for some in centres.split(at_once)])


def _lloyd(points: Tensor, centres: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        scores = (centres.flatten(0, 1) @ points.T).view(*centres.shape[:2], -1) - centres.square().sum(-1)[..., None] / 2
        members = torch.zeros_like(scores).scatter(1, scores.argmax(1, keepdim=True), 1.0)
        counts = members.sum(-1, keepdim=True)
        centres = torch.where(counts > 0, members @ points / counts.clamp_min(1), centres)
    return centres
