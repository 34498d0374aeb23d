"""Missing entries: what the constraints say of them, given those that are there.

The entries that are not known minimise the sum of squares of all constraints; where the constraints leave them open they stay as
near to a guess as that allows. Conjugate gradients from the guess do both, for all cues at once, whatever each of them lacks.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-10


def completed(matrix: Tensor, cues: Tensor, known: Tensor, guess: Tensor) -> Tensor:
    """`cues (b, dim)` with the entries that are not `known (b, dim)` from the constraints `matrix (constraints, dim)`, float64.

    Args:
        matrix: sparse or dense.
        cues: what stands at unknown entries is not read.
        known: True where a cue is trusted.
        guess: `(dim,)`, where the unknown entries begin.
    """
    dense = matrix.to_dense().double()
    gram = dense.T @ dense
    states = torch.where(known, cues.double(), guess.double())
    missing = (~known).double()
    left = -(states @ gram) * missing
    direction, squares = left, left.square().sum(1, keepdim=True)
    enough = TOLERANCE**2 * squares.clamp_min(1)
    for _ in range(2 * cues.shape[1]):
        if bool((squares <= enough).all()):
            break
        along = (direction @ gram) * missing
        curvature = (direction * along).sum(1, keepdim=True)
        step = torch.where((squares > enough) & (curvature > 0), squares / curvature.clamp_min(torch.finfo(dense.dtype).tiny), 0)
        states = states + step * direction
        left = left - step * along
        before, squares = squares, left.square().sum(1, keepdim=True)
        direction = left + squares / before.clamp_min(torch.finfo(dense.dtype).tiny) * direction
    return states
