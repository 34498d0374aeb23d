"""Associative memory by learned local constraints with noisy neurons: its capacity is exponential in the number of neurons.

Patterns that lie in a subspace obey linear constraints. Each cluster of neurons learns those of the part that it sees, and recall
passes messages between pattern neurons and constraint neurons until the constraints hold. Every vector of whole numbers that obeys
them all counts as stored, seen in training or not.

Source: Karbasi, Salavati, Shokrollahi and Varshney, "Noise-Enhanced Associative Memories", NIPS 2013; "Noise Facilitation in
Associative Memories of Exponential Capacity", Neural Computation 26, 2014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.memory.base import REAL, Domain, IfPresent, register
from attractor.memory.constraint.clusters import check_clusters, random_clusters, usual_count
from attractor.memory.constraint.decoding import BitFlipping
from attractor.memory.constraint.erasures import completed
from attractor.memory.constraint.learning import LEARN, Constraints, Learn, learn_constraints, warn_of_unconstrained
from attractor.memory.constraint.peeling import Graph, peel
from attractor.memory.counting import CountingMemory, check_settings, refuse_items
from attractor.memory.recall import Recall, Trace
from attractor.validation import check_count, check_finite, check_floating, check_known, check_matrix, check_shape, shorten

EXACT = 2**53
"""Whole numbers below this are exact in double precision."""


@register("constraint")
class ConstraintMemory(CountingMemory):
    """A memory of linear constraints, learned cluster by cluster.

    Patterns are whole numbers that lie in a subspace in each cluster: sums of few sources, such as `messages @ generator`. Other
    data leave no constraint, and a recall says so. An error moves a neuron by a few whole steps up or down; the right neurons are
    found among all of them, so `known` is not needed. Entries that are known to be missing are filled from the constraints first.

    It keeps second moments, not patterns: `Recall.index`, `score` and `margin` are None, and there is no energy. Patterns can be
    forgotten, exactly. `Recall.converged` says whether all constraints hold of what was recalled, `Recall.steps` counts sweeps.

    Args:
        dim: width of a pattern.
        clusters: how many there are, drawn at random, or the neurons of each, such as overlapping patches of an image. Default: so
            many that each has about 40 neurons.
        degree: in how many of the random clusters each neuron is.
        learn: how constraints are found: `"online"`, the rule of the paper; `"spud"`, as sparse as can be; `"svd"`, dense.
        decoder: how cues are corrected, and how noisy the neurons are that do it.
        limits: least and largest value of a neuron.
        seed: of the clusters, of learning, and of the noise of a recall.

    Raises:
        TypeError, ValueError: an argument is out of range, a neuron is in no cluster, or a cluster repeats one.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> sources = (torch.rand(10, 120, generator=generator) < 0.2).float()
        >>> patterns = torch.randint(0, 2, (500, 10), generator=generator) @ sources.long()
        >>> memory = ConstraintMemory(120, learn="spud")
        >>> ids = memory.store(patterns[:400].float())
        >>> unseen = patterns[400:].float()
        >>> errors = torch.rand(unseen.shape, generator=generator) < 0.02
        >>> recalled = memory.recall(unseen + errors)
        >>> bool((recalled.patterns == unseen).all(1).double().mean() > 0.95)
        True
    """

    settings = ("dim", "clusters", "degree", "learn", "decoder", "limits", "seed")
    moments: Tensor
    sums: Tensor

    def __init__(
        self,
        dim: int,
        *,
        clusters: int | Sequence[Sequence[int] | Tensor] | None = None,
        degree: int = 5,
        learn: Learn = "online",
        decoder: BitFlipping | None = None,
        limits: tuple[int, int] = (-10, 100),
        seed: int = 0,
    ):
        super().__init__()
        self.dim, self.degree, self.seed = check_count("dim", dim, 2), check_count("degree", degree), check_count("seed", seed, 0)
        if clusters is None or isinstance(clusters, int):
            count = usual_count(self.dim, degree) if clusters is None else check_count("clusters", clusters)
            if degree > count:
                raise ValueError(f"degree must be at most the number of clusters, {count}, got {degree}")
            self.clusters = check_clusters(random_clusters(self.dim, count, degree, self.seed), self.dim)
            self._asked: int | list[list[int]] = count
        else:
            self.clusters = check_clusters(clusters, self.dim)
            self._asked = [members.tolist() for members in self.clusters]
        if learn not in LEARN:
            raise ValueError(f"learn must be one of {LEARN}, got {learn!r}")
        low, high = check_limits(limits)
        self.learn, self.limits = learn, (low, high)
        self.domain = Domain("levels", self.limits[1] + 1) if low == 0 else REAL
        self.decoder = BitFlipping() if decoder is None else decoder
        # whole numbers, so that sums are exact and patterns can be taken out again
        self.register_buffer("moments", torch.zeros(dim, dim, dtype=torch.int64))
        self.register_buffer("sums", torch.zeros(dim, dtype=torch.int64))
        self._learned: tuple[Constraints, ...] | None = None
        self.register_load_state_dict_post_hook(unlearn)

    def __repr__(self) -> str:
        rows = "" if self._learned is None else f", {sum(len(one.rows) for one in self._learned)} constraints"
        return (
            f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, {len(self.clusters)} clusters, learn={self.learn!r}"
            f"{rows}, noise={self.decoder.noise:g})"
        )

    @property
    def constraints(self) -> tuple[Constraints, ...]:
        """What each cluster has learned, at the first recall after patterns came or went.

        Warns:
            AttractorWarning: some neurons are in no constraint; errors there go unseen.

        Raises:
            ValueError: the memory is empty, or the patterns are of full rank in a cluster.
        """
        if len(self) == 0:
            raise ValueError("the memory is empty: store patterns first")
        if self._learned is None:
            with torch.inference_mode(False), torch.no_grad():
                self._learned = learn_constraints(self.moments, self.clusters, self.learn, self.seed)
            warn_of_unconstrained(self._learned, self.dim)
        return self._learned

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Add patterns to the second moments; call again to add more. Their order does not matter.

        Args:
            patterns: `(n, dim)` of whole numbers within `limits`, floating point.
            values: refused: store pattern and value side by side, and recall with `known`.
            metadata: refused, as there are no items to keep it beside.
            if_present: `"add"` only: moments cannot tell what is in them.

        Returns:
            running numbers `(n,)`, int64.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity, or an argument that does not apply; nothing is stored
                then.
        """
        if values is not None:
            raise TypeError(f"values must be None: a {type(self).__name__} stores them side by side with the patterns")
        refuse_items(self, metadata, if_present)
        self._add(patterns, 1)
        return self._count_in(patterns)

    def forget(self, patterns: Tensor) -> None:
        """Take `patterns (n, dim)`, stored ones, out of the moments again: exactly.

        Raises:
            TypeError: ids came instead of patterns.
            ValueError: wrong shape or entries, or patterns that cannot all be stored ones, as far as moments tell; nothing is
                forgotten then.
        """
        self._refuse_ids(patterns)
        self._add(patterns, -1)
        self._count_out(patterns)

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        decoder: BitFlipping | None = None,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Recall:
        """Correct the cues until all constraints hold.

        Args:
            cues: `(b, dim)` of whole numbers within `limits`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted. Other entries are first filled from the constraints; trusted ones never
                change.
            decoder: in place of that of the memory.
            generator: of the noise. Default: one that starts from the seed of the memory at each call.
            trace: keep the states after each sweep.

        Returns:
            the recall; where `converged` is False some constraint does not hold, and the pattern is corrected in part.

        Raises:
            TypeError, ValueError: wrong shape or entries, NaN or infinity where trusted, a row with nothing known, an empty memory,
                or patterns that leave a cluster without constraints.
        """
        check_floating("cues", cues)
        check_shape("cues", cues, self.dim)
        constraints = self.constraints
        known = check_known(known, cues)
        trusted = cues if known is None else torch.where(known, cues, self.limits[0])
        check_finite("cues", trusted)
        self._check_entries("cues", trusted)
        how = self.decoder if decoder is None else decoder
        generator = torch.Generator().manual_seed(self.seed) if generator is None else generator
        graph = Graph(constraints, self.dim, torch.promote_types(cues.dtype, torch.float32), self.limits)
        if known is not None:
            filled = completed(graph.matrix, trusted, known, self.sums / len(self)).round().clamp(*self.limits)
            trusted = torch.where(known, trusted, filled.to(cues.dtype))
        start = trusted.detach().clone().to(graph.matrix.dtype)
        peeled = peel(graph, start, how, generator, None if known is None else ~known)
        steps = peeled.sweeps + (0 if known is None else 1)
        way = Trace(torch.stack(peeled.way).to(cues.dtype), None) if trace else None
        everything = torch.ones_like(peeled.satisfied)
        return Recall(peeled.states.to(cues.dtype), None, None, None, everything, None, steps, peeled.satisfied, way)

    def configuration(self, folder: Path) -> dict[str, Any]:
        settings = super().configuration(folder)
        return {**settings, "clusters": self._asked, "decoder": asdict(self.decoder), "limits": list(self.limits)}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        low, high = check_settings(configuration, cls.settings)["limits"]
        decoder = BitFlipping(**configuration["decoder"])
        return cls(**{**configuration, "decoder": decoder, "limits": (low, high)})

    def _add(self, patterns: Tensor, sign: int) -> None:
        """Add the moments of `patterns`, or take them away, once they are found fit."""
        check_matrix("patterns", patterns, self.dim)
        self._check_entries("patterns", patterns)
        exact = patterns.detach().double()
        if float(self.moments.diagonal().max()) + float(exact.square().sum(0).max()) >= EXACT:
            raise ValueError(
                f"patterns must leave sums of squares below {EXACT:g}, or sums are not exact: store fewer or smaller ones"
            )
        moments = self.moments + sign * (exact.T @ exact).round().long()
        sums = self.sums + sign * exact.sum(0).round().long()
        if sign < 0:
            left = len(self) - len(patterns)
            # sums of squares of what is left, about its mean
            spread = left * moments.diagonal() - sums.square()
            if left < 0 or bool((spread < 0).any()) or (left == 0 and bool((moments != 0).any())):
                raise ValueError(
                    f"patterns must be stored ones, {len(patterns)} came that are not all among the {len(self)} stored"
                )
        self.moments, self.sums, self._learned = moments, sums, None

    def _check_entries(self, name: str, values: Tensor) -> None:
        """Raise `ValueError` where entries are no whole numbers within the limits."""
        self.domain.check(name, values)
        low, high = self.limits
        wrong = ((values != values.round()) | (values < low) | (values > high)).any(1)
        if bool(wrong.any()):
            raise ValueError(
                f"{name} must be whole numbers from {low} to {high}, rows with others: "
                f"{shorten(wrong.nonzero().flatten().tolist())}; for real data make a memory with limits=(0, 15) and wrap it: "
                "Encoded(memory, Quantise(16))"
            )

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._learned = None
        return super()._apply(fn, recurse)


def check_limits(limits: tuple[int, int]) -> tuple[int, int]:
    """The least and the largest value of a neuron."""
    if not isinstance(limits, tuple | list) or len(limits) != 2 or any(not isinstance(one, int) for one in limits):
        raise TypeError(f"limits must be two whole numbers, got {limits!r}")
    if limits[0] >= limits[1]:
        raise ValueError(f"limits must be two whole numbers, the lower first, got {limits!r}")
    return limits[0], limits[1]


def unlearn(memory: ConstraintMemory, _: object) -> None:
    """Constraints follow from the moments."""
    memory._learned = None
