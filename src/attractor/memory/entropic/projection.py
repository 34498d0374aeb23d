"""Projections of objects through a relation, and the choice of a value by them."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from attractor.memory.entropic.drawing import Picker
from attractor.memory.entropic.recognition import Undefined, column_means

Method = Literal["random", "sample-and-test", "search-and-test"]
METHODS: tuple[Method, ...] = ("random", "sample-and-test", "search-and-test")


def check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")


class Projector:
    """Projects objects on both sides of a relation.

    Args:
        weights: `(n, p, m, q)`.
        iota: a cell is in memory from this share of the mean of the used cells of its plane.
        xi: how many planes may miss a cell of a projection.
        undefined: whether undefined columns miss.
    """

    def __init__(self, weights: Tensor, iota: float, xi: int, undefined: Undefined):
        self.n, self.p, self.m, self.q = weights.shape
        self.xi, self.undefined = xi, undefined
        used = weights > 0
        if iota:
            used &= weights >= (iota * column_means(weights.flatten(2)))[:, :, None, None]
        self._weights, self._used = weights, used

    @cached_property
    def _forth(self) -> tuple[Tensor, Tensor]:
        return lines(self._weights, (0, 2, 1, 3)), lines(self._used, (0, 2, 1, 3))

    @cached_property
    def _back(self) -> tuple[Tensor, Tensor]:
        """As large as the tables of the way forth, and not needed where nothing is tested."""
        return lines(self._weights, (1, 3, 0, 2)), lines(self._used, (1, 3, 0, 2))

    def forward(self, codes: Tensor) -> Tensor:
        """`(b, p, q)` from `codes (b, n)`, -1 where undefined."""
        return self._projected(self._forth, codes, self.m).view(-1, self.p, self.q)

    def back(self, values: Tensor) -> Tensor:
        """`(b, n, m)` from `values (b, p)`."""
        return self._projected(self._back, values, self.q).view(-1, self.n, self.m)

    def distance(self, values: Tensor, codes: Tensor) -> Tensor:
        """How far the projections of `values (b, p)` lie from `codes (b, n)`, `(b,)`.

        The mean over defined columns of `sum_k p_i(k) (k - a_i)^2`; a column without weight is as far as it can be.
        """
        projected = self.back(values)
        rows = torch.arange(self.m, device=codes.device)
        squares = (rows - codes[..., None]).square().to(projected)
        total = projected.sum(-1)
        apart = torch.where(total > 0, (projected * squares).sum(-1) / total.clamp_min(1), float((self.m - 1) ** 2))
        defined = codes >= 0
        return (apart * defined).sum(-1) / defined.sum(-1).clamp_min(1)

    def _projected(self, tables: tuple[Tensor, Tensor], codes: Tensor, values: int) -> Tensor:
        columns = codes.shape[1]
        place = codes.clamp_min(0) + torch.arange(columns, device=codes.device) * values
        defined = (codes >= 0).to(torch.float32)
        sums, held = (embedding_bag(place, table, mode="sum", per_sample_weights=defined) for table in tables)
        asked = defined.sum(-1, keepdim=True) if self.undefined == "ignore" else float(columns)
        return torch.where(asked - held <= self.xi, sums, 0)


def lines(table: Tensor, order: tuple[int, int, int, int]) -> Tensor:
    """The table as float32 with one line for each cell of its first two dimensions in `order`."""
    return table.permute(order).to(torch.float32).flatten(2).flatten(0, 1).contiguous()


def choose(projector: Projector, projection: Tensor, codes: Tensor, uniforms: Tensor, method: Method) -> tuple[Tensor, Tensor]:
    """A value for each cue.

    Args:
        projection: `(b, p, q)` of the cues.
        codes: `(b, n)` of the cues.
        uniforms: `(b, k, p)` in [0, 1), for `k` samples.

    Returns:
        values `(b, p)`, and how often each was chosen or moved, `(b,)`.
    """
    cues, samples, columns = uniforms.shape
    place = torch.arange(cues * columns, device=codes.device).view(cues, 1, columns).expand(-1, samples, -1)
    drawn = Picker(projection.reshape(cues * columns, -1), most_probable=False)(place, uniforms).clamp_min(0).to(torch.int64)
    steps = codes.new_ones(cues)
    if method == "random":
        return drawn[:, 0], steps
    distances = projector.distance(drawn.flatten(0, 1), codes.repeat_interleave(samples, 0)).view(cues, samples)
    nearest, best = distances.min(-1)
    values = drawn[torch.arange(cues, device=codes.device), best]
    if method == "search-and-test":
        moving = torch.arange(cues, device=codes.device)
        while len(moving):
            moved, reached = step(projector, projection[moving], codes[moving], values[moving], nearest[moving])
            nearer = reached < nearest[moving]
            moving, moved, reached = moving[nearer], moved[nearer], reached[nearer]
            values[moving], nearest[moving] = moved, reached
            steps[moving] += 1
    return values, steps


def step(projector: Projector, projection: Tensor, codes: Tensor, values: Tensor, nearest: Tensor) -> tuple[Tensor, Tensor]:
    """The best of all values that differ by one row in one column and are in the projection, and its distance."""
    cues, columns = values.shape
    one = torch.eye(columns, dtype=values.dtype, device=values.device)
    tried = values[:, None] + torch.cat([one, -one])
    inside = (tried >= 0) & (tried < projector.q)
    tried = torch.where(inside, tried, values[:, None])
    held = projection.gather(2, tried.transpose(1, 2)).transpose(1, 2) > 0
    allowed = (held & inside).all(-1)
    every = projector.distance(tried.flatten(0, 1), codes.repeat_interleave(2 * columns, 0)).view(cues, -1)
    every = torch.where(allowed, every, torch.inf)
    # a move counts when it is nearer by more than rounding, so that the search ends
    reached, best = every.min(-1)
    reached = torch.where(reached < nearest * (1 - 1e-6), reached, torch.inf)
    return tried[torch.arange(cues, device=values.device), best], reached
