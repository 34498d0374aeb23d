"""The soft-max fold in place, for reads that compare whole cues by dot product or Euclidean distance.

It gives what `Read.fold` gives, with fewer passes over memory. The scores of a block are written tile by tile, and each tile is
weighed and read out while its patterns are still in the processor's cache. Weights are taken relative to the best score of the
first tile, which a later block raises only when its scores would overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.read.best import Best, two_best
from attractor.read.block import Block
from attractor.read.fold import Partial, Read
from attractor.read.separation import SoftMax, Weighted
from attractor.read.similarity import Dot, Euclidean

SCORES_PER_BLOCK = 2**21
SAFE_LOGIT = 60.0
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
    """Fold `read` over `block`, which may be a whole bank: no more than a fixed number of scores is held at a time."""
    assert isinstance(read.separation, SoftMax)
    beta = read.separation.number
    cues, patterns, rows = read.cues * beta, block.patterns, read.rows(block)
    bias = None if type(read.similarity) is Dot else block.squared_norms * (-beta / 2)
    count, size = len(block), len(cues)
    tile = 8192 if size >= 64 else 2048
    span = max(tile, SCORES_PER_BLOCK // size // tile * tile)
    logits, weights = patterns.new_empty(size, min(span, count)), patterns.new_empty(size, min(span, count))
    reference = first_reference(cues, patterns[:tile], None if bias is None else bias[:tile])
    running: Partial | None = None
    for start in range(0, count, span):
        stop = min(start + span, count)
        part = logits[:, : stop - start]
        if bias is None:
            part.copy_(-reference)
        else:
            torch.sub(bias[start:stop], reference, out=part)
        total_rows = rows.new_zeros(size, rows.shape[1])
        for low in range(0, stop - start, tile):
            high = min(low + tile, stop - start)
            score = part[:, low:high].addmm_(cues, patterns[start + low : start + high].T)
            weight = torch.exp(score, out=weights[:, low:high])
            total_rows.addmm_(weight, rows[start + low : start + high])
        best = two_best(part, block.ids[start:stop])
        top = best.scores[:, :1]
        if bool((top > SAFE_LOGIT).any()):
            raised = top.clamp_min(0)
            weight = torch.exp(part - raised, out=weights[:, : stop - start])
            total_rows = weight @ rows[start:stop]
            body = Weighted(reference + raised, weight.sum(-1, keepdim=True), total_rows)
        else:
            body = Weighted(reference, weights[:, : stop - start].sum(-1, keepdim=True), total_rows)
        partial = Partial(Best((best.scores + reference) / beta, best.ids), body)
        running = partial if running is None else read.merge(running, partial)
        reference = running.body.reference
    assert running is not None
    return running


def first_reference(cues: Tensor, patterns: Tensor, bias: Tensor | None) -> Tensor:
    """The largest logit `(b, 1)` of each cue in the first tile."""
    logits = cues @ patterns.T if bias is None else torch.addmm(bias, cues, patterns.T)
    return logits.amax(-1, keepdim=True)
