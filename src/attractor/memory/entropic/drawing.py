"""Draws from the columns of a register, by the distribution of retrieval.

Row `k` of a column with weights `R` is drawn for the cue `v` with a probability in proportion to

    R[k] exp(-(k - v)^2 / (2 s^2)),

in proportion to `R[k]` where the cue is undefined. The exponent is taken relative to the non-zero row nearest to the cue, so that
it never underflows there, however far that row is. Without a width `s` it is the law of the table of bits: where the cell of the
cue is used, a triangle over the run of used cells around it, `(k - a + 1) / (v - a + 1)` from its first cell `a` up to the cue and
likewise down to its last, else all used cells alike.

Cumulative sums of these products are searched by halving. A pair of a column and a cue value that several cues share is computed
once.
"""

from __future__ import annotations

import torch
from torch import Tensor

NUMBERS_AT_ONCE = 2**18
LEAST_EXPONENT = -87.0
FAR = 1e30
"""Stands for the squared distance of a row without weight."""
LEAST_SPREAD, LARGEST_SPREAD = 0.05, 1e9
"""In rows: below and above, no exponent of float32 changes any more."""


def draw(weights: Tensor, owners: Tensor | None, codes: Tensor, spread: float | None, uniforms: Tensor | None) -> Tensor:
    """Draw one row for every column of every cue.

    Args:
        weights: `(r, n, m)`, those of `r` registers.
        owners: `(b,)`, which register each cue asks; None for the first one.
        codes: `(b, n)`, rows of the cues, -1 for undefined.
        spread: standard deviation, in rows; None for the law of the table of bits.
        uniforms: `(b, n)` in [0, 1), one for each draw; None for the most probable row.

    Returns:
        rows `(b, n)`, int64; -1 where a column has no weight.
    """
    registers, columns, values = weights.shape
    # a table of all cue values pays where more cues than these ask
    tabled = len(codes) > registers * (values + 1)
    lines = registers * (values + 1) if tabled else len(codes)
    width = max(1, NUMBERS_AT_ONCE // (lines * values))
    every = torch.arange(values + 1, device=codes.device)
    drawn = torch.empty_like(codes)
    for start in range(0, columns, width):
        part = slice(start, start + width)
        held, asked = weights[:, part], codes[:, part].masked_fill(codes[:, part] < 0, values)
        count = held.shape[1]
        if tabled:
            odds = likelihoods(held[:, :, None], every, spread)
            asked += torch.arange(count, device=asked.device) * (values + 1)
            place = asked if owners is None else asked + (owners * (count * (values + 1)))[:, None]
        else:
            odds = likelihoods(held[0] if owners is None else held[owners], asked, spread)
            place = torch.arange(asked.numel(), device=asked.device).view_as(asked)
        picked = Picker(odds.reshape(-1, values), most_probable=uniforms is None)
        rows = max(1, NUMBERS_AT_ONCE // count)
        for first in range(0, len(codes), rows):
            some = slice(first, first + rows)
            drawn[some, part] = picked(place[some], None if uniforms is None else uniforms[some, part])
    return drawn


def likelihoods(weights: Tensor, cues: Tensor, spread: float | None) -> Tensor:
    """What rows are drawn in proportion to, `(..., m)` for `weights (..., m)` and `cues (...)`, which are `m` where undefined.

    Zero throughout for a column without weight.
    """
    values = weights.shape[-1]
    rows = torch.arange(values, device=weights.device)
    if spread is None:
        return triangles(weights > 0, cues, rows)
    apart = (rows - cues[..., None]).to(torch.float32).square_().masked_fill_((cues == values)[..., None], 0)
    gaps = torch.where(weights > 0, apart, FAR)
    gaps -= gaps.amin(-1, keepdim=True)
    # nothing is drawn at such odds, and numbers below are slow
    width = min(max(spread, LEAST_SPREAD), LARGEST_SPREAD)
    return gaps.div_(-2 * width**2).clamp_(min=LEAST_EXPONENT).exp_().mul_(weights)


def triangles(used: Tensor, cues: Tensor, rows: Tensor) -> Tensor:
    """The odds `(..., m)` of the table of bits, by which of its cells are `used (..., m)`."""
    last = len(rows) - 1
    shape = torch.broadcast_shapes(used.shape[:-1], cues.shape)
    first = torch.where(used, -1, rows).cummax(-1).values + 1
    final = torch.where(used, last + 1, rows).flip(-1).cummin(-1).values.flip(-1) - 1
    mode = cues.clamp(max=last).expand(shape)[..., None]
    on, first, final = (each.expand(*shape, -1).gather(-1, mode) for each in (used, first, final))
    rising, falling = (rows - first + 1) / (mode - first + 1), (final - rows + 1) / (final - mode + 1)
    triangle = torch.minimum(rising, falling).clamp_(min=0)
    alone = on & (cues <= last).expand(shape)[..., None]
    return torch.where(alone, triangle, used.to(triangle))


class Picker:
    """Picks rows by `odds (p, m)`: at random, or the most probable ones; -1 where all odds are zero."""

    def __init__(self, odds: Tensor, *, most_probable: bool):
        self.best = torch.where(odds.amax(-1) == 0, -1, odds.argmax(-1)) if most_probable else None
        values = odds.shape[1]
        # halving needs a power of two; beyond the last row sums grow no more
        self.width = 1 << (values - 1).bit_length()
        sums = odds if most_probable else odds.cumsum(-1)
        if self.width > values:
            sums = torch.cat([sums, sums[:, -1:].expand(-1, self.width - values)], -1)
        self.sums = sums.reshape(-1)

    def __call__(self, place: Tensor, uniforms: Tensor | None) -> Tensor:
        """Rows `(...)` by the odds at `place (...)`, with one of `uniforms (...)` for each where they are drawn."""
        if self.best is not None:
            return self.best[place]
        assert uniforms is not None
        before = place.flatten().to(torch.int32) * self.width - 1
        total = self.sums.index_select(0, before + self.width)
        # above zero, so that a row of next to no odds is not drawn for a uniform number of exactly zero
        target = (1 - uniforms.to(total).flatten()).mul_(total)
        # past all sums below the target: the next one has grown in its row, which has weight therefore
        at, step = before.clone(), self.width
        while step := step >> 1:
            at.add_(self.sums.index_select(0, at + step) < target, alpha=step)
        return at.sub_(before).masked_fill_(total == 0, -1).view_as(place)
