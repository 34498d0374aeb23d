"""The generalised pseudo-inverse rule: overlaps with correlations between the stored patterns taken out.

`c^mu = sum_nu (O^+)^{mu nu} m^nu` with `O^{mu nu} = xi^mu . xi^nu / N` takes the place of `m^mu` (Chaudhry et al. 2023, section 4).
At a stored state, of patterns that are linearly independent, `c` is a unit vector: every sequence of up to N of them is recalled.
As `c = O^+ Xi S / N`, all of it is one matrix in place of the patterns, which is found by a singular value decomposition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class GeneralisedPseudoInverse:
    """How `O` is inverted.

    Args:
        rcond: eigenvalues of `O` below this, relative to the largest, count as zero: copies and other dependent patterns.
        ridge: added to the eigenvalues; above zero it trades exactness for robustness against noise.

    Raises:
        ValueError: `rcond` is not in [0, 1), or `ridge` is negative or not finite.

    Example:
        >>> rule = GeneralisedPseudoInverse()
        >>> patterns = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, -1.0]])
        >>> overlaps = rule.duals(patterns) @ patterns.T / 4
        >>> bool((overlaps - torch.eye(2)).abs().max() < 1e-6)
        True
    """

    rcond: float = 1e-6
    ridge: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.rcond < 1:
            raise ValueError(f"rcond must lie in [0, 1), got {self.rcond!r}")
        if not 0 <= self.ridge < math.inf:
            raise ValueError(f"ridge must be a finite number of at least 0, got {self.ridge!r}")

    def duals(self, patterns: Tensor) -> Tensor:
        """`(P, N)`: its product with a state is `N c`, as that of the patterns is `N m`."""
        left, lengths, right = torch.linalg.svd(patterns.double(), full_matrices=False)
        eigenvalues = lengths.square() / patterns.shape[1]
        kept = eigenvalues > self.rcond * eigenvalues.max()
        inverse = torch.where(kept, 1 / torch.where(kept, eigenvalues + self.ridge, 1), 0)
        return ((left * (lengths * inverse)) @ right).to(patterns.dtype)
