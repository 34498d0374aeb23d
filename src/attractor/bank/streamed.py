"""Soft-max reads of few cues from files: rows pass through a buffer that a cache holds, where they are scored and read out.

Reading a file in pieces is faster than touching its pages where they are mapped, and each thread has a segment to itself.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from io import FileIO
from math import isfinite
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


def fold_files(read: Read, filed: deque[Filed]) -> Partial:
    """Fold `read` over files, by as many threads as torch has. Each is taken out of `filed`: its mapping ends when it is done.

    While this runs torch must do nothing else in parallel: its threads would wait for work on the cores that are used here.
    """
    usual = torch.get_num_threads()
    shares: list[deque[Filed]] = [deque() for _ in range(min(usual, len(filed)))]
    while filed:
        shares[len(filed) % len(shares)].append(filed.popleft())
    try:
        # each thread is one that torch must not divide further
        with ThreadPoolExecutor(len(shares), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return reduce(read.merge, pool.map(partial(fold_in_turn, read), shares))
    finally:
        # threads that start later begin with what was set last
        torch.set_num_threads(usual)


@torch.no_grad()
def fold_in_turn(read: Read, filed: deque[Filed]) -> Partial:
    """Fold `read` over files, one after the other."""
    patterns = filed[0].block.patterns
    rows = max(1, PIECE_BYTES // (patterns.shape[1] * patterns.element_size()))
    buffer, running = patterns.new_empty(rows, patterns.shape[1]), None
    del patterns
    while filed:
        part = fold_file(read, filed.popleft(), buffer)
        running = part if running is None else read.merge(running, part)
    assert running is not None
    return running


def fold_file(read: Read, filed: Filed, buffer: Tensor) -> Partial:
    """Fold `read` over the rows of one file, which pass through `buffer (rows, dim)`."""
    assert isinstance(read.separation, SoftMax)
    block, beta = filed.block, read.separation.number
    cues, count = read.cues * beta, len(filed.block)
    bias = block.patterns.new_zeros(count) if type(read.similarity) is Dot else block.squared_norms * (-beta / 2)
    first = slice(ROWS_FOR_REFERENCE)
    reference = linear(cues, block.patterns[first], bias[first]).amax(-1, keepdim=True)
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
        highest = float(best.amax())
        if not isfinite(highest):
            raise SegmentError(f"{filed.file} holds other rows than were stored: they are not finite")
        if highest <= SAFE_LOGIT:
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
