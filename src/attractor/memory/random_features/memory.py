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

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from attractor.errors import NotConvergedWarning
from attractor.memory.base import IfPresent, Memory, register
from attractor.memory.random_features.accuracy import ErrorEstimate, Size, error_estimate
from attractor.memory.random_features.catalogue import FEATURE_MAPS, feature_map_from
from attractor.memory.random_features.checks import (
    check_reach,
    check_seed,
    check_step,
    checked_center,
    chosen,
    warn_of_heavy_tails,
)
from attractor.memory.random_features.descent import Rest, Way, descend, stepped
from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.features import VECTORS_AT_ONCE, RandomFeatures, Storage
from attractor.memory.random_features.landscape import Compared, Form, Geometry, Landscape
from attractor.memory.random_features.projections import projection_from
from attractor.memory.recall import Recall
from attractor.validation import (
    check_count,
    check_directions,
    check_finite,
    check_floating,
    check_known,
    check_matrix,
    check_positive,
    check_shape,
)

DTYPES = (torch.float32, torch.float64)
NUMBERS_PER_BATCH = 2**23
# what is left after forgetting is lost below so many times the rounding of what went, and is more than rounding above this share
LEAST_LEFT = 100
MOST_ROUNDING = 0.01


class Added(NamedTuple):
    """What patterns add to a memory: to its `sums`, `moments` and `weight`; the root of their summed squared weights, `spread`, and
    the `longest` of their squared lengths from the center."""

    sums: Tensor
    moments: Tensor
    weight: Tensor
    spread: Tensor
    longest: Tensor


@register("random_features")
class RandomFeatureMemory(Memory):
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

    sums: Tensor
    log_scale: Tensor
    center: Tensor
    moments: Tensor
    weight: Tensor
    longest: Tensor
    counts: Tensor

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
        super().__init__()
        self.dim = check_count("dim", dim)
        self.beta = check_positive("beta", beta)
        self.alpha = check_step(alpha)
        self.map = feature_map if isinstance(feature_map, FeatureMap) else feature_map_from({"name": feature_map})
        if storage not in ("stored", "seeded"):
            raise ValueError(f"storage must be 'stored' or 'seeded', got {storage!r}")
        count, kind = check_count("features", features), projection_from(projection)
        self.features = RandomFeatures(dim, count, self.map, kind, storage, check_seed(seed))
        self.form: Form = chosen("energy", energy, ("log", "sum") if self.map.gaussian else ("sum",), self.map)
        self.similarity: Compared = chosen(
            "similarity", similarity, ("euclidean", "dot") if self.map.gaussian else ("dot",), self.map
        )
        center = bool(self.map.damping) if center is None else center
        if not self.map.gaussian and center is not False:
            raise ValueError(f"center must be False for {self.map!r}: a polynomial kernel changes when its vectors are shifted")
        self.centers_on_first = center is True
        self.register_buffer("sums", torch.zeros(self.map.parts, count, dtype=torch.float64))
        # sums are kept as exp(log_scale) of themselves, so that weights of patterns do not overflow
        self.register_buffer("log_scale", torch.zeros((), dtype=torch.float64))
        self.register_buffer("center", checked_center(center, dim) if isinstance(center, Tensor) else torch.zeros(dim).double())
        # sums of the stored entries and of their squares
        self.register_buffer("moments", torch.zeros(2, dim, dtype=torch.float64))
        # the sum of the weights of the stored kernels, kept like the sums, and the largest squared length from the center
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("longest", torch.zeros((), dtype=torch.float64))
        # patterns stored minus forgotten, and ids given out so far
        self.register_buffer("counts", torch.zeros(2, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.counts[0])

    def __repr__(self) -> str:
        features = self.features
        settings = f"dim={self.dim}, features={features.count}, beta={self.beta:g}, {self.map!r}, {features.projection!r}"
        kind = f"{features.storage}, energy={self.form!r}, similarity={self.similarity!r}, seed={features.seed}"
        return f"{type(self).__name__}({len(self)} patterns, {settings}, {kind})"

    @torch.no_grad()
    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Add the features of patterns to the sums; call again to add more. Features are computed a tile at a time.

        Args:
            patterns: `(n, dim)`, float32 or float64.
            values, metadata: refused, as there are no items to keep them beside.
            if_present: `"add"` only: sums cannot tell what is in them.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity, patterns too long for positive features, or an argument
                that does not apply; nothing is stored then.
        """
        for name, value in (("values", values), ("metadata", metadata)):
            if value is not None:
                raise TypeError(f"{name} must be None: a {type(self).__name__} keeps no items; use a DenseMemory")
        if if_present in ("skip", "raise"):
            raise TypeError(f"if_present must be 'add', got {if_present!r}: a {type(self).__name__} cannot tell what is stored")
        if if_present != "add":
            raise ValueError(f"if_present must be 'add', got {if_present!r}")
        self._check_patterns(patterns)
        first, device, starts = int(self.counts[1]), patterns.device, len(self) == 0
        center = self.center.to(device)
        if starts and self.centers_on_first:
            center = torch.stack([some.sum(0, dtype=torch.float64) for some in patterns.split(VECTORS_AT_ONCE)]).sum(0)
            center /= len(patterns)
        geometry = self._geometry(center)
        check_reach("patterns", patterns, geometry)
        log_scale = torch.stack([geometry.log_weights(some).max() for some in patterns.split(VECTORS_AT_ONCE)]).max()
        log_scale = log_scale if starts else torch.maximum(self.log_scale, log_scale)
        added = self._added(patterns, log_scale, geometry)
        warn_of_heavy_tails("patterns", patterns, geometry)
        shrunk = (self.log_scale.to(device) - log_scale).exp()
        self.sums, self.weight = self.sums.to(device) * shrunk + added.sums, self.weight.to(device) * shrunk + added.weight
        self.log_scale, self.center = log_scale, center
        self.moments, self.longest = self.moments.to(device) + added.moments, self.longest.to(device).maximum(added.longest)
        self.counts = self.counts.to(device) + len(patterns)
        return torch.arange(first, first + len(patterns), device=device)

    @torch.no_grad()
    def forget(self, patterns: Tensor) -> None:
        """Take `patterns (n, dim)`, stored ones, out of the sums again.

        Sums cannot tell whether patterns were stored, except where all are forgotten at once: what is left must then be nothing.
        A memory that has forgotten everything is as new, apart from its running numbers.

        Raises:
            TypeError: ids came instead of patterns.
            ValueError: wrong shape or dtype, NaN or infinity, more patterns than are stored, as many as are stored but others, or
                patterns whose weight is so large that those left would be lost in their rounding; nothing is forgotten then.
        """
        if isinstance(patterns, Tensor) and not patterns.is_floating_point():
            raise TypeError(f"patterns must be the stored patterns, got {patterns.dtype}: a {type(self).__name__} keeps no ids")
        self._check_patterns(patterns)
        if len(patterns) > len(self):
            raise ValueError(f"patterns must be stored ones, got {len(patterns)} while {len(self)} are stored")
        geometry = self._geometry(self.center)
        check_reach("patterns", patterns, geometry)
        added = self._added(patterns, self.log_scale, geometry)
        sums, weight = self.sums - added.sums, self.weight - added.weight
        if len(patterns) == len(self):
            if float(sums.norm()) > MOST_ROUNDING * float(self.sums.norm()):
                raise ValueError(f"patterns must be stored ones, got {len(patterns)} that are not all those stored")
            self._clear()
            return
        if float(weight) < LEAST_LEFT * torch.finfo(patterns.dtype).eps * float(added.spread):
            raise ValueError(
                "patterns must not outweigh the others by so much that those are lost in their rounding: "
                f"{float(weight / added.weight):.2g} of their weight would be left; store the others in a new memory"
            )
        # the floor below which states are clipped follows the weights that are left
        shrunk = weight.clamp_max(1)
        self.sums, self.weight, self.log_scale = sums / shrunk, weight / shrunk, self.log_scale + shrunk.log()
        self.moments = self.moments - added.moments
        self.counts = self.counts - torch.tensor([len(patterns), 0], device=self.counts.device)

    @torch.no_grad()
    def merge(self, other: RandomFeatureMemory) -> None:
        """Add what `other` has stored, as if it had been stored here; `other` stays as it is.

        Raises:
            TypeError: `other` is no `RandomFeatureMemory`.
            ValueError: its features, inverse temperature, similarity or center differ; nothing is added then.
        """
        if not isinstance(other, RandomFeatureMemory):
            raise TypeError(f"other must be a RandomFeatureMemory, got {type(other).__name__}")
        if told := differences(self._kernel(), other._kernel()):
            raise ValueError(f"other must be built alike, the two differ in {told}")
        center = other.center.to(self.center)
        # only an empty memory that waits for its center may take one over
        if not torch.equal(self.center, center) and len(other) and (len(self) or not self.centers_on_first):
            raise ValueError("other must have the same center; give both memories the same vector as center")
        if not len(other):
            return
        log_scale = (
            torch.maximum(self.log_scale, other.log_scale.to(self.log_scale)) if len(self) else other.log_scale.to(self.sums)
        )
        shrunk = [(one.log_scale.to(log_scale) - log_scale).exp() if len(one) else log_scale.new_ones(()) for one in (self, other)]
        self.sums = self.sums * shrunk[0] + other.sums.to(self.sums) * shrunk[1]
        self.weight = self.weight * shrunk[0] + other.weight.to(self.weight) * shrunk[1]
        self.log_scale, self.center, self.longest = log_scale, center, self.longest.maximum(other.longest.to(self.longest))
        self.moments, self.counts = self.moments + other.moments.to(self.moments), self.counts + other.counts.to(self.counts)

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
        starts = cues if known is None else torch.where(known, cues, (self.moments[0] / len(self)).to(cues.dtype))
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

    def get_extra_state(self) -> Tensor:
        """What the sums are sums of, as text in bytes: a `state_dict` says nothing without it."""
        return torch.tensor(list(json.dumps(self._kernel()).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing to set: `state` was compared before anything was loaded."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if (state := state_dict.get(f"{prefix}_extra_state")) is not None:
            told = differences(self._kernel(), json.loads(bytes(state.tolist())))
            if told:
                raise ValueError(f"state_dict must be that of a memory built alike, the two differ in {told}")
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RandomFeatureMemory:
        kept = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, before in kept.items():
            # sums of many features need their digits
            after = getattr(self, name)
            setattr(self, name, after if after.dtype == before.dtype else before.to(after.device))
        return self

    def _kernel(self) -> dict[str, Any]:
        """The settings that two memories must share for their sums to be added."""
        features = self.features
        return {
            "dim": self.dim,
            "features": features.count,
            "beta": self.beta,
            "feature_map": self.map.settings(),
            "projection": features.projection.name,
            "similarity": self.similarity,
            "seed": features.seed,
        }

    def _geometry(self, center: Tensor) -> Geometry:
        return Geometry(self.features, self.beta, self.similarity, center)

    def _landscape(self) -> Landscape:
        return Landscape(self._geometry(self.center), self.sums, self.log_scale, self.form)

    def _seen(self, states: Tensor) -> Landscape:
        """What the energy of `states` is taken from, once they are found fit."""
        self._check_states("states", states, None)
        landscape = self._landscape()
        check_reach("states", states, landscape.geometry)
        return landscape

    def _clear(self) -> None:
        for one in (self.sums, self.log_scale, self.moments, self.weight, self.longest, self.counts[:1]):
            one.zero_()
        if self.centers_on_first:
            self.center.zero_()

    def _added(self, patterns: Tensor, log_scale: Tensor, geometry: Geometry) -> Added:
        """What `patterns` add, beside sums that are kept as `exp(log_scale)` of themselves."""
        sums, moments = (torch.zeros_like(one, device=patterns.device) for one in (self.sums, self.moments))
        weight, squares, longest = sums.new_zeros(3)
        for some in patterns.split(VECTORS_AT_ONCE):
            sums += self.features.sums(geometry.scaled(some), (geometry.log_weights(some) - log_scale).exp().to(some.dtype))
            moments += torch.stack([some.sum(0), some.square().sum(0)])
            kernels = (geometry.log_kernel_weights(some) - log_scale).exp()
            weight, squares = weight + kernels.sum(), squares + kernels.square().sum()
            longest = longest.maximum((some.double() - geometry.center).square().sum(-1).max())
        if not bool(sums.isfinite().all()):
            raise ValueError("patterns must be small enough for finite features: scale them, or lower beta")
        return Added(sums, moments, weight, squares.sqrt(), longest)

    def _mean_square(self) -> Tensor:
        """The mean over stored patterns of each squared entry, centred, `(dim,)`."""
        mean, square = self.moments / len(self)
        return (square - 2 * self.center * mean + self.center.square()).clamp_min(0)

    def _radius(self, starts: Tensor, known: Tensor | None) -> Tensor | None:
        """The length `(b, 1)` that the free part of a state keeps; None where the energy holds it by itself."""
        if self.map.gaussian:
            return None
        if known is None:
            return starts.norm(dim=-1, keepdim=True)
        return ((~known).to(starts) @ self._mean_square().to(starts)[:, None]).sqrt()

    def _check_patterns(self, patterns: Tensor) -> None:
        check_matrix("patterns", patterns, self.dim)
        self._check_kind("patterns", patterns)

    def _check_states(self, name: str, states: Tensor, known: Tensor | None) -> Tensor | None:
        check_floating(name, states)
        check_shape(name, states, self.dim)
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        self._check_kind(name, states)
        known = check_known(known, states)
        check_finite(name, states if known is None else torch.where(known, states, 1))
        if not self.map.gaussian:
            check_directions(name, states if known is None else torch.where(known, states, 1))
        return known

    def _check_kind(self, name: str, given: Tensor) -> None:
        if given.dtype not in DTYPES:
            raise ValueError(f"{name} must be float32 or float64, got {given.dtype}; convert with {name}.float()")
        if int(self.counts[1]) and given.device != self.sums.device:
            raise ValueError(f"{name} must be on {self.sums.device} like the sums, got {given.device}")


def recalled(rest: Rest) -> Recall:
    accepted = torch.ones_like(rest.converged)
    return Recall(rest.states, None, None, None, accepted, rest.energy, rest.steps, rest.converged, rest.trace)


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The settings in which two memories differ, in words; empty for none."""
    return ", ".join(f"{name} {value!r} and {theirs.get(name)!r}" for name, value in mine.items() if value != theirs.get(name))
