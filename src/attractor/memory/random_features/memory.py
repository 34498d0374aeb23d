"""Distributed dense associative memory: patterns summed into random features (Hoover et al., NeurIPS 2024).

The energy of a dense memory, `E(x) = -1/beta log sum_mu exp(-beta/2 |x - xi_mu|^2)`, is a sum of kernels. With features `phi` of
which `E[phi(x) . phi(y)]` is the kernel, the sum over patterns moves inside the product:

    E~(x) = -1/beta log(phi(x) . T),   T = sum_mu phi(xi_mu)

`T` has the size of the features, however many patterns there are: storing adds to it, forgetting takes away, merging adds two.
Recall descends on `E~`. Its error falls as `1/sqrt(Y)` with the number `Y` of features and grows with the number of patterns and
with the energy. What remains after forgetting is exact to the rounding of what was there before: next to patterns of far larger
weight (long ones compared by products) it is lost, and forgetting those is refused.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.errors import NotConvergedWarning
from attractor.memory.base import register
from attractor.memory.random_features.accuracy import ErrorEstimate, Size, error_estimate
from attractor.memory.random_features.catalogue import FEATURE_MAPS, feature_map_from
from attractor.memory.random_features.checks import check_reach, check_seed, check_step, chosen, warn_of_heavy_tails
from attractor.memory.random_features.descent import Rest, Way, descend, stepped
from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.features import RandomFeatures, Storage
from attractor.memory.random_features.landscape import Compared, Form, Landscape
from attractor.memory.random_features.projections import projection_from
from attractor.memory.random_features.summed import SummedMemory
from attractor.memory.recall import Recall
from attractor.validation import (
    check_count,
    check_directions,
    check_finite,
    check_floating,
    check_known,
    check_positive,
    check_shape,
)

NUMBERS_PER_BATCH = 2**23


@register("random_features")
class RandomFeatureMemory(SummedMemory):
    """A dense associative memory of fixed size.

    It keeps sums of features, not patterns: `Recall.index`, `score` and `margin` are None. The sums are part of the
    `state_dict` and stay float64 whatever precision the module is moved to. Patterns at distances of about `2/sqrt(beta)` or more
    can be told apart: below that the exact energy has one minimum between the two.

    Args:
        dim: width of a pattern.
        features: number `Y` of random features; the sums are `Y` numbers, or `2 Y` for the maps of two parts.
        beta: inverse temperature.
        feature_map: `"sincos"`, `"cos"`, `"exp"`, `"expexp"`, `"arc-cosine"`, or an object such as `PolynomialMap(3)`.
        projection: `"gaussian"`, `"orthogonal"` or `"hadamard"`.
        storage: `"stored"` keeps the projections, `dim Y` numbers; `"seeded"` draws them again at each use, with equal results.
        energy: `"log"`, or `"sum"`: the sum of kernels without its logarithm. Default: `"log"` for the Gaussian kernel, `"sum"`,
            the only choice, for polynomial ones.
        similarity: `"euclidean"`; or `"dot"` for the energy `|x|^2 / 2 - 1/beta log sum_mu exp(beta x.xi_mu)`: each Gaussian
            kernel is weighed by `exp(beta/2 |xi|^2)`. With `energy="sum"` the state's own length stays inside the sum:
            `-1/beta sum_mu exp(beta x.xi_mu - beta/2 |x|^2)`. Default: Euclidean for the Gaussian kernel; polynomial ones compare
            by products as they are.
        center: a vector `(dim,)` to subtract from all that is compared, which changes no Gaussian kernel and lowers the variance
            of the positive maps; True for the mean of the patterns that an empty memory stores first; False for none. Default: True
            for the positive maps.
        alpha: step of the descent, in (0, 1]; of the exact energy, 1 is the soft-max read of a `DenseMemory`.
        seed: of the projections. Only memories of one seed can be merged.

    Raises:
        TypeError, ValueError: an argument is out of range or unknown, or two of them do not go together.

    Example:
        >>> memory = RandomFeatureMemory(4, features=2000, beta=20.0)
        >>> ids = memory.store(torch.eye(4))
        >>> memory.recall(torch.tensor([[0.9, 0.1, 0.0, 0.0]])).patterns.round().abs().tolist()
        [[1.0, 0.0, 0.0, 0.0]]
        >>> memory.sums.shape
        torch.Size([2, 2000])
    """

    def __init__(
        self,
        dim: int,
        *,
        features: int = 10_000,
        beta: float = 30.0,
        feature_map: FeatureMap | str = "sincos",
        projection: str = "gaussian",
        storage: Storage = "stored",
        energy: Form | None = None,
        similarity: Compared | None = None,
        center: Tensor | bool | None = None,
        alpha: float = 0.1,
        seed: int = 0,
    ):
        kind = feature_map if isinstance(feature_map, FeatureMap) else feature_map_from({"name": feature_map})
        forms, similarities = (("log", "sum"), ("euclidean", "dot")) if kind.gaussian else (("sum",), ("dot",))
        form: Form = chosen("energy", energy, forms, kind)
        compared: Compared = chosen("similarity", similarity, similarities, kind)
        center = bool(kind.damping) if center is None else center
        if not kind.gaussian and center is not False:
            raise ValueError(f"center must be False for {kind!r}: a polynomial kernel changes when its vectors are shifted")
        count = check_count("features", features)
        drawn = RandomFeatures(check_count("dim", dim), count, kind, projection_from(projection), storage, check_seed(seed))
        super().__init__(drawn, check_positive("beta", beta), compared, center)
        self.form, self.alpha = form, check_step(alpha)

    def __repr__(self) -> str:
        features = self.features
        settings = f"dim={self.dim}, features={features.count}, beta={self.beta:g}, {self.map!r}, {features.projection!r}"
        kind = f"{features.storage}, energy={self.form!r}, similarity={self.similarity!r}, seed={features.seed}"
        return f"{type(self).__name__}({len(self)} patterns, {settings}, {kind})"

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        alpha: float | None = None,
        max_steps: int = 300,
        tol: float | None = None,
        trace: bool = False,
        batch_size: int | None = None,
    ) -> Recall:
        """Let the cues descend on the estimated energy.

        A state whose estimated sum of kernels is nothing or negative has no force: it stays where it is, comes back with
        `converged` False, and a warning says so (`clipped`). More features or a smaller `beta` help. Others may be lost in the
        noise and follow it all the same: `error_estimate` tells.

        Args:
            cues: `(b, dim)`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: those entries never move. The others start from the mean of what is
                stored: sums cannot compare known entries alone, as a `DenseMemory` does. Default: every entry may move.
            alpha: longest step of the descent, in (0, 1]; shorter ones are taken where the energy would rise. Default: that of
                the memory.
            max_steps: most updates of a state, those included that were taken back because the energy rose.
            tol: a state is at rest when a step of the memory's own `alpha` would change no entry by more than this, relative to
                its largest entry or 1. Default: 1e-6 in float64, 1e-5 in float32.
            trace: keep every state on the way.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity where trusted, a row with nothing known, cues too long
                for positive features, or an empty memory.
        """
        known = self._check_states("cues", cues, known)
        alpha = self.alpha if alpha is None else check_step(alpha)
        tol = (1e-6 if cues.dtype == torch.float64 else 1e-5) if tol is None else check_positive("tol", tol)
        way = Way(alpha, self.alpha, tol, check_count("max_steps", max_steps), trace)
        starts = cues if known is None else torch.where(known, cues, self._stored().mean().to(cues.dtype))
        landscape = self._landscape()
        check_reach("cues", starts, landscape.geometry)
        size = max(1, NUMBERS_PER_BATCH // max(self.dim, self.features.width)) if batch_size is None else batch_size
        masks = [None] * -(-len(cues) // check_count("batch_size", size)) if known is None else known.split(size)
        rests = []
        for some, mask in zip(starts.split(size), masks, strict=True):
            free, radius = None if mask is None else ~mask, self._radius(some, mask)
            if free is not None and radius is not None:
                # the mean of what is stored is shorter than what is stored
                some = stepped(some, torch.zeros_like(some), free, radius, radius.new_zeros(()))
            rests.append(descend(landscape.field, some, free, radius, way))
        lost = sum(int(rest.clipped.sum()) for rest in rests)
        if lost:
            warnings.warn(
                f"{lost} of {len(cues)} states did not come to rest: their sum of kernels, estimated by "
                f"{self.features.count} features at beta={self.beta:g}, is at or below the floor, see clipped(). "
                "More features or a smaller beta help",
                NotConvergedWarning,
                stacklevel=3,
            )
        return Recall.join([recalled(rest) for rest in rests])

    @torch.no_grad()
    def energy(self, states: Tensor, *, features: int | None = None) -> Tensor:
        """The estimated energy `(b,)` of `states (b, dim)`.

        Args:
            states: `(b, dim)`.
            features: estimate by the first so many of the features only, without bias. Default: all.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity, more features than there are, or an empty memory.
        """
        if features is not None and check_count("features", features) > self.features.count:
            raise ValueError(f"features must be at most the {self.features.count} of this memory, got {features}")
        return self._seen(states).field(states, features).energy

    @torch.no_grad()
    def force(self, states: Tensor) -> Tensor:
        """Minus the gradient `(b, dim)` of the estimated energy, in closed form; zero for clipped states.

        Raises:
            TypeError, ValueError: as for `energy`.
        """
        return self._seen(states).field(states).force

    @torch.no_grad()
    def clipped(self, states: Tensor) -> Tensor:
        """Which `(b,)` of `states (b, dim)` have an estimated sum of kernels at or below the floor: no force acts on them.

        The floor only keeps the logarithm finite. Far above it a sum may still be noise, which is about `sqrt(K / 2Y)` for `K`
        patterns and the map `"sincos"`: such states have an infinite standard error in `error_estimate`.

        Raises:
            TypeError, ValueError: as for `energy`.
        """
        return self._seen(states).field(states).clipped

    @torch.no_grad()
    def error_estimate(self, states: Tensor) -> ErrorEstimate:
        """How accurate the energy of `states (b, dim)` is: its standard error, and a bound of that.

        Raises:
            TypeError, ValueError: as for `energy`; or all features depend on each other.
        """
        landscape = self._seen(states)
        warn_of_heavy_tails("states", states, landscape.geometry)
        return error_estimate(landscape, states, self.weight, float(self.longest))

    def suggest_features(self, states: Tensor, error: float) -> int:
        """How many features bring the standard error of the energy at `states (b, dim)` down to `error`.

        By the law `1/sqrt(Y)`, from the standard error that is measured with the features of this memory: a small memory of the
        same patterns can tell how large the real one has to be.

        Raises:
            TypeError, ValueError: as for `error_estimate`; `error` is not positive, or a state is lost in the noise.
        """
        check_positive("error", error)
        worst = float(self.error_estimate(states).standard_error.max())
        if math.isinf(worst):
            raise ValueError(
                f"states must not be lost in the noise, where no error can be told from {self.features.count} features: take more"
            )
        return max(1, math.ceil(self.features.count * (worst / error) ** 2))

    def size(self) -> Size:
        """Numbers kept and operations for a step, of this memory and of a `DenseMemory` with the same patterns."""
        kept = self.features.numbers if self.features.storage == "stored" else 0
        numbers = kept + sum(buffer.numel() for buffer in self.buffers())
        exact = len(self) * self.dim
        return Size(numbers, self.features.operations, exact, 4 * exact)

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "features": self.features.count,
            "beta": self.beta,
            "feature_map": self.map.settings(),
            "projection": self.features.projection.name,
            "storage": self.features.storage,
            "energy": self.form,
            "similarity": self.similarity,
            "centers_on_first": self.centers_on_first,
            "alpha": self.alpha,
            "seed": self.features.seed,
        }

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        settings = dict(configuration)
        feature_map, center = feature_map_from(settings.pop("feature_map")), settings.pop("centers_on_first")
        return cls(**settings, feature_map=feature_map, center=center)

    def save(self, path: str | Path) -> None:
        """Write the memory to the folder `path`.

        Raises:
            ValueError: the feature map is not one of this library, which could not be loaded again.
        """
        if FEATURE_MAPS.get(getattr(self.map, "name", "")) is not type(self.map):
            raise ValueError(
                f"feature_map must be one of {sorted(FEATURE_MAPS)} to be saved, got {self.map!r}; save the state_dict"
            )
        super().save(path)

    def _landscape(self) -> Landscape:
        return Landscape(self._geometry(self.center), self.sums, self.log_scale, self.form)

    def _seen(self, states: Tensor) -> Landscape:
        """What the energy of `states` is taken from, once they are found fit."""
        self._check_states("states", states, None)
        landscape = self._landscape()
        check_reach("states", states, landscape.geometry)
        return landscape

    def _radius(self, starts: Tensor, known: Tensor | None) -> Tensor | None:
        """The length `(b, 1)` that the free part of a state keeps; None where the energy holds it by itself."""
        if self.map.gaussian:
            return None
        if known is None:
            return starts.norm(dim=-1, keepdim=True)
        return ((~known).to(starts) @ self._stored().mean_square(self.center).to(starts)[:, None]).sqrt()

    def _check_states(self, name: str, states: Tensor, known: Tensor | None) -> Tensor | None:
        check_floating(name, states)
        check_shape(name, states, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        self._check_kind(name, states)
        known = check_known(known, states)
        trusted = states if known is None else torch.where(known, states, 1)
        check_finite(name, trusted)
        if not self.map.gaussian:
            check_directions(name, trusted)
        return known


def recalled(rest: Rest) -> Recall:
    accepted = torch.ones_like(rest.converged)
    return Recall(rest.states, None, None, None, accepted, rest.energy, rest.steps, rest.converged, rest.trace)
