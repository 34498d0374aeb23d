"""A memory that keeps sums of random features: how patterns come in and go out, and how the sums are loaded and moved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attractor.memory.base import IfPresent
from attractor.memory.counting import CountingMemory, refuse_items
from attractor.memory.random_features.checks import check_reach, checked_center, warn_of_heavy_tails
from attractor.memory.random_features.feature_maps import FeatureMap
from attractor.memory.random_features.features import VECTORS_AT_ONCE, RandomFeatures
from attractor.memory.random_features.landscape import Compared, Geometry
from attractor.memory.random_features.stored import Stored
from attractor.validation import check_matrix

DTYPES = (torch.float32, torch.float64)


class SummedMemory(CountingMemory):
    """The storing half of `RandomFeatureMemory`.

    Args:
        features: what is summed.
        beta: inverse temperature.
        similarity: what weighs the patterns, see `Geometry`.
        center: a vector `(dim,)`; True for the mean of the patterns that an empty memory stores first; False for none.

    Raises:
        TypeError, ValueError: `center` has another shape or is not finite.
    """

    sums: Tensor
    log_scale: Tensor
    center: Tensor
    moments: Tensor
    weight: Tensor
    longest: Tensor

    def __init__(self, features: RandomFeatures, beta: float, similarity: Compared, center: Tensor | bool):
        super().__init__()
        self.dim, self.features, self.beta = features.dim, features, beta
        self.similarity: Compared = similarity
        self.centers_on_first = center is True
        nothing = Stored.nothing(features.feature_map.parts, features.count, features.dim)
        self.register_buffer("sums", nothing.sums)
        self.register_buffer("log_scale", nothing.log_scale)
        given = checked_center(center, self.dim) if isinstance(center, Tensor) else torch.zeros_like(nothing.moments[0])
        self.register_buffer("center", given)
        self.register_buffer("moments", nothing.moments)
        self.register_buffer("weight", nothing.weight)
        self.register_buffer("longest", nothing.longest)

    @property
    def map(self) -> FeatureMap:
        """The map of the features."""
        return self.features.feature_map

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
        refuse_items(self, metadata, if_present, values=values)
        self._check_patterns(patterns)
        before, center = self._stored().copy_to(patterns.device), self.center.to(patterns.device)
        if before.empty and self.centers_on_first:
            center = torch.stack([some.sum(0, dtype=torch.float64) for some in patterns.split(VECTORS_AT_ONCE)]).sum(0)
            center /= len(patterns)
        geometry = self._geometry(center)
        check_reach("patterns", patterns, geometry)
        log_scale = geometry.largest_log_weight(patterns)
        added = Stored.of(patterns, geometry, log_scale if before.empty else log_scale.maximum(before.log_scale))
        warn_of_heavy_tails("patterns", patterns, geometry)
        first = int(self.counts[1])
        self._keep(before.plus(added), center, first + len(patterns))
        return torch.arange(first, first + len(patterns), device=patterns.device)

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
        self._refuse_ids(patterns)
        self._check_patterns(patterns)
        self._refuse_more_than_stored(patterns)
        geometry = self._geometry(self.center)
        check_reach("patterns", patterns, geometry)
        rounding = torch.finfo(patterns.dtype).eps * geometry.spread(patterns, self.log_scale)
        left = self._stored().minus(Stored.of(patterns, geometry, self.log_scale), rounding)
        center = torch.zeros_like(self.center) if left.empty and self.centers_on_first else self.center
        self._keep(left, center, int(self.counts[1]))

    @torch.no_grad()
    def merge(self, other: SummedMemory) -> None:
        """Add what `other` has stored, as if it had been stored here; `other` stays as it is.

        Raises:
            TypeError: `other` is no memory of random features.
            ValueError: its features, inverse temperature, similarity or center differ; nothing is added then.
        """
        if not isinstance(other, SummedMemory):
            raise TypeError(f"other must be a {type(self).__name__}, got {type(other).__name__}")
        if told := differences(self._kernel(), other._kernel()):
            raise ValueError(f"other must be built alike, the two differ in {told}")
        center = other.center.to(self.center, copy=True)
        # only an empty memory that waits for its center may take one over
        if not torch.equal(self.center, center) and len(other) and (len(self) or not self.centers_on_first):
            raise ValueError("other must have the same center; give both memories the same vector as center")
        if len(other):
            both = self._stored().plus(other._stored().copy_to(self.sums.device))
            self._keep(both, center, int(self.counts[1]) + int(other.counts[1]))

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

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SummedMemory:
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

    def _stored(self) -> Stored:
        return Stored(self.sums, self.log_scale, self.weight, self.longest, self.moments, self.counts[0])

    def _keep(self, stored: Stored, center: Tensor, given_out: int) -> None:
        self.sums, self.log_scale, self.center, self.moments = stored.sums, stored.log_scale, center, stored.moments
        self.weight, self.longest = stored.weight, stored.longest
        self.counts = torch.stack([stored.count, torch.full_like(stored.count, given_out)])

    def _check_patterns(self, patterns: Tensor) -> None:
        check_matrix("patterns", patterns, self.dim)
        self._check_kind("patterns", patterns)

    def _check_kind(self, name: str, given: Tensor) -> None:
        if given.dtype not in DTYPES:
            raise ValueError(f"{name} must be float32 or float64, got {given.dtype}; convert with {name}.float()")
        if int(self.counts[1]) and given.device != self.sums.device:
            raise ValueError(f"{name} must be on {self.sums.device} like the sums, got {given.device}")


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The settings in which two memories differ, in words; empty for none."""
    return ", ".join(f"{name} {value!r} and {theirs.get(name)!r}" for name, value in mine.items() if value != theirs.get(name))
