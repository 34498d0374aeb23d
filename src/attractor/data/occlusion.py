"""Occlusions: part of an image is hidden, and the mask of what is left comes with the cue.

An `Occlude` is a region and a fill. Regions are a fixed window (a side, a corner, the centre), rectangles at random
places, or random pixels; a hidden pixel is hidden in all channels.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from attractor.data.damage import Corruption, Damage, Shape, needed_shape, percent, random_subset, uniform
from attractor.validation import check_proportion

Side = Literal["lower", "upper", "left", "right"]
Corner = Literal["upper left", "upper right", "lower left", "lower right"]


class Region(Protocol):
    """Which pixels are hidden."""

    @property
    def title(self) -> str: ...

    @property
    def needs_shape(self) -> bool: ...

    def hidden(self, b: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """`(b, height, width)` bool, True where the pixel is hidden."""
        ...


@dataclass(frozen=True)
class Occlude(Corruption):
    """Hides a region of each row: `known` is False there, and the cue holds the fill.

    Use the constructors `half`, `side`, `quarter`, `centre`, `rectangles` and `pixels`.

    Args:
        region: which pixels.
        fill: what stands in the hidden entries: a number, `"mean"` (of the visible entries of the row) or `"noise"`
            (uniform between the least and the greatest of them). Neither looks at what was hidden.

    Raises:
        ValueError: `fill` is another word or not finite; on calling without `shape` where the region needs it.

    Example:
        >>> cue, known = Occlude.half("lower")(torch.ones(1, 4), shape=(1, 2, 2))
        >>> cue.tolist(), known.tolist()
        ([[1.0, 1.0, 0.0, 0.0]], [[True, True, False, False]])
    """

    region: Region
    _: KW_ONLY
    fill: float | Literal["mean", "noise"] = 0.0

    def __post_init__(self) -> None:
        good = self.fill in ("mean", "noise") if isinstance(self.fill, str) else math.isfinite(self.fill)
        if not good:
            raise ValueError(f"fill must be a finite number, 'mean' or 'noise', got {self.fill!r}")

    @classmethod
    def half(cls, side: Side = "lower", *, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides the lower, upper, left or right half."""
        return cls(Window(f"{side} half", *_side(side, 0.5)), fill=fill)

    @classmethod
    def side(cls, side: Side, fraction: float, *, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides this fraction of the rows or columns, from that side."""
        return cls(Window(f"{side} {percent(fraction)}", *_side(side, fraction)), fill=fill)

    @classmethod
    def quarter(cls, corner: Corner = "lower right", *, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides a quarter of the image: half of the rows and half of the columns, from that corner."""
        if corner not in ("upper left", "upper right", "lower left", "lower right"):
            raise ValueError(f"corner must be 'upper' or 'lower' and 'left' or 'right', got {corner!r}")
        vertical, horizontal = corner.split()
        rows, columns = _HALVES[vertical], _HALVES[horizontal]
        return cls(Window(f"{corner} quarter", rows, columns), fill=fill)

    @classmethod
    def centre(cls, fraction: float = 0.25, *, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides a patch in the middle with this fraction of the area and the aspect of the image."""
        check_proportion("fraction", fraction)
        edge = math.sqrt(fraction)
        ends = ((1 - edge) / 2, (1 + edge) / 2)
        return cls(Window(f"centre patch {percent(fraction)}", ends, ends), fill=fill)

    @classmethod
    def rectangles(cls, fraction: float = 0.25, *, count: int = 1, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides `count` rectangles of this fraction of the area, at random places in each row; they may overlap."""
        return cls(Rectangles(fraction, count), fill=fill)

    @classmethod
    def pixels(cls, fraction: float = 0.5, *, fill: float | Literal["mean", "noise"] = 0.0) -> Occlude:
        """Hides exactly `round(fraction * pixels)` random pixels of each row; without `shape` each entry is a pixel."""
        return cls(Pixels(fraction), fill=fill)

    @property
    def name(self) -> str:
        return self.region.title if self.fill == 0 else f"{self.region.title} ({self.fill} fill)"

    def _apply(self, patterns: Tensor, shape: Shape | None, generator: torch.Generator) -> Damage:
        b, d = patterns.shape
        channels, height, width = needed_shape(shape, self) if self.region.needs_shape else shape or (1, 1, d)
        hidden = self.region.hidden(b, height, width, generator).to(patterns.device)
        hidden = hidden[:, None].expand(b, channels, height, width).reshape(b, d)
        return Damage(torch.where(hidden, self._filling(patterns, hidden, generator), patterns), ~hidden)

    def _filling(self, patterns: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        if not isinstance(self.fill, str):
            return patterns.new_tensor(self.fill)
        visible = ~hidden
        if self.fill == "mean":
            return patterns.where(visible, 0).sum(1, keepdim=True) / visible.sum(1, keepdim=True).clamp(min=1)
        low = patterns.where(visible, torch.inf).amin(1, keepdim=True)
        high = patterns.where(visible, -torch.inf).amax(1, keepdim=True)
        sees_any = visible.any(1, keepdim=True)
        low, high = low.where(sees_any, 0), high.where(sees_any, 0)
        return low + (high - low) * uniform(tuple(patterns.shape), generator).to(patterns)


@dataclass(frozen=True)
class Window:
    """The same window in every image; `rows` and `columns` are its ends as fractions, counted from the upper left."""

    title: str
    rows: tuple[float, float]
    columns: tuple[float, float]
    needs_shape = True

    def hidden(self, b: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        inside = _between(self.rows, height)[:, None] & _between(self.columns, width)
        return inside.expand(b, height, width)


@dataclass(frozen=True)
class Rectangles:
    """`count` rectangles with the image's aspect and `fraction` of its area each, anywhere inside of it."""

    fraction: float
    count: int = 1
    needs_shape = True

    def __post_init__(self) -> None:
        check_proportion("fraction", self.fraction)
        if self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count!r}")

    @property
    def title(self) -> str:
        if self.count == 1:
            return f"random rectangle {percent(self.fraction)}"
        return f"{self.count} random rectangles of {percent(self.fraction)}"

    def hidden(self, b: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        edge = math.sqrt(self.fraction)
        covered = []
        for size in (height, width):
            length = round(edge * size)
            start = (uniform((b, self.count, 1), generator) * (size - length + 1)).long()
            place = torch.arange(size, device=start.device)
            covered.append((place >= start) & (place < start + length))
        rows, columns = covered
        return (rows[..., :, None] & columns[..., None, :]).any(1)


@dataclass(frozen=True)
class Pixels:
    """Exactly `round(fraction * height * width)` random pixels of each image."""

    fraction: float
    needs_shape = False

    def __post_init__(self) -> None:
        check_proportion("fraction", self.fraction)

    @property
    def title(self) -> str:
        return f"{percent(self.fraction)} of pixels hidden"

    def hidden(self, b: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        pixels = height * width
        return random_subset(b, pixels, round(self.fraction * pixels), generator).reshape(b, height, width)


_WHOLE = (0.0, 1.0)
_HALVES = {"upper": (0.0, 0.5), "lower": (0.5, 1.0), "left": (0.0, 0.5), "right": (0.5, 1.0)}


def _side(side: str, fraction: float) -> tuple[tuple[float, float], tuple[float, float]]:
    check_proportion("fraction", fraction)
    if side not in _HALVES:
        raise ValueError(f"side must be 'lower', 'upper', 'left' or 'right', got {side!r}")
    ends = (0.0, fraction) if side in ("upper", "left") else (1 - fraction, 1.0)
    return (ends, _WHOLE) if side in ("upper", "lower") else (_WHOLE, ends)


def _between(ends: tuple[float, float], size: int) -> Tensor:
    """`(size,)` bool: the pixels whose middle lies between the two fractions."""
    middles = (torch.arange(size) + 0.5) / size
    return (middles >= ends[0]) & (middles < ends[1])
