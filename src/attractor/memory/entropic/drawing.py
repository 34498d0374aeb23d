"""Draws from the columns of a register, by the distribution of retrieval.

Row `k` of a column with weights `R` is drawn for the cue `v` with a probability in proportion to

    R[k] exp(-(k - v)^2 / (2 s^2)),

in proportion to `R[k]` where the cue is undefined. The exponent is taken relative to the non-zero row nearest to the cue, so that
it never underflows there, however far that row is. Cumulative sums of these products are searched by halving. A pair of a column
and a cue value that several cues share is computed once.
"""

from __future__ import annotations

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**18
LEAST_EXPONENT = -87.0
FAR = 1e30
"""Stands for the squared distance of a row without weight."""


def draw(weights: Tensor, owners: Tensor | None, codes: Tensor, spread: float, uniforms: Tensor | None) -> Tensor:
    """Draw one row for every column of every cue.

    Args:
        weights: `(r, n, m)`, those of `r` registers.
        owners: `(b,)`, which register each cue asks; None for the first one.
        codes: `(b, n)`, rows of the cues, -1 for undefined.
        spread: standard deviation, in rows.
        uniforms: `(b, n)` in [0, 1), one for each draw; None for the most probable row.

    Returns:
        rows `(b, n)`, int64; -1 where a column has no weight.
    """
    registers, columns, values = weights.shape
    # a table of all cue values pays where more cues than these ask
    tabled = len(codes) > registers * (values + 1)
    lines = registers * (values + 1) if tabled else len(codes)
    width = max(1, NUMBERS_AT_ONCE // (lines * values))
    squares = squared_distances(values, weights.device)
    drawn = torch.empty_like(codes)
    for start in range(0, columns, width):
        part = slice(start, start + width)
        held, asked = weights[:, part], torch.where(codes[:, part] < 0, values, codes[:, part])
        count = held.shape[1]
        if tabled:
            odds = likelihoods(held[:, :, None], squares, spread)
            asked += torch.arange(count, device=asked.device) * (values + 1)
            place = asked if owners is None else asked + (owners * (count * (values + 1)))[:, None]
        else:
            odds = likelihoods(held[0] if owners is None else held[owners], squares[asked], spread)
            place = torch.arange(asked.numel(), device=asked.device).view_as(asked)
        picked = Picker(odds.reshape(-1, values), most_probable=uniforms is None)
        rows = max(1, NUMBERS_AT_ONCE // count)
        for first in range(0, len(codes), rows):
            some = slice(first, first + rows)
            drawn[some, part] = picked(place[some], None if uniforms is None else uniforms[some, part])
    return drawn


def squared_distances(values: int, device: torch.device) -> Tensor:
    """`(k - v)^2` for each cue value `v` and row `k`, `(m + 1, m)`; zero in the last line, which is for undefined cues."""
    rows = torch.arange(values, device=device, dtype=torch.float32)
    return torch.cat([(rows[:, None] - rows).square(), rows.new_zeros(1, values)])


def likelihoods(weights: Tensor, squares: Tensor, spread: float) -> Tensor:
    """What rows are drawn in proportion to, `(..., m)`; zero throughout for a column without weight."""
    gaps = torch.where(weights > 0, squares, FAR)
    gaps -= gaps.amin(-1, keepdim=True)
    # nothing is drawn at such odds, and numbers below are slow
    return gaps.div_(-2 * spread**2).clamp_(min=LEAST_EXPONENT).exp_().mul_(weights)


class Picker:
    """Picks rows by `odds (p, m)`: at random, or the most probable ones; -1 where all odds are zero."""

    def __init__(self, odds: Tensor, *, most_probable: bool):
        self.values = odds.shape[1]
        self.best = torch.where(odds.amax(-1) == 0, -1, odds.argmax(-1)) if most_probable else None
        self.sums = (odds if most_probable else odds.cumsum(-1)).reshape(-1)

    def __call__(self, place: Tensor, uniforms: Tensor | None) -> Tensor:
        """Rows `(...)` by the odds at `place (...)`, with one of `uniforms (...)` for each where they are drawn."""
        if self.best is not None:
            return self.best[place]
        assert uniforms is not None
        before = place.flatten().to(torch.int32) * self.values - 1
        total = self.sums.index_select(0, before + self.values)
        target = uniforms.to(total).flatten() * total
        # how many sums do not exceed the target: the next one has grown in its row, which has weight therefore
        found = torch.zeros_like(before)
        step = 1 << (self.values - 1).bit_length()
        while step := step >> 1:
            probe = (found + step).clamp_(max=self.values - 1)
            found = torch.where(self.sums.index_select(0, before + probe) <= target, probe, found)
        return torch.where(total > 0, found, -1).view_as(place)
