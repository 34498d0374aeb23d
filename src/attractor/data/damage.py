"""Damages: what happens to a pattern before it becomes a cue.

A damage is an object that is called on patterns and returns `Damage(cue, known)`. Only an occlusion says what is
missing: `known` is its mask, and `None` for noise, flips and blur, where a mask of the changed entries would tell the
memory what nobody can know. Damages are chained with `|`: `Occlude.half("lower") | GaussianNoise(0.1)` hides first and
adds noise then.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attractor.validation import check_matrix, check_not_negative, check_proportion

Shape = tuple[int, int, int]


class Damage(NamedTuple):
    """A damaged batch: `cue (b, d)`, and `known (b, d)` bool, False where the entry was hidden, or `None`."""

    cue: Tensor
    known: Tensor | None


class Corruption(ABC):
    """Base of all damages: checks the arguments and chains with `|`. A subclass gives `name` and `_apply`."""

    def __call__(self, patterns: Tensor, *, shape: Shape | None = None, generator: torch.Generator | None = None) -> Damage:
        """Damage each row on its own; `patterns` stay as they are.

        Args:
            patterns: `(b, d)` floating point.
            shape: `(channels, height, width)` of a row; needed by what knows where the lower half is.
            generator: source of randomness; the same state gives the same damage on every device. `None`: a fresh one,
                seed 0.

        Raises:
            ValueError: `patterns` are not a finite floating-point matrix, `shape` is missing or does not fit.
            TypeError: `patterns` is not a tensor.
        """
        check_matrix("patterns", patterns)
        if shape is not None and (len(shape) != 3 or math.prod(shape) != patterns.shape[1]):
            raise ValueError(f"shape must be (channels, height, width) with product {patterns.shape[1]}, got {tuple(shape)}")
        return self._apply(patterns, shape, torch.Generator().manual_seed(0) if generator is None else generator)

    def __or__(self, other: Corruption) -> Compose:
        return Compose((self, other))

    @property
    @abstractmethod
    def name(self) -> str:
        """A few words for a table."""

    @abstractmethod
    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage: ...


@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Adds independent normal noise of standard deviation `sd` to every entry; the result is not clipped.

    Raises:
        ValueError: `sd` is negative or not finite.

    Example:
        >>> GaussianNoise(0.5)(torch.zeros(2, 4)).known is None
        True
    """

    sd: float

    def __post_init__(self) -> None:
        check_not_negative("sd", self.sd)

    @property
    def name(self) -> str:
        return f"noise sd {self.sd:g}"

    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage:
        noise = torch.randn(patterns.shape, generator=generator, device=generator.device).to(patterns)
        return Damage(patterns + self.sd * noise, None)


@dataclass(frozen=True)
class ScatteredDamage(Corruption):
    """Base of what changes exactly `round(fraction * d)` random entries of each row within the data's range.

    A subclass gives `name` and `_hit`.
    """

    fraction: float
    _: KW_ONLY
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        check_proportion("fraction", self.fraction)
        check_ends(self.low, self.high)

    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage:
        low, high = data_range(patterns, self.low, self.high)
        b, d = patterns.shape
        hit = random_subset(b, d, round(self.fraction * d), generator).to(patterns.device)
        return Damage(torch.where(hit, self._hit(patterns, low, high, generator), patterns), None)

    @abstractmethod
    def _hit(self, patterns: Tensor, low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
        """What the entries of `patterns` become where they are hit."""


@dataclass(frozen=True)
class SaltAndPepper(ScatteredDamage):
    """Sets exactly `round(fraction * d)` random entries of each row to one end of the data's range or the other.

    The ends are `low` and `high`; without them, 0 and 1 for data in [0, 1] and -1 and 1 for bipolar data.

    Raises:
        ValueError: `fraction` is not in [0, 1]; only one of `low` and `high` is given; neither, and the data is of
            another range.

    Example:
        >>> SaltAndPepper(1.0)(torch.full((1, 4), 0.5)).cue.unique().tolist()
        [0.0, 1.0]
    """

    @property
    def name(self) -> str:
        return f"{percent(self.fraction)} salt and pepper"

    def _hit(self, patterns: Tensor, low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
        return torch.where(uniform(tuple(patterns.shape), generator).to(patterns.device) < 0.5, high, low)


@dataclass(frozen=True)
class BitFlip(ScatteredDamage):
    """Mirrors exactly `round(fraction * d)` random entries of each row in the data's range: `x -> low + high - x`.

    Without `low` and `high` the range is read off the batch: data in [0, 1] becomes `1 - x`, data of -1 and 1 changes
    sign. A batch of ones alone counts as data in [0, 1]: give the ends where that can happen.

    Raises:
        ValueError: `fraction` is not in [0, 1]; only one of `low` and `high` is given; neither, and the data is of
            another range.

    Example:
        >>> BitFlip(0.5)(torch.tensor([[1.0, -1.0, 1.0, -1.0]])).cue.abs().tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """

    @property
    def name(self) -> str:
        return f"{percent(self.fraction)} flips"

    def _hit(self, patterns: Tensor, low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
        return low + high - patterns


@dataclass(frozen=True)
class Compose(Corruption):
    """Damages one after the other, each on the cue that the one before left.

    An entry is known if no occlusion of the chain hid it: noise after an occlusion keeps the mask.

    Raises:
        ValueError: `parts` is empty.
        TypeError: a part is not a damage of this module's kind.

    Example:
        >>> Compose([BitFlip(0.2), GaussianNoise(0.1)]).name
        '20% flips + noise sd 0.1'
    """

    parts: Sequence[Corruption]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("parts must hold at least one damage, got none")
        for part in self.parts:
            if not isinstance(part, Corruption):
                raise TypeError(f"parts must be damages, got {type(part).__name__}")
        flat = [inner for part in self.parts for inner in (part.parts if isinstance(part, Compose) else (part,))]
        object.__setattr__(self, "parts", tuple(flat))

    @property
    def name(self) -> str:
        return " + ".join(part.name for part in self.parts)

    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage:
        cue, known = patterns, None
        for part in self.parts:
            cue, visible = part(cue, shape=shape, generator=generator)
            if visible is not None:
                known = visible if known is None else known & visible
        return Damage(cue, known)


def family(
    of_strength: Callable[[float], Corruption], *, shape: Shape | None = None
) -> Callable[[Tensor, float, torch.Generator | None], Damage]:
    """A kind of damage as `damage(patterns, strength, generator)`, the form that basin measurements take.

    Args:
        of_strength: makes the damage of a strength: a class (`BitFlip`), `Occlude.pixels`, or a function of your own.
        shape: `(channels, height, width)` of a row, for damages of images.

    Example:
        >>> damage = family(BitFlip)
        >>> damage(torch.ones(1, 10), 0.3, None).cue.sum().item()
        7.0
    """

    def damage(patterns: Tensor, strength: float, generator: torch.Generator | None = None) -> Damage:
        return of_strength(strength)(patterns, shape=shape, generator=generator)

    return damage


def data_range(patterns: Tensor, low: float | None, high: float | None) -> tuple[Tensor, Tensor]:
    """The ends of the data's range: those given, else -1 and 1 for data of just these, else 0 and 1 for data in [0, 1].

    Raises:
        ValueError: none is given and the data is neither.
    """
    if low is None or high is None:
        if (patterns.abs() == 1).all() and patterns.min() < 0:
            low, high = -1.0, 1.0
        elif patterns.min() >= 0 and patterns.max() <= 1:
            low, high = 0.0, 1.0
        else:
            raise ValueError(
                f"patterns must lie in [0, 1] or be -1 and 1, got [{patterns.min():g}, {patterns.max():g}]: "
                "give the damage the low= and high= of the data"
            )
    return patterns.new_tensor(low), patterns.new_tensor(high)


def random_subset(b: int, d: int, count: int, generator: torch.Generator) -> Tensor:
    """`(b, d)` bool with exactly `count` True in each row, every subset equally likely."""
    chosen = uniform((b, d), generator).argsort(1)[:, :count]
    return torch.zeros(b, d, dtype=torch.bool, device=generator.device).scatter_(1, chosen, True)


def uniform(size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1) on the generator's own device, so that patterns on another one get the same."""
    return torch.rand(size, generator=generator, device=generator.device)


def needed_shape(shape: Shape | None, damage: Corruption) -> Shape:
    if shape is None:
        raise ValueError(f"shape=(channels, height, width) is needed by {damage.name!r}")
    return shape


def check_ends(low: float | None, high: float | None) -> None:
    if (low is None) != (high is None) or (low is not None and high is not None and not low < high):
        raise ValueError(f"low and high must be given together, low below high; got low={low}, high={high}")


def percent(fraction: float) -> str:
    return f"{100 * fraction:.3g}%"
