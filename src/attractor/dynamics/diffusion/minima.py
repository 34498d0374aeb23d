"""The minima of a model's energy: where descents from many starts come to rest, and which of these are spurious."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.dynamics.diffusion.descent import EnergyModel, descend
from attractor.dynamics.diffusion.model import check_samples, directional
from attractor.dynamics.diffusion.regimes import nearest
from attractor.errors import NotConvergedWarning
from attractor.validation import check_positive


@dataclass(frozen=True, eq=False)
class Census:
    """The distinct minima of an energy.

    Attributes:
        minima: `(m, *event)`.
        reached: how many starts came to each, `(m,)`.
        to_data: the distance of each to the data, `(m,)`.
        elsewhere: how many starts came to a saddle, or not to rest.
    """

    minima: Tensor
    reached: Tensor
    to_data: Tensor
    elsewhere: int

    def away(self, delta: float) -> int:
        """How many minima lie farther than `delta` from every pattern: spurious ones."""
        return int((self.to_data > delta).sum())


@torch.no_grad()
def minima_census(
    model: EnergyModel,
    starts: Tensor,
    patterns: Tensor,
    sigma: float,
    *,
    apart: float,
    max_steps: int = 5000,
    tol: float | None = None,
) -> Census:
    """Descend from every start and count the minima where the descents rest.

    A place of rest is a minimum where no eigenvalue of the Hessian is negative beyond rounding; it takes `N` products.

    Args:
        model: a denoiser with an energy.
        starts: `(b, *event)`.
        patterns: `(K, *event)`, the data that minima are compared with.
        sigma: the noise level.
        apart: ends closer than this are one minimum.
        max_steps: of each descent.
        tol: of each descent.

    Raises:
        ValueError: wrong shapes, or numbers that are not positive.

    Warns:
        NotConvergedWarning: some starts have not come to rest.
    """
    check_samples("patterns", patterns, model.event, starts)
    check_positive("apart", apart)
    starts = starts.reshape(-1, *model.event)
    ends = descend(model, starts, sigma, max_steps=max_steps, tol=tol)
    if not bool(ends.converged.all()):
        still = int((~ends.converged).sum())
        warnings.warn(f"{still} of {len(starts)} descents moved after {max_steps} steps", NotConvergedWarning, stacklevel=2)
    minima = [starts[:0]]
    reached: list[int] = []
    left = ends.x[ends.converged]
    while len(left):
        near = (left - left[0]).flatten(1).norm(dim=-1) < apart
        place = left[near].mean(0, keepdim=True)
        if steepest_descent(model, place, sigma) <= math.sqrt(torch.finfo(place.dtype).eps):
            minima.append(place)
            reached.append(int(near.sum()))
        left = left[~near]
    places = torch.cat(minima)
    counts = torch.tensor(reached, dtype=torch.int64)
    return Census(places, counts, nearest(places, patterns)[0], len(starts) - sum(reached))


def steepest_descent(model: EnergyModel, place: Tensor, sigma: float) -> float:
    """How steeply the slope falls away from `place (1, *event)`: minus the least eigenvalue of the energy's Hessian `1 - dD/dx`."""
    dim = place.numel()
    directions = torch.eye(dim, dtype=place.dtype, device=place.device).reshape(dim, *place.shape)
    slopes = torch.stack([directional(lambda x: model.denoise(x, sigma) - x, place, one).flatten() for one in directions])
    return float(torch.linalg.eigvalsh(slopes.to(torch.float64))[-1])
