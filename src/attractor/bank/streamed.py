"""Soft-max reads of few cues from files: rows pass through a buffer that a cache holds, where they are scored and read out.

Reading a file in pieces is faster than touching its pages where they are mapped, and each thread has a segment to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.bank.mapped import bytes_of
from attractor.bank.segments import HEADER_BYTES, SegmentError
from attractor.products import linear
from attractor.read import Block, Dot, Partial, Read
from attractor.read.separation import SoftMax, Weighted
from attractor.read.tiles import FEW_CUES, ROWS_FOR_REFERENCE, SAFE_LOGIT, best_of_maxima, fits_tiles, fold_tiles, tall_maxima

PIECE_BYTES = 2**22


class Filed(NamedTuple):
    """Rows that stand in `file` as in `block`, where they are mapped."""

    file: Path
    block: Block


def suits_streaming(read: Read, block: Block) -> bool:
    """Whether `fold_files` can answer this read over all rows of a file."""
    return block.norms is not None and len(read.cues) <= FEW_CUES and read.project == "patterns" and fits_tiles(read, block)


def fold_files(read: Read, filed: Sequence[Filed]) -> Partial:
    """Fold `read` over files, by as many threads as torch has."""
    usual = torch.get_num_threads()
    threads = min(usual, len(filed))
    if threads == 1:
        return fold_in_turn(read, filed)

    def alone(some: Sequence[Filed]) -> Partial:
        # of this thread alone; but those that start later begin with what was set last
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                return fold_in_turn(read, some)
        finally:
            torch.set_num_threads(usual)

    with ThreadPoolExecutor(threads) as pool:
        return merged(read, list(pool.map(alone, [filed[start::threads] for start in range(threads)])))


def fold_in_turn(read: Read, filed: Sequence[Filed]) -> Partial:
    """Fold `read` over files, one after the other."""
    patterns = filed[0].block.patterns
    rows = max(1, PIECE_BYTES // (patterns.shape[1] * patterns.element_size()))
    buffer = patterns.new_empty(rows, patterns.shape[1])
    return merged(read, [fold_file(read, one, buffer) for one in filed])


def merged(read: Read, parts: Sequence[Partial]) -> Partial:
    running = parts[0]
    for part in parts[1:]:
        running = read.merge(running, part)
    return running


def fold_file(read: Read, filed: Filed, buffer: Tensor) -> Partial:
    """Fold `read` over the rows of one file, which pass through `buffer (rows, dim)`."""
    assert isinstance(read.separation, SoftMax)
    block, beta = filed.block, read.separation.number
    cues, count = read.cues * beta, len(filed.block)
    bias = block.patterns.new_zeros(count) if type(read.similarity) is Dot else block.squared_norms * (-beta / 2)
    first = slice(ROWS_FOR_REFERENCE)
    reference = torch.addmm(bias[first], cues, block.patterns[first].T).amax(-1, keepdim=True)
    logits, weights = block.patterns.new_empty(2, count, len(cues))
    while True:
        torch.sub(bias[:, None], reference.T, out=logits)
        drawn = torch.zeros_like(cues)
        try:
            with open(filed.file, "rb", buffering=0) as handle:
                handle.seek(HEADER_BYTES)
                for start in range(0, count, len(buffer)):
                    rows = buffer[: count - start]
                    here = slice(start, start + len(rows))
                    fill(rows, handle)
                    scores = logits[here].add_(linear(rows, cues))
                    drawn += linear(torch.exp(scores, out=weights[here]).T, rows.T)
        except FileNotFoundError:  # compacted away since: the mapping still holds the rows
            return fold_tiles(read, block)
        best = tall_maxima(logits)
        if float(best.amax()) <= SAFE_LOGIT:
            total = weights.sum(0)[:, None]
            return Partial(best_of_maxima(read, block, best + reference), Weighted(reference, total, drawn))
        reference = reference + best.amax(-1, keepdim=True).clamp_min(0)


def fill(rows: Tensor, handle: FileIO) -> None:
    """Read what comes next in a file over all of `rows`.

    Raises:
        SegmentError: the file ends before.
    """
    left = bytes_of(rows).data.cast("B")
    while left:
        count = handle.readinto(left)
        if not count:
            raise SegmentError(f"{handle.name} has become shorter")
        left = left[count:]
