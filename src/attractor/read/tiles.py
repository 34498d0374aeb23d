"""The soft-max fold in place, for reads that compare whole cues by dot product or Euclidean distance.

It gives what `Read.fold` gives, with fewer passes over memory. The scores of a block are written tile by tile, and each tile is
weighed and read out while its patterns are still in the processor's cache. Weights are taken relative to the best score of the
first rows, which a later tile raises only where its scores would overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.read.best import Best
from attractor.read.block import Block
from attractor.read.fold import Partial, Read
from attractor.read.separation import SoftMax, Weighted
from attractor.read.similarity import Dot, Euclidean

CUES_AT_ONCE = 512
SCORES_PER_TILE = 2**19
LEAST_ROWS_PER_TILE = 8192
GROUP = 32
SAFE_LOGIT = 60.0
ROWS_FOR_REFERENCE = 1024
LARGEST_TERM = 256.0
"""Of the logits: tiles round `beta cues` once more than the formula does, which near-tied cues would show beyond this."""


def fits_tiles(read: Read, block: Block) -> bool:
    """Whether `fold_tiles` can answer this read as exactly as the formula does."""
    patterns = block.patterns
    return (
        len(block) > 0
        and isinstance(read.separation, SoftMax)
        and type(read.similarity) in (Dot, Euclidean)
        and read.known is None
        and patterns.device.type == "cpu"
        and patterns.dtype in (torch.float32, torch.float64)
        and read.cues.dtype == patterns.dtype
        and not needs_gradient(read, patterns)
        and read.separation.number * longest_square(read, block) <= LARGEST_TERM
    )


def longest_square(read: Read, block: Block) -> float:
    """The largest squared length of a cue or a pattern."""
    return max(float(read.cues.square().sum(-1).amax()), float(block.squared_norms.amax()))


def needs_gradient(read: Read, patterns: Tensor) -> bool:
    beta = getattr(read.separation, "beta", None)
    wanted = read.cues.requires_grad or patterns.requires_grad or (isinstance(beta, Tensor) and beta.requires_grad)
    return torch.is_grad_enabled() and wanted


def fold_tiles(read: Read, block: Block) -> Partial:
    """Fold `read` over `block`, which may be a whole bank: the scores of one tile are held at a time."""
    if len(read.cues) > CUES_AT_ONCE:
        return joined([fold_tiles(read.with_cues(some), block) for some in read.cues.split(CUES_AT_ONCE)])
    assert isinstance(read.separation, SoftMax)
    beta = read.separation.number
    cues, patterns, rows = read.cues * beta, block.patterns, read.rows(block)
    bias = None if type(read.similarity) is Dot else block.squared_norms * (-beta / 2)
    count, size = len(block), len(cues)
    tile = max(LEAST_ROWS_PER_TILE, SCORES_PER_TILE // size // GROUP * GROUP)
    logits, maxima = patterns.new_empty(size, min(tile, count)), patterns.new_empty(size, -(-count // GROUP))
    total, drawn = patterns.new_zeros(size, 1), rows.new_zeros(size, rows.shape[1])
    reference = first_reference(cues, patterns[:ROWS_FOR_REFERENCE], None if bias is None else bias[:ROWS_FOR_REFERENCE])
    for start in range(0, count, tile):
        stop = min(start + tile, count)
        part = logits[:, : stop - start]
        if bias is None:
            part.copy_(-reference)
        else:
            torch.sub(bias[start:stop], reference, out=part)
        part.addmm_(cues, patterns[start:stop].T)
        best = group_maxima(part)
        torch.add(best, reference, out=maxima[:, start // GROUP : start // GROUP + best.shape[1]])
        if float(best.amax()) > SAFE_LOGIT:
            raised = best.amax(-1, keepdim=True).clamp_min(0)
            part -= raised
            total, drawn, reference = total * (-raised).exp(), drawn * (-raised).exp(), reference + raised
        part.exp_()
        total += part.sum(-1, keepdim=True)
        drawn.addmm_(part, rows[start:stop])
    return Partial(best_of_maxima(read, block, maxima), Weighted(reference, total, drawn))


def first_reference(cues: Tensor, patterns: Tensor, bias: Tensor | None) -> Tensor:
    """The largest logit `(b, 1)` of each cue among the first rows."""
    logits = cues @ patterns.T if bias is None else torch.addmm(bias, cues, patterns.T)
    return logits.amax(-1, keepdim=True)


def group_maxima(part: Tensor) -> Tensor:
    """The largest entry of each group of columns, the last of which may be short."""
    whole = part.shape[1] // GROUP * GROUP
    maxima = part[:, :whole].unflatten(-1, (-1, GROUP)).amax(-1) if whole else part[:, :0]
    return maxima if whole == part.shape[1] else torch.cat([maxima, part[:, whole:].amax(-1, keepdim=True)], -1)


def best_of_maxima(read: Read, block: Block, maxima: Tensor) -> Best:
    """The two best rows of each cue: the rows of its two best groups, scored again."""
    first = maxima.argmax(-1, keepdim=True)
    # a single group has no second: its rows are then beyond the last
    second = maxima.scatter(-1, first, -torch.inf).argmax(-1, keepdim=True) if maxima.shape[1] > 1 else first + 1
    places = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], -1) * GROUP
    inside = torch.arange(GROUP, device=places.device)
    some = max(1, 2**21 // (2 * GROUP * block.patterns.shape[1]))
    found = []
    for cues, starts in zip(read.cues.split(some), places.split(some), strict=True):
        rows = (starts[:, :, None] + inside).flatten(1)
        beyond = rows >= len(block)
        rows = rows.clamp_max(len(block) - 1)
        scores = torch.bmm(block.patterns[rows], cues.unsqueeze(-1)).squeeze(-1)
        if type(read.similarity) is not Dot:
            scores -= block.squared_norms[rows] / 2
        scores = scores.masked_fill(beyond, -torch.inf)
        top = scores.argmax(-1, keepdim=True)
        others = scores.scatter(-1, top, -torch.inf)
        rival = others.argmax(-1, keepdim=True)
        pair = torch.cat([scores.gather(-1, top), others.gather(-1, rival)], -1)
        ids = block.ids[rows.gather(-1, torch.cat([top, rival], -1))]
        found.append(Best(pair, ids.masked_fill(pair == -torch.inf, -1)))
    return Best(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def joined(partials: list[Partial]) -> Partial:
    """One partial of all the cues of several."""
    best = Best(*(torch.cat(parts) for parts in zip(*(one.best for one in partials), strict=True)))
    return Partial(best, Weighted(*(torch.cat(parts) for parts in zip(*(one.body for one in partials), strict=True))))
