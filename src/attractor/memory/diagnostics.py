"""Questions about a memory that users ask: which patterns can it recall, and how much damage do they survive?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attractor.memory.states import Binary
from attractor.memory.temperature import lead_over_others
from attractor.read import Tempered

if TYPE_CHECKING:
    from attractor.memory.dense import DenseMemory

Strengthened = Callable[[Tensor, float, torch.Generator], Any]
"""`damage(patterns, strength, generator)`: a damaged copy, or an object with `cue` and `known`."""


@dataclass(frozen=True, eq=False)
class PatternSeparation:
    """How well patterns stand apart.

    Attributes:
        gap: `(n,)` score of a pattern with itself minus its best score with a stored pattern that differs.
        needed: the gap at which the other patterns together weigh less than 1% of it; None for a separation without `beta`.
        retrievable: `(n,)` whether recall started at the pattern ends nearest to it.
    """

    gap: Tensor
    needed: float | None
    retrievable: Tensor

    def __repr__(self) -> str:
        smallest = float(self.gap.min())
        return f"PatternSeparation({int(self.retrievable.sum())} of {len(self.gap)} retrievable, smallest gap {smallest:.4g})"


@dataclass(frozen=True, eq=False)
class BasinRadius:
    """How much damage is survived: `recovered` holds the fraction of patterns recalled at each of the `strengths`.

    `radius` is the largest strength up to which at least half of them are, 0 where none is.
    """

    strengths: tuple[float, ...]
    recovered: tuple[float, ...]

    @property
    def radius(self) -> float:
        survived = 0.0
        for strength, fraction in zip(self.strengths, self.recovered, strict=True):
            if fraction < 0.5:
                break
            survived = strength
        return survived


@torch.no_grad()
def separation_of(memory: DenseMemory, patterns: Tensor) -> PatternSeparation:
    """How well `patterns (n, dim)`, stored ones, stand apart at the memory's inverse temperature."""
    gap = lead_over_others(memory.bank, memory.similarity, memory.landscape().state.view(patterns), patterns)
    needed = None
    if isinstance(separation := memory.landscape().separation, Tempered):
        needed = math.log(100 * max(len(memory) - 1, 1)) / separation.number
    recalled = memory.recall(patterns)
    assert recalled.index is not None
    winners = memory.bank.get(recalled.index).patterns
    return PatternSeparation(gap, needed, (winners == patterns).all(-1))


@torch.no_grad()
def basin_radius(
    memory: DenseMemory, damage: Strengthened | None, strengths: Sequence[float] | None, samples: int, seed: int
) -> BasinRadius:
    """Recall sampled patterns under growing damage."""
    chosen = memory.bank.sample(samples, seed)
    if damage is None:
        damage = flip_fraction if isinstance(memory.state, Binary) else relative_noise
    if strengths is None:
        strengths = (
            [step / 20 for step in range(1, 11)] if isinstance(memory.state, Binary) else [step / 4 for step in range(1, 13)]
        )
    recovered = []
    for strength in strengths:
        # not the plain seed: patterns drawn from the same one would meet themselves as noise
        generator = torch.Generator(chosen.patterns.device).manual_seed(seed + 0x5EED)
        damaged = damage(chosen.patterns, float(strength), generator)
        cue, known = (damaged, None) if isinstance(damaged, Tensor) else (damaged.cue, damaged.known)
        recalled = memory.recall(cue, known=known)
        assert recalled.index is not None
        same = (memory.bank.get(recalled.index).patterns == chosen.patterns).all(-1)
        recovered.append(float(same.float().mean()))
    return BasinRadius(tuple(map(float, strengths)), tuple(recovered))


def flip_fraction(patterns: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Flip exactly the fraction `strength` of the signs of each row."""
    flips = round(strength * patterns.shape[1])
    order = torch.rand(patterns.shape, generator=generator, device=patterns.device).argsort(-1)
    return torch.where(order < flips, -patterns, patterns)


def relative_noise(patterns: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of `strength` times the root mean square deviation of the patterns."""
    noise = torch.randn(patterns.shape, generator=generator, device=patterns.device, dtype=patterns.dtype)
    return patterns + strength * patterns.std(correction=0) * noise
