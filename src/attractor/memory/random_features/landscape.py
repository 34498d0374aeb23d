"""The estimated energy and its closed-form force, from sums of features.

With `h = sqrt(beta) S x` and the sums `T`: `s = scale/Y psi(h) . T`, `E~ = -log(s)/beta`, and
`-dE~/dx = sqrt(beta) S^T (psi'(h) T) / (beta psi(h) . T)`, which costs as much as the projection and its transpose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attractor.memory.random_features.descent import Field
from attractor.memory.random_features.features import VECTORS_AT_ONCE, RandomFeatures

Form = Literal["log", "sum"]
Compared = Literal["euclidean", "dot"]


@dataclass(frozen=True, eq=False)
class Geometry:
    """How vectors are seen: `beta`, by `features`, from `center (dim,)`, float64, by Euclidean distance or by product."""

    features: RandomFeatures
    beta: float
    similarity: Compared
    center: Tensor

    def scaled(self, vectors: Tensor) -> Tensor:
        """Vectors as the projections see them."""
        return (vectors - self.center.to(vectors)).mul_(self.steepness) if self.features.feature_map.gaussian else vectors

    @property
    def steepness(self) -> float:
        """The factor of a vector in its projections."""
        return math.sqrt(self.beta) if self.features.feature_map.gaussian else 1.0

    def log_kernel_weights(self, patterns: Tensor) -> Tensor:
        """The logarithm `(n,)`, float64, of what the kernel of a pattern is multiplied by."""
        log_weights = patterns.new_zeros(len(patterns), dtype=torch.float64)
        if self.features.feature_map.gaussian and self.similarity == "dot":
            # exp(beta x.xi) is the Gaussian kernel times exp(beta/2 |x|^2) and this; the length is not a matter of the center
            log_weights += self.beta / 2 * patterns.square().sum(-1, dtype=torch.float64)
        return log_weights

    def kernel_weights(self, patterns: Tensor, log_scale: Tensor) -> Tensor:
        """What the kernel of a pattern is multiplied by, `(n,)`, float64, divided by `exp(log_scale)`."""
        return (self.log_kernel_weights(patterns) - log_scale).exp()

    def spread(self, patterns: Tensor, log_scale: Tensor) -> float:
        """The root of the summed squares of the weights of the kernels, divided by `exp(log_scale)`."""
        squares = [self.kernel_weights(some, log_scale).square().sum() for some in patterns.split(VECTORS_AT_ONCE)]
        return math.sqrt(torch.stack(squares).sum())

    def log_weights(self, patterns: Tensor) -> Tensor:
        """The logarithm `(n,)`, float64, of what the features of a pattern are multiplied by."""
        log_weights = self.log_kernel_weights(patterns)
        if self.features.feature_map.damping:
            log_weights -= self.scaled(patterns).square().sum(-1, dtype=torch.float64)
        return log_weights

    def largest_log_weight(self, patterns: Tensor) -> Tensor:
        """The largest of `log_weights`, `()`, float64."""
        return torch.stack([self.log_weights(some).max() for some in patterns.split(VECTORS_AT_ONCE)]).max()


@dataclass(frozen=True, eq=False)
class Landscape:
    """The energy over states: `sums (parts, Y)` of features, kept divided by `exp(log_scale)`, seen by `geometry`."""

    geometry: Geometry
    sums: Tensor
    log_scale: Tensor
    form: Form

    def field(self, states: Tensor, count: int | None = None) -> Field:
        """Energy and force of `states (b, dim)`, by the first `count` features; all by default."""
        geometry, feature_map = self.geometry, self.geometry.features.feature_map
        scaled = geometry.scaled(states)
        found = geometry.features.estimate(scaled, self.sums, count)
        kernels = found.value * (feature_map.scale / (count or geometry.features.count))
        log_factor = self.log_factor(scaled)
        if self.form == "sum":
            factor = log_factor.exp() * (feature_map.scale / (count or geometry.features.count))
            energy = -found.value * factor / geometry.beta
            pull = (found.gradient - 2 * feature_map.damping * found.value[:, None] * scaled) * factor[:, None]
            clipped = ~(energy.isfinite() & pull.isfinite().all(-1))
            energy = energy.masked_fill(clipped, 0)
        else:
            finfo = torch.finfo(states.dtype)
            floor = max(feature_map.floor, finfo.tiny)
            clipped = ~((kernels > floor) & kernels.isfinite())
            energy = -(kernels.nan_to_num(nan=floor).clamp(floor, finfo.max).log() + log_factor) / geometry.beta
            pull = found.gradient / found.value[:, None] - 2 * feature_map.damping * scaled
        force = pull * (geometry.steepness / geometry.beta)
        return Field(energy, force.masked_fill(clipped[:, None], 0), clipped)

    def log_factor(self, scaled: Tensor) -> Tensor:
        """The logarithm `(b,)` of what is left out of `psi(h) . sums`: the scale of the sums and the damping of the state."""
        damping = self.geometry.features.feature_map.damping
        return self.log_scale.to(scaled) - damping * scaled.square().sum(-1)
