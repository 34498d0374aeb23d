"""Recollection and familiarity, which tell each other: the pattern given its age, and the age given the pattern.

Savin, Dayan and Lengyel, "Two is better than one: distinct roles for familiarity and recollection in retrieving palimpsest
memories", NeurIPS 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log, log1p

import torch
from torch import Tensor

from attractor.memory.palimpsest.decoder import Decoder
from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.retrieval import Marginals, Method, Posterior, retrieve
from attractor.memory.palimpsest.statistics import WeightStatistics
from attractor.validation import check_ids

FORGOTTEN = 0.01
"""Ages beyond which a pattern lies with this chance are not considered."""
ROUNDS = 6
"""Most times that pattern and age are told by each other in turn."""


@dataclass(frozen=True)
class Reader:
    """How the weights of a memory are read.

    Attributes:
        weights: `(N, N)`.
        plasticity, f, stored: the rule, the share of active neurons, and how many patterns were written.
        correlated: False takes the weights for independent.
        recency: the chance that a cue is of the newest pattern.
        weight: how much the weights count.
        betas: the same by age, where calibrated.
    """

    weights: Tensor
    plasticity: Plasticity
    f: float
    stored: int
    correlated: bool
    recency: float
    weight: float
    betas: Sequence[float]

    def statistics(self, ages: Tensor | None) -> WeightStatistics:
        """Given the pattern of each of `ages (n,)`; None: given none of them."""
        if ages is None:
            found = self.plasticity.statistics(self.f, self.stored, None)
        else:
            distinct, place = ages.cpu().unique(return_inverse=True)
            found = self.plasticity.statistics(self.f, self.stored, distinct).at(place)
        found = found if self.correlated else found.independent()
        return replace(found, **{name: value.to(self.weights.device) for name, value in vars(found).items()})

    def beta(self, ages: Tensor) -> Tensor:
        """How much the weights count for patterns of `ages (n,)`; older ones than were calibrated count as the last."""
        betas = torch.tensor(self.betas or [self.weight], dtype=torch.float64, device=ages.device)
        return betas[ages.clamp_max(len(betas) - 1)]

    def ages(self, age: int | Tensor | None, count: int) -> Tensor:
        """The ages to try for each of `count` cues `(b, ages)`: the one told, or all that are likely enough."""
        if age is None:
            horizon = 1 if self.plasticity.ageless else ceil(log(FORGOTTEN) / log1p(-self.recency))
            return torch.arange(min(horizon, self.stored), device=self.weights.device).expand(count, -1)
        ages = check_ids("age", torch.as_tensor(age))
        if len(ages) not in (1, count) or not bool(((ages >= 0) & (ages < self.stored)).all()):
            raise ValueError(
                f"age must be one number or one for each of {count} cues, from 0 to {self.stored - 1} as {self.stored} patterns "
                f"are stored, got {age}"
            )
        return ages.to(self.weights.device).expand(count)[:, None]

    def read(
        self, evidence: Tensor, tried: Tensor, method: Method, steps: int | None, seed: int
    ) -> tuple[Marginals, Tensor, Tensor]:
        """The patterns, their ages `(b,)`, and how familiar they are `(b,)`, from `evidence (b, N)` and the ages to try."""
        decoder = Decoder(self.weights, self.statistics(None), self.f)
        ages = self.familiar_ages(decoder, evidence.sigmoid(), tried)
        for _ in range(ROUNDS):
            reader = decoder.with_statistics(self.statistics(ages).at((..., None)))
            found = retrieve(Posterior(reader, evidence, self.beta(ages)[:, None]), method, steps=steps, seed=seed)
            read_at, ages = ages, self.familiar_ages(decoder, found.probabilities, tried)
            if torch.equal(ages, read_at):
                break
        likely = (found.probabilities > 0.5).double()
        by_cue = torch.nn.functional.logsigmoid((2 * likely - 1) * evidence).sum(1)
        return found, read_at, by_cue + reader.log_likelihood(likely) - decoder.log_likelihood(likely)

    def familiar_ages(self, decoder: Decoder, probabilities: Tensor, tried: Tensor) -> Tensor:
        """The most probable of the ages `tried (b, ages)` given what the patterns probably are: `(b,)`.

        What is not known for certain counts by the mean over both states: the weights of a young pattern vary more with it, and
        the likelihood of the probabilities themselves would take every doubt for a sign of youth.
        """
        if tried.shape[1] == 1:
            return tried[:, 0]
        statistics = self.statistics(tried.flatten()).at(torch.arange(tried.numel()).view(*tried.shape, 1))
        told = decoder.with_statistics(statistics).expected_log_likelihood(probabilities[:, None])
        return tried.gather(1, (tried * log1p(-self.recency) + self.weight * told).argmax(1, keepdim=True))[:, 0]
