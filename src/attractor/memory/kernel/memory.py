"""A dense memory that compares patterns in a learned feature space, where they stand as far apart as a spherical code can.

Value space: `T(x) = sum_mu p_mu xi_mu` with `p = separation(beta K(Xi, x))`, `K(x, y) = <Phi(x), Phi(y)>`; energy
`E(x) = K(x, x) / 2 - Psi(K(Xi, x))`, which never rises for a linear or affine `Phi` without normalisation. Feature space:
`z <- sum_mu p_mu Phi(xi_mu)` with `p = separation(beta Phi(Xi) z)`; `|z|^2 / 2 - Psi` never rises, whatever the map.

Source: Hu et al. 2024, "Provably Optimal Memory Capacity for Modern Hopfield Models: Transformer-Compatible Dense Associative
Memories as Spherical Codes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from attractor.bank import Bank
from attractor.memory.base import IfPresent, register
from attractor.memory.capacity import CapacityEstimate
from attractor.memory.dense import DenseMemory
from attractor.memory.descent import Way
from attractor.memory.kernel.bank import FeatureBank
from attractor.memory.kernel.fit import KernelFit, Progress, fit_kernel, unit_features
from attractor.memory.kernel.learning import KernelLearning, method_from
from attractor.memory.kernel.metastable import Metastable, metastable
from attractor.memory.kernel.report import CodeReport, code_report
from attractor.memory.laws import law_of
from attractor.memory.recall import Recall
from attractor.memory.states import Continuous
from attractor.read import Dot, Kernel, Separation
from attractor.read.feature_map import FEATURE_MAPS
from attractor.read.similarity import widened
from attractor.validation import check_count, check_ids, check_matrix, finite, shorten

Space = Literal["value", "feature"]


@register("kernel")
class KernelMemory(DenseMemory):
    """A dense memory with a learned kernel.

    A new memory with as many features as entries compares the patterns themselves; `learn` moves their features apart. A linear map
    places `M` memories of `dim` entries freely only while `M <= dim`.

    Args:
        dim: width of a pattern, for a new bank in memory. Either `dim` or `bank` is given.
        bank: where the patterns live.
        feature_map: `"linear"`, `"affine"`, `"mlp"`, or a module from `(n, dim)` to `(n, features)` that treats each row alone.
            A module of one's own cannot be saved.
        features: width of the features. Default: `dim`.
        normalize: compare the directions of the features only, the setting of the theory.
        separation: how scores become weights, which must sum to one. Default: the soft-max at an inverse temperature chosen from
            the patterns.
        space: `"value"`: the state is a pattern; `"feature"`: it is a feature vector, with a descent law for every map, no masks
            and a trace of feature vectors.
        seed: of the first weights, where they are random.

    Raises:
        ValueError: neither or both of `dim` and `bank`, an unknown name, `features` below 1, a map of another width, or a
            separation whose weights do not sum to one.

    Example:
        >>> from attractor.memory.kernel import UHopPlus
        >>> patterns = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
        >>> memory = KernelMemory(dim=8, features=5)
        >>> ids = memory.store(patterns)
        >>> memory.learn(UHopPlus(steps=200, whiten=True)).after > 1.15  # the optimum is 1.2
        True
        >>> memory.recall(patterns).index.tolist()
        [0, 1, 2, 3, 4, 5]
    """

    similarity: Kernel

    def __init__(
        self,
        dim: int | None = None,
        *,
        bank: Bank | None = None,
        feature_map: nn.Module | str = "linear",
        features: int | None = None,
        normalize: bool = True,
        separation: Separation | str | None = None,
        space: Space = "value",
        seed: int = 0,
    ):
        if space not in ("value", "feature"):
            raise ValueError(f"space must be 'value' or 'feature', got {space!r}")
        if isinstance(feature_map, str):
            if feature_map not in FEATURE_MAPS:
                raise ValueError(f"feature_map must be a module or one of {sorted(FEATURE_MAPS)}, got {feature_map!r}")
            width = dim if bank is None else bank.dim
            feature_map = FEATURE_MAPS[feature_map](check_count("dim", width if width is not None else 0), features, seed=seed)
        elif features is not None:
            raise ValueError(f"features must be None with a map of one's own, which decides them, got {features}")
        super().__init__(dim, bank=bank, similarity=Kernel(feature_map, normalize), separation=separation, state="continuous")
        self.space: Space = space
        if space == "feature":
            self.law = law_of(Dot(), self.separation, Continuous())

    def features(self, patterns: Tensor) -> Tensor:
        """`Phi (n, D)` of `patterns (n, dim)`, as the kernel compares them; gradients flow."""
        return self.similarity.features(patterns)

    def learn(self, method: KernelLearning | str = "uhop+", *, seed: int = 0, progress: Progress | None = None) -> KernelFit:
        """Learn the kernel from the stored memories.

        After memories were added, `learn(UHopPlus(steps=50, restarts=0, tau=(0.05, 0.01)))` goes on from the map as it is.

        Args:
            method: `UHopPlus`, `UHop` or `NoiseAware`, or `"uhop+"`, `"uhop"`, `"noise-aware"` for one with its defaults.
            seed: of first weights, batches and damages.
            progress: told of the fraction that is done.

        Returns:
            the losses, and the separation `1 - max cos` of the memories' features before and after.

        Raises:
            TypeError, ValueError: no such method, fewer than two memories, or memories that map to zero; nothing has changed then.
        """
        return fit_kernel(self.similarity, self.bank, method_from(method), seed=seed, progress=progress)

    def in_feature_space(self) -> DenseMemory:
        """The memory whose patterns are the features and whose values are the patterns: a view, which computes them as it reads."""
        bank, separation = FeatureBank(self.bank, self.similarity), self.landscape().separation
        return DenseMemory(bank=bank, similarity=Dot(), separation=separation, state="continuous")

    def code_report(self, *, pairs: int = 5) -> CodeReport:
        """How good a spherical code the features of the stored memories are; rows of its pairs are places among `bank.ids()`."""
        self._require_patterns()
        with torch.no_grad():
            return code_report(unit_features(self.similarity, self.bank), pairs=pairs)

    def metastable(self, cues: Tensor, index: Tensor, known: Tensor | None = None, *, max_steps: int = 200) -> Metastable:
        """How many memories share the states at which `cues (b, dim)` come to rest, and how many of those are the right ones.

        Args:
            index: ids `(b,)` of the memories that the cues were made from.
            known, max_steps: as for `recall`.
        """
        known = self._check_cues(cues, known)
        index = check_ids("index", index)
        if len(index) != len(cues):
            raise ValueError(f"index must have one id for each of the {len(cues)} cues, got {len(index)}")
        way = Way(1e-4, check_count("max_steps", max_steps), False, 0)
        inner, states = (self, cues) if self.space == "value" else (self.in_feature_space(), self._seen(cues))
        return metastable(inner.landscape(), states, index, known, way)

    def energy_rise(self, cues: Tensor, known: Tensor | None = None, *, max_steps: int = 50) -> Tensor:
        """The largest rise `(b,)` of the energy in one step of each recall, relative to its size; at most rounding under a law."""
        recalled = self.recall(cues, known, max_steps=max_steps, trace=True)
        assert recalled.trace is not None and recalled.trace.energies is not None
        energies = recalled.trace.energies
        return (energies.diff(dim=0) / (1 + energies[:-1].abs())).clamp_min(0).amax(0)

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """As for `DenseMemory`; a pattern without finite features, or a direction of them where those count, is refused."""
        check_matrix("patterns", patterns, self.dim)
        self._check_features("patterns", patterns)
        return super().store(patterns, values, metadata, if_present)

    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, dim)`, in feature space that of their features.

        Raises:
            TypeError, ValueError: wrong shape, dtype, NaN or infinity, or an empty memory.
        """
        if self.space == "value":
            return super().energy(states)
        self._check_cues(states, None, "states")
        return self.in_feature_space().energy(self._seen(states))

    def capacity_estimate(self) -> CapacityEstimate:
        """How many memories the theory lets a random code of these features keep."""
        return self.in_feature_space().capacity_estimate() if len(self) else super().capacity_estimate()

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {**super().configuration(folder), "space": self.space}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        plain = DenseMemory.from_configuration(configuration, folder)
        kernel = plain.similarity
        if not isinstance(kernel, Kernel):
            raise ValueError(f"similarity of a {cls.__name__} must be a kernel, got {kernel!r}")
        return cls(
            bank=plain.bank,
            feature_map=kernel.feature_map,
            normalize=kernel.normalize,
            separation=plain.separation,
            space=configuration["space"],
        )

    def _recall_batch(self, cues: Tensor, known: Tensor | None, reject: float | None, way: Way) -> tuple[Recall, Tensor]:
        if self.space == "value":
            return super()._recall_batch(cues, known, reject, way)
        recalled, lead = self.in_feature_space()._recall_batch(self._seen(cues), None, reject, way)
        refused = cues if self.bank.value_dim is None else torch.zeros_like(recalled.patterns)
        return replace(recalled, patterns=torch.where(recalled.accepted[:, None], recalled.patterns, refused)), lead

    def _check_cues(self, cues: Tensor, known: Tensor | None, name: str = "cues") -> Tensor | None:
        if known is not None and self.space == "feature":
            raise ValueError("known must be None in feature space, whose states have no entries; use space='value'")
        known = super()._check_cues(cues, known, name)
        self._check_features(name, cues, known)
        return known

    @torch.no_grad()
    def _check_features(self, name: str, patterns: Tensor, known: Tensor | None = None) -> None:
        mapped = self.similarity.mapped(self.similarity.masked(widened(patterns), known))
        if not finite(mapped):
            rows = shorten((~mapped.isfinite()).any(-1).nonzero().flatten().tolist())
            raise ValueError(f"{name} must have finite features, rows whose features are not: {rows}")
        zero = (mapped == 0).all(-1)
        if self.similarity.normalize and bool(zero.any()):
            rows = shorten(zero.nonzero().flatten().tolist())
            raise ValueError(f"{name} must have a direction in feature space, rows whose features are zero: {rows}")

    def _seen(self, patterns: Tensor) -> Tensor:
        """The features of cues or states, in their precision."""
        return self.similarity.features(widened(patterns)).to(patterns.dtype)
