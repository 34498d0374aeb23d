"""Whether a cue speaks for one stored item or resembles nothing stored.

A distance alone does not tell: noise may carry a cue further from its item than unrelated items lie from each other. What tells
is how the cue stands between its item `w` and the runner-up `r`, over the entries that are known:

    resemblance(x) = (s(x, w) - s(x, r)) / (s(w, w) - s(w, r))

The item itself stands at 1, and so does its noisy copy on average, for noise knows no direction; a cue that is as near to one
item as to another stands at 0. How high a cue that is not stored may stand by chance is a matter of the bank: it is measured on
stored items, each left out in turn. A cue that does not correlate with its item, as one of a single colour, stands at 0 at most.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.memory import DenseMemory

LEAST, MOST = 1 / 3, 3 / 4
"""Between these the threshold is chosen."""
LEFT_OUT_BELOW = 0.9
"""Fraction of the items left out that the threshold refuses."""
LEAST_CORRELATION = 0.2
SAMPLE = 128
ROWS_AT_ONCE = 32


@torch.no_grad()
def resemblance(memory: DenseMemory, cues: Tensor, mask: Tensor | None, winners: Tensor) -> Tensor:
    """How clearly each cue `(b, d)` speaks for the item that it was recalled as.

    Args:
        memory: not empty.
        cues: `(b, d)`.
        mask: `(d,)` True where the cues are trusted, None for everywhere.
        winners: ids `(b,)` of the items.
    """
    parts = []
    for some_cues, some_winners in zip(cues.split(ROWS_AT_ONCE), winners.split(ROWS_AT_ONCE), strict=True):
        items = memory.bank.get(some_winners).patterns
        rivals, found = nearest_other(memory, some_cues, mask, items)
        related = correlation(some_cues, items, mask)
        # with nothing to compare, likeness itself must do
        stands = torch.where(found, standing(memory, some_cues, mask, items, rivals), related)
        parts.append(torch.where(related >= LEAST_CORRELATION, stands, stands.clamp_max(0)))
    return torch.cat(parts)


@torch.no_grad()
def threshold_of(memory: DenseMemory, mask: Tensor | None) -> float:
    """The resemblance that nine of ten stored items stay below when they are left out, between `LEAST` and `MOST`."""
    reached = []
    for cues in memory.bank.sample(SAMPLE).patterns.split(ROWS_AT_ONCE):
        items, first = nearest_other(memory, cues, mask, cues)
        rivals, second = nearest_other(memory, cues, mask, cues, items)
        reached.append(standing(memory, cues, mask, items, rivals)[first & second])
    stands = torch.cat(reached)
    return min(MOST, max(LEAST, float(stands.quantile(LEFT_OUT_BELOW)))) if len(stands) else LEAST


def standing(memory: DenseMemory, cues: Tensor, mask: Tensor | None, items: Tensor, rivals: Tensor) -> Tensor:
    """The lead of each cue for its item over its rival, as a part of the item's own; 0 where the two agree in all that is known."""
    known = None if mask is None else mask.expand(len(cues), -1)
    score = memory.similarity.paired
    own = score(items, items, known) - score(items, rivals, known)
    lead = score(cues, items, known) - score(cues, rivals, known)
    return torch.where(own > 0, lead / own.where(own > 0, 1), 0)


def nearest_other(memory: DenseMemory, cues: Tensor, mask: Tensor | None, *others: Tensor) -> tuple[Tensor, Tensor]:
    """The stored item `(b, d)` nearest to each cue that differs from all `others (b, d)`, and whether there is one `(b,)`."""
    nearest = torch.zeros_like(cues)
    found = torch.zeros(len(cues), dtype=torch.bool)
    k = 1 + len(others)
    while not bool(found.all()):
        rest = (~found).nonzero().flatten()
        ids = memory.nearest(cues[rest], k, None if mask is None else mask.expand(len(rest), -1)).ids
        patterns = memory.bank.get(ids.flatten()).patterns.unflatten(0, ids.shape)
        differs = torch.stack([(patterns != other[rest][:, None]).any(-1) for other in others]).all(0)
        some = differs.any(-1)
        nearest[rest[some]] = patterns[some, differs[some].int().argmax(-1)]
        found[rest[some]] = True
        if k >= len(memory):
            break
        k *= 8
    return nearest, found


def correlation(cues: Tensor, items: Tensor, mask: Tensor | None) -> Tensor:
    """Pearson's, over what is known; 0 where either is of one value."""
    if mask is not None:
        cues, items = cues[:, mask], items[:, mask]
    cues, items = (rows - rows.mean(1, keepdim=True) for rows in (cues, items))
    lengths = cues.norm(dim=1) * items.norm(dim=1)
    return torch.where(lengths > 0, (cues * items).sum(1) / lengths.where(lengths > 0, 1), 0)
