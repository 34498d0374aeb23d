"""The rows of a bank on disk as tensors: segments mapped from their files, and blocks cut out of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from attractor.bank.segments import HEADER_BYTES, Layout, Rows, Segment, SegmentError, SegmentFolder
from attractor.read import Block

DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""What a bank on disk can hold, by the names of safetensors."""
DTYPE_OF_NAME = {name: dtype for dtype, name in DTYPES.items()}

Tensors = dict[str, Tensor]


def mapped(folder: SegmentFolder, segment: Segment, layout: Layout) -> Tensors:
    """The tensors of a segment, mapped from its files; shorter than recorded where rows are lost.

    torch maps a file without keeping it open: a process may map many more than it may open. Writing to such a tensor changes
    the memory of this process only.

    Raises:
        SegmentError: a file cannot be mapped.
    """
    dtype, kept, tensors = dtype_of(layout), folder.rows(segment, layout), {}
    assert dtype is not None
    for name, width in layout.widths.items():
        if kept == 0:
            tensors[name] = torch.empty(0, width, dtype=dtype)
            continue
        file, size = folder.file(segment.number, name), HEADER_BYTES + kept * width * dtype.itemsize
        try:
            storage = cast(torch.UntypedStorage, torch.UntypedStorage.from_file(str(file), False, size))
        except RuntimeError as error:
            raise SegmentError(f"{file} cannot be mapped: {error}") from error
        tensors[name] = torch.empty(0, dtype=dtype).set_(storage, HEADER_BYTES // dtype.itemsize, (kept, width), (width, 1))
    return tensors


def dtype_of(layout: Layout) -> torch.dtype | None:
    return None if layout.dtype is None else DTYPE_OF_NAME[layout.dtype]


def bytes_of(rows: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of each row, `(n, bytes)`."""
    return rows.detach().contiguous().view(torch.uint8).numpy()


def raw(tensors: Tensors) -> Rows:
    return {name: bytes_of(rows) for name, rows in tensors.items()}


def cut(whole: Block, live: Tensor | None, rows: int) -> Iterator[Block]:
    """The rows of `whole` that the mask `live` lets through, in blocks of at most `rows`; copied only where some are dead."""
    for start in range(0, len(whole.ids), rows):
        part: slice | Tensor = slice(start, start + rows)
        if live is not None and not bool(live[part].all()):
            part = live[part].nonzero().flatten() + start
        block = whole.rows(part)
        if len(block):
            yield block
