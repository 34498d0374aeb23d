"""FlyModel: the mushroom body of the fruit fly as a continual learner (Shen, Dasgupta and Navlakha 2021).

A fixed sparse projection excites Kenyon cells, the most excited of which answer; in one pass over the items the synapses from them
to the output of the item's class grow, up to 1: `W_c <- min(1, W_c + rate * h)`. Synapses of other classes are never touched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attractor.nn.top_k import largest

READ = 0.1
"""The part of the inputs that a Kenyon cell reads."""

ITEMS_AT_A_TIME = 512


class FlyModel(nn.Module):
    """Kenyon cells and one output for each class.

    Args:
        dim, classes: widths.
        cells: Kenyon cells.
        active: how many of them answer.
        rate: of learning.
        seed: of the projection.
    """

    projection: Tensor
    weights: Tensor

    def __init__(self, dim: int, classes: int, *, cells: int, active: int, rate: float, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        reads = torch.rand(cells, dim, generator=generator).argsort(-1)[:, : max(1, round(READ * dim))]
        self.register_buffer("projection", torch.zeros(cells, dim).scatter_(1, reads, 1.0))
        self.register_buffer("weights", torch.zeros(classes, cells))
        self.active, self.rate = active, rate

    def hidden(self, x: Tensor) -> Tensor:
        """The activations `(b, cells)` for `x (b, dim)`: those of the winners, from 0 to 1."""
        drive = x @ self.projection.T
        winners = largest(drive, self.active)
        top = drive.gather(-1, winners)
        # the least of all activations is 0, as most cells are silent
        top = top / top.amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        return torch.zeros_like(drive).scatter(-1, winners, top)

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(x) @ self.weights.T

    @torch.no_grad()
    def learn(self, items: Tensor, labels: Tensor) -> None:
        """One pass over `items (n, dim)` with classes `labels (n,)`."""
        for some, told in zip(items.split(ITEMS_AT_A_TIME), labels.split(ITEMS_AT_A_TIME), strict=True):
            # all steps go up, so that clipping once is clipping after each
            self.weights.index_add_(0, told, self.hidden(some), alpha=self.rate).clamp_(max=1)
