"""Associative memory by predictive coding: a generative network whose weights learn the patterns by local rules.

Recall infers the layers above the senses, and reads what they predict. Of an incomplete cue the known senses are evidence and the
others follow their prediction, which makes their error zero: the descent is over the layers above alone.

Source: Salvatori et al. 2021, "Associative Memories via Predictive Coding"; there missing senses descend too (`method="joint"`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from attractor.bank import RamBank
from attractor.memory.base import IfPresent, Memory, register
from attractor.memory.predictive_coding.checks import check_left, check_new, check_not_empty, check_precisions, warn_of_patterns
from attractor.memory.predictive_coding.connections import Connection, connected
from attractor.memory.predictive_coding.inference import Inference
from attractor.memory.predictive_coding.learning import Fit, PredictiveLearning, Progress, fit
from attractor.memory.predictive_coding.network import PredictiveNetwork
from attractor.memory.predictive_coding.reading import Method, Reader, asked_of, planned, recalled
from attractor.memory.predictive_coding.settings import keywords, network_settings
from attractor.memory.recall import Recall
from attractor.validation import check_count, check_not_negative, check_positive


@register("predictive_coding")
class PredictiveCodingMemory(Memory):
    """A memory by predictive coding.

    `store` trains the network on all patterns that are stored, from the same first weights each time: the same patterns give the
    same memory however they came. Patterns are kept, so that it can learn them again beside new ones, forget, and name the one
    that a recall is nearest to. The energy of a state is its surprise: low for what is stored, high for what is not.

    Two modalities are stored as one, side by side: `known` then tells which of them a cue has, and `precisions` how much each
    counts.

    Args:
        dim: width of a pattern. Entries should be of the order of 1, such as pixels in [0, 1].
        layers: from the senses up, the last one is the memory layer: widths of dense layers, or `Convolution` objects.
        activation: `"relu"`, `"tanh"` or `"identity"`.
        precisions: one of each layer from the senses up, `len(layers) + 1` in all. A positive number; for the senses also a vector
            `(dim,)` with entries from 0; for the memory layer also 0, no prior. Default: 1 everywhere.
        bias: whether predictions have a constant part, which starts at the mean of the patterns.
        learning: how `store` trains.
        inference: how a recall descends.
        seed: of the first weights, and of the order of batches.

    Attributes:
        network: the `PredictiveNetwork`.
        last_fit: how the network was trained last, None if it was loaded or never was.

    Raises:
        TypeError, ValueError: a width below 1, layers that do not fit, an unknown activation, or precisions out of range.

    Example:
        >>> patterns = torch.rand(10, 64, generator=torch.Generator().manual_seed(0))
        >>> memory = PredictiveCodingMemory(64, layers=(32, 32), learning=PredictiveLearning(steps=600, rate=3e-3))
        >>> ids = memory.store(patterns)
        >>> known = torch.arange(64).expand(10, 64) < 32
        >>> recalled = memory.recall(patterns, known=known)
        >>> bool((recalled.patterns - patterns).square().mean() < 0.005), recalled.index.tolist() == ids.tolist()
        (True, True)
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: Sequence[int | Connection] = (256, 256),
        activation: str = "relu",
        precisions: Sequence[float | Tensor] | None = None,
        bias: bool = True,
        learning: PredictiveLearning | None = None,
        inference: Inference | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.dim = check_count("dim", dim)
        connections = connected(self.dim, layers)
        precisions = [1.0] * (len(connections) + 1) if precisions is None else list(precisions)
        check_precisions(precisions, self.dim, len(connections))
        self.network = PredictiveNetwork(connections, activation, precisions, bias)
        self.learning = PredictiveLearning() if learning is None else learning
        self.inference = Inference() if inference is None else inference
        self.seed = check_count("seed", seed, 0)
        self.bank = RamBank(self.dim)
        self.last_fit: Fit | None = None
        self._kept_reader: Reader | None = None
        self.register_load_state_dict_post_hook(forget_reader)

    def __len__(self) -> int:
        return len(self.bank)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.network.connections))
        trained = "" if self.last_fit is None else f", {self.last_fit!r}"
        return f"{type(self).__name__}({len(self)} patterns, dim={self.dim}, layers=({layers}), {self.network.activation}{trained})"

    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
        *,
        fresh: bool = True,
        progress: Progress | None = None,
    ) -> Tensor:
        """Train the network on these patterns and all that are stored.

        Args:
            patterns: `(n, dim)`, finite.
            values: refused: store pattern and value side by side, and recall with `known`.
            metadata: one mapping of JSON values, or None, for each row.
            if_present: what to do with a row that equals a stored one: `"add"` it again, `"skip"` it, or `"raise"`.
            fresh: start from the first weights; False: from those that there are, which is shorter where few patterns are new but
                leaves a trace of the order in which they came.
            progress: told of the fraction of the training that is done.

        Returns:
            ids `(n,)` int64 of the rows stored; with `"skip"` those of new rows only.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity, or training that diverges; nothing is stored then.

        Warns:
            AttractorWarning: entries far from 1, or a pattern so like another one that they are hardly told apart.
        """
        if values is not None:
            raise TypeError(f"values must be None: a {type(self).__name__} stores them side by side with the patterns")
        patterns, metadata = check_new(patterns, metadata, self.bank, if_present)
        if len(patterns) == 0:
            return torch.empty(0, dtype=torch.int64, device=patterns.device)
        everything = torch.cat([self._stored(), patterns])
        warn_of_patterns(everything, len(self))
        trained = self._trained(everything, self.learning, fresh or len(self) == 0, progress)
        ids = self.bank.append(patterns, None, metadata)
        self._adopt(*trained)
        return ids

    def forget(self, ids: Tensor, *, progress: Progress | None = None) -> None:
        """Remove the items with these ids, and train the network on the others.

        Raises:
            ValueError: an id is not stored, or comes twice; nothing is removed then.
        """
        left = check_left(ids, self.bank)
        if bool(left.all()):
            return
        trained = self._trained(self._stored()[left], self.learning, True, progress) if bool(left.any()) else None
        self.bank.forget(ids)
        if trained is not None:
            self._adopt(*trained)

    def learn(self, how: PredictiveLearning | None = None, *, fresh: bool = False, progress: Progress | None = None) -> Fit:
        """Train on what is stored, from the weights as they are unless `fresh`; the next `store` starts anew all the same.

        Raises:
            ValueError: nothing is stored, or training diverges; nothing has changed then.
        """
        check_not_empty(self.bank)
        network, fitted = self._trained(self._stored(), self.learning if how is None else how, fresh, progress)
        self._adopt(network, fitted)
        return fitted

    @torch.no_grad()
    def recall(
        self,
        cues: Tensor,
        known: Tensor | None = None,
        *,
        confidence: float | Tensor | None = None,
        method: Method = "prediction",
        max_steps: int | None = None,
        inference: Inference | None = None,
        reject: float | None = None,
        tol: float | None = None,
        trace: bool = False,
        batch_size: int | None = None,
    ) -> Recall:
        """Recall what the network predicts where the layers above the senses come to rest.

        A complete cue is taken for noisy: what is predicted from it is the next cue, and so on. An incomplete one is completed at
        once: its known entries stay.

        Args:
            cues: `(b, dim)`; what stands at unknown entries is never read.
            known: `(b, dim)`, True where a cue is trusted: those entries stay, the others follow their prediction.
            confidence: in place of `known`, for cues that are noisy and incomplete: how much each entry counts as evidence, a
                number, or `(dim,)`, or `(b, dim)`; 0 where it is missing, 0.1 for strong noise. All entries are then predicted.
            method: `"joint"` lets the senses that are not known move beside the other layers, from the cue or, where it is unknown,
                from what the memory vector predicts: the literal form, many times slower.
            max_steps: passes over the senses. Default: 30 for a complete cue of full confidence; one otherwise.
            inference: of a pass. Default: that of the memory, cut to 50 steps where there are several passes.
            reject: refuse cues whose surprise is above this; they come back as given, zero where unknown.
            tol: a row is at rest when its senses no longer change by more than this from one pass to the next, or, of a single
                pass, its latents from one step to the next; relative to its largest entry or 1. Default: 1e-6 in float64, 1e-4
                otherwise.
            trace: keep the senses after each pass.
            batch_size: recall this many cues at a time. Default: by a memory budget.

        Returns:
            the recall; `index` is the stored pattern nearest to what was recalled, `energy` the surprise of that.

        Raises:
            TypeError, ValueError: wrong shape, dtype, NaN or infinity where trusted, a row with nothing known, an argument that
                does not apply, an empty memory, or an inference that diverges.
        """
        asked = asked_of("cues", cues, known, confidence, self.bank)
        passes, inference = planned(asked, method, max_steps, inference, self.inference)
        tol = (1e-6 if cues.dtype == torch.float64 else 1e-4) if tol is None else check_positive("tol", tol)
        reader = self._reader()
        accepted = torch.ones(len(cues), dtype=torch.bool, device=cues.device)
        if reject is not None:
            accepted = reader.surprise(asked, self.inference) <= check_not_negative("reject", reject)
        size = reader.batch if batch_size is None else check_count("batch_size", batch_size)
        surprise, parts = partial(reader.surprise, how=self.inference), []
        for some, kept in zip(asked.split(size), accepted.split(size), strict=True):
            walked = reader.joint(some, inference, tol) if method == "joint" else reader.predicted(some, inference, tol, passes)
            parts.append(recalled(self.bank, some, walked, kept, surprise, trace))
        return Recall.join(parts)

    @torch.no_grad()
    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, dim)`: that of the prediction errors, once the layers above have come to rest.

        Raises:
            TypeError, ValueError: wrong shape or dtype, NaN or infinity, or an empty memory.
        """
        return self._reader().surprise(asked_of("states", states, None, None, self.bank), self.inference)

    @torch.no_grad()
    def surprise(self, cues: Tensor, known: Tensor | None = None, *, confidence: float | Tensor | None = None) -> Tensor:
        """How little each of `cues (b, dim)` is expected, `(b,)`: the energy of what is known of it, all as for `recall`."""
        return self._reader().surprise(asked_of("cues", cues, known, confidence, self.bank), self.inference)

    @torch.no_grad()
    def generate(self, count: int, *, noise: float = 0.0, seed: int = 0) -> Tensor:
        """`(count, dim)`: what the memory vector, with noise of this standard deviation, predicts.

        Raises:
            ValueError: a number is out of range, or the memory is empty.
        """
        check_not_empty(self.bank)
        generator = torch.Generator().manual_seed(check_count("seed", seed, 0))
        return self.network.generated(self.network.tops(check_count("count", count), noise, generator))[0]

    def configuration(self, folder: Path) -> dict[str, Any]:
        settings = network_settings(self.network)
        return {**settings, "learning": asdict(self.learning), "inference": asdict(self.inference), "seed": self.seed}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        return cls(**keywords(configuration))

    def contents(self) -> dict[str, Tensor]:
        return self.bank.contents()

    def restore(self, contents: dict[str, Tensor]) -> None:
        self.bank.restore(contents)
        # the weights that follow are copied into those that are there
        self.network.to(self.bank.dtype)

    def _trained(
        self, patterns: Tensor, how: PredictiveLearning, fresh: bool, progress: Progress | None
    ) -> tuple[PredictiveNetwork, Fit]:
        """A trained copy of the network."""
        with torch.inference_mode(False), torch.no_grad():
            network = copy.deepcopy(self.network).to(patterns)
            if fresh:
                network.reset(torch.Generator().manual_seed(self.seed), patterns.mean(0))
            return network, fit(network, patterns, how, seed=self.seed, progress=progress)

    def _adopt(self, network: PredictiveNetwork, fitted: Fit) -> None:
        self.network, self.last_fit, self._kept_reader = network, fitted, None

    def _stored(self) -> Tensor:
        return self.bank.get(self.bank.ids()).patterns

    def _reader(self) -> Reader:
        self._kept_reader = self._kept_reader or Reader(self.network)
        return self._kept_reader

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._kept_reader = None
        return super()._apply(fn, recurse)


def forget_reader(memory: PredictiveCodingMemory, _: object) -> None:
    """Step sizes follow from the weights."""
    memory._kept_reader = None
