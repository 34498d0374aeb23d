"""How many threads torch takes for an operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def at_most(threads: int | None) -> Iterator[None]:
    """Fewer threads for torch within; None for no limit. Those of small operations only wait for each other.

    Example:
        >>> with at_most(1):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(before if threads is None else min(threads, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
