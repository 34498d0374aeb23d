"""What a diffusion model has learned: the data by heart, blends of them, or the distribution behind them.

A sample near a training item is *memorised*; one that is far from all of them but near another sample lies at a minimum of the
model's own, *spurious*; the others are *generalised* (Pham et al. 2025, arXiv 2505.21777). As an associative memory the first are
the stored patterns, the second the spurious states, and the third appear where the load exceeds the capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from attractor.dynamics.diffusion.empirical import EmpiricalDenoiser
from attractor.dynamics.diffusion.model import ScoreModel, check_noise, check_samples, directional
from attractor.dynamics.diffusion.samplers import Sampler, sample
from attractor.dynamics.diffusion.schedules import Karras, diffuse
from attractor.validation import check_count, check_positive

DISTANCES_PER_BLOCK = 2**22


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of each sample, and the distances that decided.

    Attributes:
        labels: `(n,)` int64, places in `NAMES`.
        to_data: distance to the nearest training item `(n,)`.
        to_samples: distance to the nearest other sample `(n,)`, infinite where there is none.
        nearest: the nearest training item `(n,)` int64.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("memorised", "spurious", "generalised")

    labels: Tensor
    to_data: Tensor
    to_samples: Tensor
    nearest: Tensor

    def fraction(self, name: str) -> float:
        """The share of one class.

        Raises:
            ValueError: no class has this name.
        """
        if name not in self.NAMES:
            raise ValueError(f"name must be one of {', '.join(self.NAMES)}, got {name!r}")
        return (self.labels == self.NAMES.index(name)).double().mean().item()


@torch.no_grad()
def classify_samples(samples: Tensor, data: Tensor, *, memorised: float, spurious: float) -> Classes:
    """Sort samples into memorised, spurious and generalised ones by Euclidean distance.

    Args:
        samples: `(n, *event)`.
        data: the training items `(K, *event)`.
        memorised: largest distance to a training item that counts as a copy of it.
        spurious: largest distance to another sample that counts as the same state.

    Raises:
        ValueError: thresholds that are not positive, other shapes or precision, integer images, NaN or infinity.

    Example:
        >>> samples = torch.tensor([[0.0], [5.0], [5.1], [9.0]])
        >>> classify_samples(samples, torch.tensor([[0.1]]), memorised=0.2, spurious=0.2).labels.tolist()
        [0, 1, 1, 2]
    """
    check_positive("memorised", memorised)
    check_positive("spurious", spurious)
    check_samples("data", data, tuple(data.shape[1:]))
    check_samples("samples", samples, tuple(data.shape[1:]), data)
    if samples.dim() != data.dim():
        raise ValueError(f"samples must have shape (n, {', '.join(map(str, data.shape[1:]))}), got {tuple(samples.shape)}")
    to_data, index = nearest(samples, data)
    to_samples, _ = nearest(samples, samples, apart=True)
    labels = torch.where(to_data <= memorised, 0, torch.where(to_samples <= spurious, 1, 2))
    return Classes(labels, to_data, to_samples, index)


def nearest_distances(data: Tensor) -> Tensor:
    """Distance of each item `(K, *event)` to its nearest other item, `(K,)`; thresholds are fractions of their median."""
    check_samples("data", data, tuple(data.shape[1:]))
    return nearest(data, data, apart=True)[0]


def nearest(samples: Tensor, rows: Tensor, *, apart: bool = False) -> tuple[Tensor, Tensor]:
    """Distance to the nearest row and its number; `apart` leaves out the row with the sample's own number."""
    cues, stored = samples.flatten(1).double(), rows.flatten(1).double()
    size = max(1, DISTANCES_PER_BLOCK // len(stored))
    found = []
    for start in range(0, max(len(cues), 1), size):
        away = torch.cdist(cues[start : start + size], stored)
        if apart:
            away.diagonal(start).fill_(math.inf)
        found.append(away.min(-1))
    least, chosen = torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])
    # these come from a difference of large squares: the distance itself is taken again
    distances = (cues - stored[chosen]).square().sum(-1).sqrt()
    return torch.where(least.isfinite(), distances, torch.inf).to(samples.dtype), chosen


@torch.no_grad()
def recovery(
    model: ScoreModel,
    patterns: Tensor,
    sigma: float,
    *,
    delta: float,
    copies: int = 100,
    steps: int = 18,
    sampler: Sampler | None = None,
    generator: torch.Generator | None = None,
) -> float:
    """The share of re-noised patterns that the ODE, without a last denoising, brings back to within `delta` of their origin.

    Args:
        model: the score model.
        patterns: `(K, *event)`.
        sigma: the noise added.
        delta: largest distance that counts as come back.
        copies: noisy copies of each pattern.
        steps: of the sampler.
        sampler: how to step. Default: Heun.
        generator: of the noise.

    Raises:
        ValueError: wrong shapes, or numbers that are not positive.
    """
    check_samples("patterns", patterns, model.event)
    check_positive("sigma", sigma)
    check_positive("delta", delta)
    schedule = Karras(sigma_min=min(0.002, sigma / 10), sigma_max=sigma)
    clean = patterns.repeat_interleave(check_count("copies", copies), 0)
    noisy = diffuse(clean, sigma, schedule, generator=generator)
    back = sample(model, noisy, schedule=schedule, sampler=sampler, steps=steps, denoise_last=False, generator=generator).x
    return ((back - clean).flatten(1).norm(dim=-1) <= delta).double().mean().item()


def critical_noise(
    model: ScoreModel,
    patterns: Tensor,
    sigmas: Sequence[float],
    *,
    delta: float,
    share: float = 0.9,
    copies: int = 100,
    steps: int = 18,
    seed: int = 0,
) -> float | None:
    """The largest of `sigmas` up to which at least `share` of re-noised patterns come back; None where none does.

    Arguments as for `recovery`; the same noise is drawn at each level, scaled.

    Raises:
        ValueError: as `recovery`, levels that do not rise, or a share outside of 0 to 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie above 0, at most at 1, got {share!r}")
    if len(sigmas) == 0 or any(not low < high for low, high in pairwise(sigmas)):
        raise ValueError(f"sigmas must rise, at least one of them, got {list(sigmas)}")
    best = None
    for sigma in sigmas:
        generator = torch.Generator(device=patterns.device).manual_seed(seed)
        if recovery(model, patterns, sigma, delta=delta, copies=copies, steps=steps, generator=generator) < share:
            break
        best = float(sigma)
    return best


def conservativity(
    model: ScoreModel, x: Tensor, sigma: float, *, probes: int | None = None, generator: torch.Generator | None = None
) -> float:
    """`|J - J^T|_F / |J|_F` of the score's Jacobian, over all samples: 0 for the gradient of an energy.

    Args:
        model: the score model.
        x: `(b, *event)`.
        sigma: the noise level.
        probes: estimate from this many random directions; None takes all `N`.
        generator: of the probes.

    Raises:
        ValueError: wrong shapes, a noise level that is not positive, or a Jacobian that is not finite.

    Example:
        >>> conservativity(EmpiricalDenoiser(torch.eye(3, dtype=torch.float64)), torch.ones(1, 3, dtype=torch.float64), 1.0) < 1e-12
        True
    """
    check_samples("x", x, model.event)
    check_noise(sigma)
    if probes is None:
        dim = math.prod(model.event)
        leading = (1 for _ in range(x.dim() - len(model.event)))
        directions = torch.eye(dim, dtype=x.dtype, device=x.device).reshape(dim, *leading, *model.event).expand(dim, *x.shape)
    else:
        shape = check_count("probes", probes), *x.shape
        directions = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)

    def score(state: Tensor) -> Tensor:
        return model.score(state, sigma)

    transposed = torch.func.vjp(score, x)[1]
    skew, whole = 0.0, 0.0
    for direction in directions:
        forward = directional(score, x, direction)
        (backward,) = transposed(direction, retain_graph=True)
        skew += (forward - backward).detach().square().sum().item()
        whole += forward.detach().square().sum().item()
    if not math.isfinite(skew + whole):
        raise ValueError("the score's Jacobian must be finite, got NaN or infinity")
    return math.sqrt(skew / whole) if whole > 0 else 0.0


def stability_limit(denoiser: EmpiricalDenoiser, x: Tensor, *, low: float, high: float, tol: float = 1e-6) -> float:
    """The noise level at which the point `x (*event)` loses its stability: the largest eigenvalue of `C` equals `sigma^2`.

    Args:
        denoiser: the exact denoiser.
        x: one point, at rest by symmetry or nearly so.
        low: a level at which it is unstable.
        high: a level at which it is stable.
        tol: relative precision, at best that of the number itself.

    Raises:
        ValueError: the point does not change between the two levels, or a tolerance that is not positive.
    """
    tol = max(check_positive("tol", tol), 4 * torch.finfo(torch.float64).eps)

    def excess(sigma: float) -> float:
        largest = torch.linalg.eigvalsh(denoiser.covariance(x[None], sigma)[0])[-1].item()
        return largest / (sigma**2 * denoiser.temperature) - 1

    if not 0 < low < high or excess(low) <= 0 or excess(high) >= 0:
        raise ValueError(f"x must be unstable at low and stable at high, got low={low!r}, high={high!r}")
    while high - low > tol * high:
        middle = (low + high) / 2
        if excess(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
