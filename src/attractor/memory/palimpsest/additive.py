"""Additive plasticity: each pattern adds a table of its pairs to the weights, `W <- decay W + Omega(x_i, x_j)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attractor.memory.palimpsest.plasticity import Plasticity
from attractor.memory.palimpsest.statistics import WeightStatistics, effects, two_by_two
from attractor.validation import check_not_negative, check_number

RULES = ("hebb", "covariance", "pre", "post")
LEAST_PRIVATE = 1e-4
"""Without noise the antisymmetric part of the weights has no variance of its own; this share of the symmetric one stands in."""
LEAST_OF_PATTERN = 1e-6
"""The same as a share of what one pattern writes, for tables without a symmetric part."""


def additive_table(rule: str, f: float) -> Tensor:
    """The table `[x_i][x_j]` of a rule: `"hebb"` x_i x_j, `"covariance"` (x_i - f)(x_j - f), `"pre"` gated (x_i - f) x_j, or
    `"post"` gated x_i (x_j - f)."""
    active = torch.tensor([0.0, 1.0], dtype=torch.float64)
    centred = active - f
    return torch.outer(
        active if rule in ("hebb", "post") else centred,
        active if rule in ("hebb", "pre") else centred,
    )


class Additive(Plasticity):
    """Weights that sum over the patterns.

    Args:
        rule: `"hebb"`, `"covariance"`, `"pre"`, `"post"`, or a 2 x 2 table of what to add: `[neuron behind][neuron before]`.
        decay: weights shrink by this factor before each pattern; 1 keeps all patterns alike.
        noise: standard deviation of a fixed Gaussian disturbance of each weight.

    Raises:
        TypeError, ValueError: unknown rule, a table of another shape or one that depends on no pattern, `decay` outside (0, 1],
            or `noise` negative.

    Example:
        >>> Additive("hebb", decay=0.95)
        Additive('hebb', decay=0.95, noise=0.0)
    """

    def __init__(self, rule: str | Sequence[Sequence[float]] | Tensor = "hebb", *, decay: float = 1.0, noise: float = 0.0):
        check_number("decay", decay)
        if not 0 < decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {decay!r}")
        if isinstance(rule, str):
            if rule not in RULES:
                raise ValueError(f"rule must be one of {', '.join(RULES)} or a 2 x 2 table, got {rule!r}")
            self.rule: str | list[list[float]] = rule
        else:
            table = two_by_two("rule", rule)
            if bool((table == table[0, 0]).all()):
                raise ValueError(f"rule must depend on the neurons, got the same everywhere: {table.tolist()}")
            self.rule = table.tolist()
        self.decay = float(decay)
        self.noise = check_not_negative("noise", noise)
        self.ageless = decay == 1
        self.undoable = self.ageless

    def __repr__(self) -> str:
        return f"Additive({self.rule!r}, decay={self.decay}, noise={self.noise})"

    def table(self, f: float) -> Tensor:
        """What is added to a synapse, `[x_i][x_j]`."""
        return additive_table(self.rule, f) if isinstance(self.rule, str) else torch.tensor(self.rule, dtype=torch.float64)

    def initial(self, shape: Sequence[int], f: float, seed: int) -> Tensor:
        return torch.zeros(*shape, dtype=torch.float64)

    def write(self, state: Tensor, patterns: Tensor, f: float, seeds: Sequence[int]) -> Tensor:
        """The weights after `patterns (..., n, N)`, the newest last: one product of matrices."""
        count = patterns.shape[-2]
        fading = self.decay ** torch.arange(count - 1, -1, -1, dtype=state.dtype, device=state.device)
        return state * self.decay**count + self._sum(patterns.to(state), fading, f)

    def undo(self, state: Tensor, patterns: Tensor, f: float) -> Tensor:
        return state - self._sum(patterns.to(state), torch.ones(patterns.shape[-2]).to(state), f)

    def weights(self, state: Tensor, seed: int) -> Tensor:
        if self.noise == 0:
            return state
        drawn = torch.randn(state.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return state + self.noise * drawn.to(state)

    def statistics(self, f: float, stored: int, ages: Tensor | None) -> WeightStatistics:
        mean, post, pre, both = effects(self.table(f), f)
        ages_or_none = torch.zeros(1, dtype=torch.float64) if ages is None else ages.double()
        kept = self.decay**ages_or_none if ages is not None else torch.zeros_like(ages_or_none)
        powers = self.decay ** torch.arange(stored, dtype=torch.float64)
        everything = powers.square().sum()
        others = (everything - kept.square()).clamp_min(0)
        written = post.square() + pre.square() + both.square()
        # the same for all ages: what stands in for noise must not tell them apart
        least = torch.maximum(LEAST_PRIVATE * everything * both.square(), LEAST_OF_PATTERN * written).expand_as(kept)
        return WeightStatistics(
            (mean * powers.sum()).expand_as(kept),
            post * kept,
            pre * kept,
            both * kept,
            others * post.square(),
            others * pre.square(),
            others * post * pre,
            others * both.square(),
            least.clamp_min(self.noise**2),
        )

    def load(self, stored: int) -> float:
        return float((self.decay ** torch.arange(stored, dtype=torch.float64)).square().sum()) - 1

    def configuration(self) -> dict[str, Any]:
        return {"kind": "additive", "rule": self.rule, "decay": self.decay, "noise": self.noise}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Additive:
        return cls(configuration["rule"], decay=configuration["decay"], noise=configuration["noise"])

    def _sum(self, patterns: Tensor, fading: Tensor, f: float) -> Tensor:
        (neither, before), (behind, both) = self.table(f).tolist()
        faded = patterns * fading[:, None]
        active, pairs = faded.sum(-2), faded.mT @ patterns
        alone = (behind - neither) * active[..., :, None] + (before - neither) * active[..., None, :]
        return neither * fading.sum() + alone + (both - behind - before + neither) * pairs
