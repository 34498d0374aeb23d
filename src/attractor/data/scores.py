"""Two scores of a recall, and the baseline beside it: `exact`, `identified`, `nearest_neighbour`.

A recall can name the right item and still return it blurred, or return it exactly: both are counted, always. A
nearest-neighbour search that is given the same information (the same mask of known entries) is what a memory has to
beat.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.validation import check_known, check_matrix, check_shape

_CUE_BLOCK = 1024
_STORED_BLOCK = 8192
_NO_GRID_TOLERANCE = 1e-3


def exact(recalled: Tensor, originals: Tensor, *, levels: int | None = 256, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Which recalled rows equal the stored item in every entry, once rounded to the grid of the data: `(b,)` bool.

    The grid has `levels` points from `low` to `high`; what lies beyond its ends is rounded to them. Bipolar data:
    `levels=2, low=-1`.

    Args:
        recalled: `(b, d)` what the memory returned.
        originals: `(b, d)` the items that the cues were made from.
        levels: number of grid points (`ImageSet.levels`). `None` for data without a grid: entries must agree within
            0.1% of the largest absolute entry of the original row.
        low: first grid point.
        high: last grid point.

    Raises:
        ValueError: the shapes differ, `levels < 2`, `low >= high`, or an original is not finite or off the range of the
            grid.

    Example:
        >>> originals = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
        >>> exact(torch.tensor([[0.001, 0.999], [0.1, 0.9]]), originals).tolist()
        [True, False]
    """
    check_shape("recalled", recalled)
    check_matrix("originals", originals)
    if recalled.shape != originals.shape:
        raise ValueError(f"recalled must have the shape of originals {tuple(originals.shape)}, got {tuple(recalled.shape)}")
    if levels is None:
        tolerance = _NO_GRID_TOLERANCE * originals.abs().amax(1, keepdim=True)
        return ((recalled - originals).abs() <= tolerance).all(1)
    if levels < 2 or not low < high:
        raise ValueError(f"the grid needs levels >= 2 and low < high, got levels={levels}, low={low}, high={high}")
    step = (high - low) / (levels - 1)
    if not ((originals >= low - step / 2) & (originals <= high + step / 2)).all():
        smallest, largest = originals.min().item(), originals.max().item()
        raise ValueError(f"originals must lie in [low, high] = [{low}, {high}], got [{smallest}, {largest}]")
    place = [((rows - low) / step).round().clamp(0, levels - 1) for rows in (recalled, originals)]
    return (place[0] == place[1]).all(1) & recalled.isfinite().all(1)


def identified(recalled: Tensor, index: Tensor, stored: Tensor) -> Tensor:
    """Which recalled rows have the right item as their nearest stored row (Euclidean): `(b,)` bool.

    A stored row equal to the right one counts as the right one. A row with NaN or infinity is never identified.

    Args:
        recalled: `(b, d)` what the memory returned.
        index: `(b,)` int64, the row of `stored` that each cue was made from.
        stored: `(n, d)` all stored items.

    Raises:
        ValueError: the shapes disagree, nothing is stored, or an index is outside of `stored`.
        TypeError: `index` is not int64.

    Example:
        >>> identified(torch.tensor([[0.9, 0.2], [0.9, 0.2]]), torch.tensor([0, 1]), torch.eye(2)).tolist()
        [True, False]
    """
    check_shape("recalled", recalled)
    if index.dtype != torch.int64:
        raise TypeError(f"index must be an int64 tensor (b,), got {index.dtype}")
    if index.shape != recalled.shape[:1]:
        raise ValueError(f"index must have shape ({len(recalled)},), one row a recall, got {tuple(index.shape)}")
    if len(stored) and not ((index >= 0) & (index < len(stored))).all():
        raise ValueError(f"index must lie in [0, {len(stored)}), the rows of stored; got {index.min()} to {index.max()}")
    finite = recalled.isfinite().all(1)
    nearest = nearest_neighbour(recalled.where(finite[:, None], 0), stored)
    return finite & ((nearest == index) | (stored[nearest] == stored[index]).all(1))


def nearest_neighbour(cues: Tensor, stored: Tensor, *, known: Tensor | None = None) -> Tensor:
    """The nearest stored row of each cue, Euclidean over the known entries: `(b,)` int64, every recall's baseline.

    Works in float64, block by block: no `(b, n, d)` tensor and no `(b, n)` one beyond a block.

    Args:
        cues: `(b, d)`; what stands at unknown entries, NaN included, changes nothing.
        stored: `(n, d)`.
        known: `(b, d)` bool, True where the cue is trusted; `None`: everywhere.

    Raises:
        ValueError: the shapes disagree, nothing is stored, a row knows nothing, or a known or stored entry is not
            finite.
        TypeError: `known` is not boolean.

    Example:
        >>> cue, mask = torch.tensor([[0.0, 0.9]]), torch.tensor([[False, True]])
        >>> nearest_neighbour(cue, torch.tensor([[0.0, 0.0], [1.0, 1.0]]), known=mask).tolist()
        [1]
    """
    check_shape("cues", cues)
    known = check_known(known, cues)
    if known is not None:
        cues = cues.where(known, 0)
    check_matrix("cues", cues)
    check_matrix("stored", stored, cues.shape[1])
    rows = []
    for start in range(0, len(cues), _CUE_BLOCK):
        block = slice(start, start + _CUE_BLOCK)
        rows.append(_nearest(cues[block].double(), stored, None if known is None else known[block].double()))
    return torch.cat(rows)


def _nearest(cues: Tensor, stored: Tensor, known: Tensor | None) -> Tensor:
    best = cues.new_full((len(cues),), float("inf"))
    index = torch.zeros(len(cues), dtype=torch.int64, device=cues.device)
    for start in range(0, len(stored), _STORED_BLOCK):
        block = stored[start : start + _STORED_BLOCK].double()
        squares = block.square()
        # |cue|^2 over the known entries is the same for every stored row and is left out
        norms = squares.sum(1) if known is None else known @ squares.T
        distance, row = (norms - 2 * cues @ block.T).min(1)
        closer = distance < best
        best = torch.where(closer, distance, best)
        index = torch.where(closer, row + start, index)
    return index
