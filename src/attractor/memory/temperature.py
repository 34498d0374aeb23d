"""The inverse temperature that a memory chooses from its patterns.

With `beta x gap = 10 + log n` for the gap between a pattern's score with itself and with the nearest other one, the other `n`
patterns together weigh `e^-10` of it. The gap is taken at its 5th percentile, so that a few near-duplicates do not decide.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.errors import CapacityWarning
from attractor.memory.evidence import best_rival
from attractor.memory.states import State
from attractor.read import Read, Similarity, TopK

SAMPLE = 2048
PERCENTILE = 0.05
MARGIN = 10.0
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Temperature:
    """A chosen inverse temperature `beta`, and the `reason` in words."""

    beta: float
    reason: str


def choose_beta(bank: Bank, similarity: Similarity, state: State) -> Temperature:
    """The inverse temperature at which a typical pattern of `bank` stands out from all others.

    Raises:
        ValueError: the bank is empty.
    """
    count = len(bank)
    wanted = MARGIN + math.log(count) if count else 0.0
    own, gap = score_gaps(bank, similarity, state)
    confusable = float((gap <= 0).float().mean()) if len(gap) else 0.0
    if len(gap) and float(gap.quantile(PERCENTILE)) > 0:
        typical = float(gap.quantile(PERCENTILE))
        return Temperature(wanted / typical, f"(10 + log {count}) / {typical:.4g}, the 5th percentile of the score gap")
    if not len(gap):
        scale = max(float(own.abs().mean()), 1.0)
        return Temperature(wanted / scale, "one distinct pattern: any beta recalls it")
    warnings.warn(
        f"{confusable:.0%} of the stored patterns score another pattern as high as themselves under {similarity!r}; "
        "they cannot be recalled. Euclidean() or Cosine() separates patterns of different length",
        CapacityWarning,
        stacklevel=3,
    )
    positive = gap[gap > 0]
    typical = float(positive.median()) if len(positive) else max(float(own.abs().mean()), 1.0)
    return Temperature(wanted / typical, f"(10 + log {count}) / {typical:.4g}; {confusable:.0%} of the patterns are not separable")


@torch.no_grad()
def score_gaps(bank: Bank, similarity: Similarity, state: State) -> tuple[Tensor, Tensor]:
    """Score of sampled patterns with themselves, and its lead over the best other, where there is another."""
    patterns = bank.sample(SAMPLE).patterns
    cues = state.view(patterns)
    lead = lead_over_others(bank, similarity, cues, patterns).float()
    return similarity.paired(cues, patterns), lead[lead.isfinite()]


def lead_over_others(bank: Bank, similarity: Similarity, cues: Tensor, patterns: Tensor) -> Tensor:
    """Score `(n,)` of each of `patterns` with its cue, minus the best of a stored pattern that differs from it."""
    leads = []
    for some_cues, some_patterns in zip(cues.split(ROWS_AT_ONCE), patterns.split(ROWS_AT_ONCE), strict=True):
        read = Read(similarity, TopK(2, beta=1.0), some_cues)
        rival = best_rival(bank, read, some_patterns) + read.prepared.offset.squeeze(-1)
        leads.append(similarity.paired(some_cues, some_patterns) - rival)
    return torch.cat(leads)
