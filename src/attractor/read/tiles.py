"""The soft-max fold in place, for reads that compare whole cues by dot product or Euclidean distance.

It gives what `Read.fold` gives, with fewer passes over memory. Scores are written tile by tile, a row for each pattern, and the
patterns of a tile are scored and read out in pieces that the processor's cache holds between the two. Weights are taken relative
to the best score of the first rows, which a later tile raises only where its scores would overflow.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from attractor.products import linear, suits_onednn
from attractor.read.best import Best
from attractor.read.block import Block
from attractor.read.fold import Partial, Read
from attractor.read.separation import SoftMax, Weighted
from attractor.read.similarity import Dot, Euclidean

CUES_AT_ONCE = 512
SCORES_PER_TILE = 2**19
LEAST_ROWS_PER_TILE = 8192
ENTRIES_IN_CACHE = 2**19
FEW_CUES = 32
GROUP = 32
SAFE_LOGIT = 60.0
ROWS_FOR_REFERENCE = 1024
LARGEST_TERM = 256.0
"""Of the logits: tiles round `beta cues` once more than the formula does, which near-tied cues would show beyond this."""


Weighing = tuple[Tensor, Tensor, Tensor]


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
    beta, count, size = read.separation.number, len(block), len(read.cues)
    cues, patterns, rows = read.cues * beta, block.patterns, read.rows(block)
    bias = patterns.new_zeros(count) if type(read.similarity) is Dot else block.squared_norms * (-beta / 2)
    reference = linear(cues, patterns[:ROWS_FOR_REFERENCE], bias[:ROWS_FOR_REFERENCE]).amax(-1, keepdim=True)
    tile = max(LEAST_ROWS_PER_TILE, SCORES_PER_TILE // size // GROUP * GROUP)
    weigh = weigh_for_many
    # products with two or three columns are slower than with two or three rows
    if size <= FEW_CUES and size not in (2, 3) and not suits_onednn(cues, patterns):
        weigh = partial(weigh_for_few, scratch=patterns.new_empty(2, min(tile, count) * size))
    maxima = patterns.new_empty(size, -(-count // GROUP))
    total, drawn = patterns.new_zeros(size, 1), rows.new_zeros(size, rows.shape[1])
    for start in range(0, count, tile):
        near, part, read_out = (some[start : start + tile] for some in (patterns, bias, rows))
        best, weight, found = weigh(cues, near, part, reference, read_out)
        if float(best.amax()) > SAFE_LOGIT:
            raised = best.amax(-1, keepdim=True).clamp_min(0)
            reference, total, drawn = reference + raised, total * (-raised).exp(), drawn * (-raised).exp()
            best, weight, found = weigh(cues, near, part, reference, read_out)
        torch.add(best, reference, out=maxima[:, start // GROUP : start // GROUP + best.shape[1]])
        total += weight
        drawn += found
    return Partial(best_of_maxima(read, block, maxima), Weighted(reference, total, drawn))


def weigh_for_many(cues: Tensor, patterns: Tensor, bias: Tensor, reference: Tensor, rows: Tensor) -> Weighing:
    """Of one tile, relative to `reference (b, 1)`: the maximum of each group, the sum of the weights, the weighted sum of rows."""
    logits = linear(cues, patterns, bias).sub_(reference)
    whole = len(rows) // GROUP * GROUP
    best = logits[:, :whole].unflatten(-1, (whole // GROUP, GROUP)).amax(-1)
    if whole < len(rows):
        best = torch.cat([best, logits[:, whole:].amax(-1, keepdim=True)], -1)
    weights = logits.exp_()
    return best, weights.sum(-1, keepdim=True), linear(weights, rows.T)


def weigh_for_few(cues: Tensor, patterns: Tensor, bias: Tensor, reference: Tensor, rows: Tensor, *, scratch: Tensor) -> Weighing:
    """The same with a row of scores for each pattern, in pieces that are read out from the cache.

    Each thread reads out the share of the rows that it has just scored, for they are in its own cache.
    """
    threads = torch.get_num_threads()
    logits, weights = scratch[:, : len(cues) * len(rows)].view(2, -1, len(cues))
    torch.sub(bias[:, None], reference.T, out=logits)
    drawn = rows.new_zeros(threads, len(cues), rows.shape[1])
    piece = max(1, ENTRIES_IN_CACHE // patterns.shape[1] // threads) * threads
    whole = len(rows) // piece * piece
    for count, sums, here in ((piece, drawn, slice(whole)), (len(rows) - whole, drawn[:1], slice(whole, None))):
        if count and len(rows[here]):
            near, scores, weighed, read_out = (some[here].unflatten(0, (-1, count)) for some in (patterns, logits, weights, rows))
            shares, shared = (some.unflatten(1, (len(sums), -1)) for some in (weighed, read_out))
            views = (near, scores, weighed, shares.transpose(2, 3), shared)
            for one_near, one_scores, one_weighed, one_share, one_shared in zip(*(some.unbind() for some in views), strict=True):
                torch.exp(one_scores.addmm_(one_near, cues.T), out=one_weighed)
                sums.baddbmm_(one_share, one_shared)
    return tall_maxima(logits), weights.sum(0)[:, None], drawn.sum(0)


def tall_maxima(logits: Tensor) -> Tensor:
    """The largest of each group of rows of `logits (m, b)`, as `(b, groups)`; the last group may be short."""
    whole, size = len(logits) // GROUP * GROUP, logits.shape[1]
    groups = logits[:whole].view(-1, GROUP, size)
    if 1 < size < GROUP:
        # torch is slow at maxima over short rows: several of them stand as one first
        several = 1 << (GROUP // size).bit_length() - 1
        groups = groups.view(-1, GROUP // several, several * size).amax(1).view(-1, several, size)
    best = groups.amax(1).T
    return best if whole == len(logits) else torch.cat([best, logits[whole:].amax(0)[:, None]], -1)


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
