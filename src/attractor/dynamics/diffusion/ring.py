"""Data spread evenly over the unit circle: the one diffusion model whose energy is known in full.

In the scaling of Pham et al. 2025, `b = 1 / (2 sigma^2)` and `E = -(1/b) log mean exp(-b |x - xi|^2)`, twice the energy of
`empirical.py` up to a constant. At radius `R` it is `E = R^2 + 1 - (1/b) log I_0(2 b R)`, with `-dE/dR = 2 (I_1/I_0 (2bR) - R)`.
Up to `b = 1` its only minimum is the origin; beyond, all points at the radius `R = I_1/I_0 (2bR)` are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attractor.dynamics.diffusion.model import check_samples
from attractor.validation import check_count, check_positive

BISECTIONS = 100


class Ring:
    """The energy of the ring at `b = 1 / (2 sigma^2)`.

    Raises:
        ValueError: `b` is not positive.

    Example:
        >>> round(Ring(2.0).radius(), 4), Ring(1.0).radius()
        (0.8315, 0.0)
    """

    def __init__(self, b: float):
        self.b = check_positive("b", b)

    @property
    def sigma(self) -> float:
        """The noise level, `1 / sqrt(2 b)`."""
        return 1 / math.sqrt(2 * self.b)

    def energy(self, x: Tensor) -> Tensor:
        """`E`, `(...)`, of points `(..., 2)`.

        Raises:
            ValueError: another shape, or not floating point.
        """
        check_samples("x", x, (2,))
        radius = x.norm(dim=-1)
        # log I_0(z) = z + log i0e(z), whose second term stays in range
        argument = 2 * self.b * radius
        return radius**2 + 1 - (argument + torch.special.i0e(argument).log()) / self.b

    def force(self, radius: Tensor) -> Tensor:
        """`-dE/dR` at radii `(...)`; the score is `b` times it."""
        argument = 2 * self.b * radius
        return 2 * (torch.special.i1e(argument) / torch.special.i0e(argument) - radius)

    def radius(self) -> float:
        """Where the minimum lies: 0 up to `b = 1`."""
        if self.b <= 1:
            return 0.0
        low, high = 1e-9, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if self.force(torch.tensor(middle, dtype=torch.float64)) > 0:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def ring_points(count: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
    """Points `(count, 2)` on the unit circle: at random with a generator, else evenly spaced."""
    check_count("count", count)
    if generator is None:
        angles = torch.arange(count, dtype=dtype) * (2 * math.pi / count)
    else:
        angles = torch.rand(count, generator=generator, dtype=dtype) * (2 * math.pi)
    return torch.stack([angles.cos(), angles.sin()], -1)
