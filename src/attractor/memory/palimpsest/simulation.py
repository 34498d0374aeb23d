"""Many networks at once: patterns stored, damaged and recalled, for sweeps over sizes and ages, and to weigh the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from attractor.memory.palimpsest.decoder import Decoder
from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.retrieval import Marginals, Method, Posterior, retrieve

BETAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Networks:
    """Networks with patterns in them, and a damaged cue of some of those.

    Attributes:
        plasticity, f, flip_rate: the rule, the share of active neurons, and that of flipped ones in a cue.
        weights: `(n, N, N)`.
        patterns: `(n, T, N)`, the newest last.
        ages: `(b,)` of the patterns that are recalled.
        targets, cues: `(n, b, N)`.
    """

    plasticity: Plasticity
    f: float
    flip_rate: float
    weights: Tensor
    patterns: Tensor
    ages: Tensor
    targets: Tensor
    cues: Tensor

    def decoder(self, *, correlated: bool, ages: Tensor | None = None) -> Decoder:
        """Of the weights, told the true ages, or others."""
        ages = self.ages if ages is None else ages
        statistics = self.plasticity.statistics(self.f, self.patterns.shape[1], ages).at((..., None))
        return Decoder(self.weights, statistics if correlated else statistics.independent(), self.f)

    def recall(
        self,
        method: Method = "mean-field",
        *,
        correlated: bool = True,
        beta: float | Tensor = 1.0,
        ages: Tensor | None = None,
        seed: int = 0,
    ) -> Marginals:
        """Recall every cue."""
        evidence = cue_evidence(self.cues, self.f, self.flip_rate)
        return retrieve(Posterior(self.decoder(correlated=correlated, ages=ages), evidence, beta), method, seed=seed)

    def errors(self, recalled: Marginals) -> Tensor:
        """The share of wrong neurons `(n, b)`."""
        return ((recalled.probabilities > 0.5) != (self.targets > 0.5)).double().mean(-1)

    def cue_errors(self) -> Tensor:
        """The share of flipped neurons `(n, b)`."""
        return (self.cues != self.targets).double().mean(-1)


def simulate(
    plasticity: Plasticity,
    *,
    networks: int,
    size: int,
    stored: int,
    ages: Sequence[int] = (0,),
    f: float = 0.5,
    flip_rate: float = 0.1,
    seed: int = 0,
) -> Networks:
    """Store random patterns in many networks at once, and damage those of some ages.

    Example:
        >>> from attractor.memory.palimpsest import Additive
        >>> found = simulate(Additive("hebb"), networks=4, size=50, stored=5)
        >>> float(found.errors(found.recall()).mean())
        0.0
    """
    generator = torch.Generator().manual_seed(seed)
    patterns = (torch.rand(networks, stored, size, generator=generator, dtype=torch.float64) < f).double()
    state = plasticity.initial((networks, size, size), f, seed)
    state = plasticity.write(state, patterns, f, [seed * 1_000_003 + number for number in range(1, stored + 1)])
    told = torch.tensor(ages)
    targets = patterns[:, stored - 1 - told]
    flips = torch.rand(targets.shape, generator=generator, dtype=torch.float64) < flip_rate
    cues = torch.where(flips, 1 - targets, targets)
    return Networks(plasticity, f, flip_rate, plasticity.weights(state, seed), patterns, told, targets, cues)


def cue_evidence(cues: Tensor, f: float, flip_rate: float) -> Tensor:
    """The log odds that a neuron is active by the prior and the cue."""
    return log(f / (1 - f)) + (2 * cues - 1) * log((1 - flip_rate) / flip_rate)


def calibrated_betas(networks: Networks, method: Method, *, correlated: bool, betas: Sequence[float] = BETAS) -> Tensor:
    """How much the weights should count at each of the ages `(b,)`.

    The least of `betas`, the first of them 0, that makes as few errors as the best, within a standard error over the networks:
    where nothing is won for certain, the cue stands.
    """
    errors = torch.stack([networks.errors(networks.recall(method, correlated=correlated, beta=beta)) for beta in betas])
    best = errors.mean(1).argmin(0)
    more = errors - errors.gather(0, best.expand(1, errors.shape[1], -1))
    doubt = more.std(1) / errors.shape[1] ** 0.5
    as_good = more.mean(1) <= doubt
    return torch.tensor(betas, dtype=torch.float64)[as_good.int().argmax(0)]
