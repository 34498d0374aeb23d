"""Words for notes beside the rows."""

from __future__ import annotations

from collections.abc import Sequence


def listed(numbers: Sequence[int]) -> str:
    """Numbers, separated by commas.

    Example:
        >>> listed((6, 8, 10))
        '6, 8, 10'
    """
    return ", ".join(map(str, numbers))
