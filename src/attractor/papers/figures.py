"""Figures as data: what a paper's run shows, without a line of drawing. The room `app` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from attractor.papers.plain import Fields, one_of

Scaling = Literal["linear", "log"]
Style = Literal["points", "line", "guide"]
SCALINGS: tuple[Scaling, ...] = ("linear", "log")
STYLES: tuple[Style, ...] = ("points", "line", "guide")


@dataclass(frozen=True)
class Series:
    """Points `(x, y)` under one label; `low` and `high` are the ends of their error bars, empty for none.

    `style`: measured `"points"`, a `"line"` through points, or a `"guide"` (a fit or a theory).

    Raises:
        ValueError: the lengths differ, or the style is unknown.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    style: Style = "points"

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), *(len(ends) for ends in (self.low, self.high) if ends)}
        if len(lengths) != 1 or bool(self.low) != bool(self.high):
            raise ValueError(f"series {self.label!r} must have as many x as y, and error bars for all or none")
        one_of("style", self.style, STYLES)


@dataclass(frozen=True)
class Chart:
    """Series over two axes.

    Args:
        name: of the file it is drawn to.
        bands: ranges of x to shade, `(label, from, to)`: where a claim lies.

    Raises:
        ValueError: a scale is unknown.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_scale: Scaling = "linear"
    y_scale: Scaling = "linear"
    bands: tuple[tuple[str, float, float], ...] = ()

    def __post_init__(self) -> None:
        one_of("x_scale", self.x_scale, SCALINGS)
        one_of("y_scale", self.y_scale, SCALINGS)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        series = [
            {**vars(one), "x": list(one.x), "y": list(one.y), "low": list(one.low), "high": list(one.high)} for one in self.series
        ]
        return {"kind": "chart", **vars(self), "series": series, "bands": [list(band) for band in self.bands]}


Image = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ImageGrid:
    """Grey pictures in a grid, `images[row][column]` of bytes, with a title for each column and a label for each row.

    Raises:
        ValueError: rows of unequal length, or other numbers of titles and labels than of columns and rows.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    images: tuple[tuple[Image, ...], ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.rows) or any(len(row) != len(self.columns) for row in self.images):
            raise ValueError(f"images must be {len(self.rows)} rows of {len(self.columns)}, as many as labels and titles")

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {"kind": "images", **vars(self)}


Figure = Chart | ImageGrid


def grey_image(image: Tensor) -> Image:
    """An image `(height, width)` in [0, 1] as bytes.

    Example:
        >>> grey_image(torch.tensor([[0.0, 1.0]]))
        ((0, 255),)
    """
    return tuple(tuple(row) for row in (image.clamp(0, 1) * 255).round().to(torch.int64).tolist())


def figure_from_plain(plain: object) -> Figure:
    """Rebuild a figure from `to_plain`.

    Raises:
        ValueError: missing, unknown or ill-typed entries.
    """
    fields = Fields("figure", plain)
    kind = fields.text("kind")
    if kind not in ("chart", "images"):
        raise ValueError(f"figure: kind must be 'chart' or 'images', got {kind!r}")
    figure = _chart(fields) if kind == "chart" else _image_grid(fields)
    fields.done()
    return figure


def _chart(fields: Fields) -> Chart:
    return Chart(
        fields.text("name"),
        fields.text("title"),
        fields.text("x_label"),
        fields.text("y_label"),
        tuple(_series(one) for one in fields.items("series")),
        one_of("x_scale", fields.text("x_scale"), SCALINGS),
        one_of("y_scale", fields.text("y_scale"), SCALINGS),
        tuple(_band(one) for one in fields.items("bands")),
    )


def _series(plain: object) -> Series:
    fields = Fields("series", plain)
    label, style = fields.text("label"), one_of("style", fields.text("style"), STYLES)
    x, y, low, high = (fields.numbers(name) for name in ("x", "y", "low", "high"))
    fields.done()
    return Series(label, x, y, low, high, style)


def _band(plain: object) -> tuple[str, float, float]:
    values = plain if isinstance(plain, list) and len(plain) == 3 else [None] * 3
    fields = Fields("band", dict(zip(("label", "from", "to"), values, strict=True)))
    return fields.text("label"), fields.number("from"), fields.number("to")


def _image_grid(fields: Fields) -> ImageGrid:
    rows = fields.items("images")
    for image in (image for row in _lists(rows) for image in _lists(row)):
        if not all(isinstance(pixel, int) and 0 <= pixel <= 255 for line in _lists(image) for pixel in _lists(line)):
            raise ValueError("figure: images must hold bytes, 0 to 255")
    images = tuple(tuple(tuple(tuple(line) for line in image) for image in row) for row in rows)
    return ImageGrid(fields.text("name"), fields.text("title"), fields.texts("columns"), fields.texts("rows"), images)


def _lists(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"figure: images must be lists of lists, got {type(value).__name__}")
    return value
