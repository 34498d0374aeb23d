"""An inverse temperature for each row: the one at which it looks at a given number of neighbours.

One inverse temperature for all rows is too large where stored rows lie far apart and too small where they crowd. Stochastic
neighbour embedding (Hinton and Roweis 2002) gives every row its own, so that the weights of its neighbours have a given
*perplexity* `exp(H)`, with `H = -sum_mu p_mu log p_mu`: as many neighbours as uniform weights would have. Counted are only the rows
that can help, which know a column that is asked for.

With scores proportional to the inverse temperature, `dH / d log beta = -Var(s)` under the weights, and Newton's steps in `log beta`
need three sums over the rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.estimators.imputer.evidence import Layout
from attractor.estimators.imputer.reading import FLOOR, LEAST, Cue, only_helpful, own_places, read
from attractor.read import Best, Block, Partial, Read, Separation

LEAST_BETA = 1e-3
LONGEST_STEP = 4.0
STEPS = 12
NEAR = 0.35
"""Of `H`: from there one more step ends the search, without another look."""
SAMPLED = 8
LEAST_SAMPLE, LARGEST_SAMPLE = 2**12, 2**18
"""Neighbours and rows of a sample."""
CUES_PER_TILE = 64
"""A tile of scores stays in the cache of a processor."""


class Moments(NamedTuple):
    """Sums `(b, 3)` over rows of `w`, `w t` and `w t^2`, with `t` as the score above `reference (b, 1)` and `w = exp(t)`."""

    reference: Tensor
    sums: Tensor


class Spread(Separation):
    """Entropy and variance `(b, 2)` of the weights `exp(s)` over the rows that know a wanted column.

    Args:
        layout: of the stored rows.
        cue: what is asked.
    """

    name = "spread"
    normalised = False

    def __init__(self, layout: Layout, cue: Cue):
        self.layout = layout
        self.cue = cue

    def partial(self, scores: Tensor, ids: Tensor, rows: Tensor, best: Best) -> Moments:
        knows = rows[:, self.layout.width : self.layout.width + self.layout.columns]
        tiles = range(0, len(scores), CUES_PER_TILE)
        parts = [self.tile(scores[start : start + CUES_PER_TILE], ids, knows, start) for start in tiles]
        return Moments(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def tile(self, scores: Tensor, ids: Tensor, knows: Tensor, start: int) -> Moments:
        cue = self.cue.rows(slice(start, start + len(scores)))
        scores = only_helpful(scores, cue, knows, own_places(cue, ids))
        reference = scores.amax(-1, keepdim=True).clamp_min(FLOOR)
        above = scores.sub_(reference).to(knows.dtype).clamp_min_(LEAST)
        weights = above.exp()
        first = weights * above
        sums = torch.stack([weights.sum(-1), first.sum(-1), first.mul_(above).sum(-1)], -1)
        return Moments(reference.double(), sums.double())

    def merge(self, left: Moments, right: Moments) -> Moments:
        reference = torch.maximum(left.reference, right.reference)
        total = torch.zeros_like(left.sums)
        for part in (left, right):
            shift = part.reference - reference
            zero, one, two = part.sums.split(1, -1)
            total += shift.exp() * torch.cat([zero, one + shift * zero, two + 2 * shift * one + shift.square() * zero], -1)
        return Moments(reference, total)

    def finish(self, body: Moments) -> tuple[Tensor, Tensor]:
        total, first, second = body.sums.unbind(-1)
        mean = first / total
        # where no row can help there is nothing to share the weight
        entropy = torch.where(body.reference.squeeze(-1) > FLOOR, total.log() - mean, 0)
        variance = second / total - mean.square()
        return torch.stack([entropy, variance.clamp_min(0)], -1), body.reference.squeeze(-1) + total.log()

    def potential(self, scores: Tensor) -> Tensor:
        return scores.logsumexp(-1)


class Search:
    """Finds the inverse temperature at which cues have a given number of neighbours.

    Of very many rows a sample is counted that holds `SAMPLED` of these neighbours and more: whether a row looks at 40 or at 50
    changes little, and finding out would take longer than the read itself.

    Args:
        bank: of rows that `layout` coded.
        layout: of the columns.
        neighbours: the perplexity.
    """

    def __init__(self, bank: Bank, layout: Layout, neighbours: float):
        self.layout = layout
        count = max(LEAST_SAMPLE, math.ceil(SAMPLED * len(bank) / neighbours))
        sampled = count <= min(len(bank) / 2, LARGEST_SAMPLE)
        self.rows: Bank | Sample = Sample(bank.sample(count)) if sampled else bank
        self.entropy = math.log(neighbours * (count / len(bank) if sampled else 1))

    def beta(self, cue: Cue, start: Tensor) -> Tensor:
        """The inverse temperature `(b,)` of each cue, by Newton's steps from `start (b,)`, within a bracket.

        Cues that have arrived take no further part. Where no inverse temperature will do it is the nearest: `LEAST_BETA` where
        too few rows can help, `Layout.greatest_beta` where too many are exact copies of what the cue knows.
        """
        low = torch.full_like(start, math.log(LEAST_BETA))
        high = self.layout.greatest_beta(cue.values).log()
        place = start.log().clamp(low, high)
        active = (cue.known.any(1) & cue.wanted.any(1)).nonzero().flatten()
        for _ in range(STEPS):
            if not len(active):
                break
            here = place[active]
            spread = read(self.rows, self.layout, cue.rows(active), here.exp(), lambda one: Spread(self.layout, one))
            excess, variance = spread[:, 0] - self.entropy, spread[:, 1]
            low[active] = torch.where(excess > 0, here, low[active])
            high[active] = torch.where(excess < 0, here, high[active])
            step = (excess / variance.clamp_min(torch.finfo(variance.dtype).tiny)).clamp(-LONGEST_STEP, LONGEST_STEP)
            outside = (here + step <= low[active]) | (here + step >= high[active])
            place[active] = torch.where(outside, (low[active] + high[active]) / 2, here + step)
            active = active[(excess.abs() > NEAR) & (high[active] - low[active] > NEAR)]
        return place.exp()


class Sample:
    """Some rows of a bank, in memory."""

    def __init__(self, block: Block):
        self.block = block

    def fold(self, read: Read) -> Partial:
        starts = range(0, len(self.block.ids), read.rows_per_block)
        parts = (slice(start, start + read.rows_per_block) for start in starts)
        return read.fold(Block(self.block.ids[part], self.block.patterns[part]) for part in parts)
