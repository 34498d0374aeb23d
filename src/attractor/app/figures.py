"""Pictures: functions that take data and return a matplotlib `Figure`, and what writes one.

Matplotlib is imported when the first one is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attractor.app.console import err

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, HIDDEN = "#0072B2", "#D55E00", (0.47, 0.60, 0.72)
# Okabe and Ito's colours, told apart by colour-blind readers too
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")
GAP = 0.12
"""Between two images, in widths of an image."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Images side by side, `(k, c, h, w)`, in one row of a gallery.

    Attributes:
        title: of the row.
        images: what to draw.
        right: `(k,)` whether each is the stored item, for its frame; None for rows that are not judged.
        known: `(k, h, w)` False where a pixel is hidden, drawn in a colour of its own.
    """

    title: str
    images: Tensor
    right: Tensor | None = None
    known: Tensor | None = None


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.1), facecolor="white")


def check_target(path: Path) -> None:
    """Raise `ValueError` where no picture can be written, before the work that it would show."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--output must end in {', '.join(SUFFIXES)}, got {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--output must lie in a folder that exists, got {str(path)!r}")


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` and return the whole path."""
    figure.savefig(path, dpi=150)
    return path.resolve()


def save_if_possible(draw: Callable[[], Figure], path: Path) -> Path | None:
    """Write the figure that `draw` gives and return the whole path; without matplotlib None, and a line that says so."""
    try:
        return save(draw(), path)
    except ImportError:
        err().print("no picture: it needs matplotlib, pip install 'attractor[demo]'", markup=False)
        return None


def gallery(blocks: Mapping[str, Sequence[Strip]], title: str, *, low: float = 0.0, high: float = 1.0) -> Figure:
    """Blocks of images side by side, one a damage; a row of every block shows the same memory.

    Args:
        blocks: title of a block -> its rows from top to bottom; all blocks have the same rows.
        title: above all of them.
        low, high: values drawn black and white.
    """
    from matplotlib.lines import Line2D

    first = next(iter(blocks.values()))
    count, _, height, width = first[0].images.shape
    aspect = height / width
    cell = 0.62
    figure = new_figure(max(6.0, 2.9 + len(blocks) * count * cell * (1 + GAP)), 1.5 + len(first) * cell * (aspect + GAP))
    axes = figure.subplots(1, len(blocks), squeeze=False)[0]
    for number, (ax, (name, strips)) in enumerate(zip(axes, blocks.items(), strict=True)):
        for place, strip in enumerate(strips):
            draw_strip(ax, strip, place * (aspect + GAP), aspect, low, high)
        ax.set_xlim(-GAP, count * (1 + GAP))
        ax.set_ylim(len(strips) * (aspect + GAP), -GAP)
        ax.set_aspect("equal")
        ax.set_title(name, fontsize=10)
        ax.set_xticks([])
        centres = [place * (aspect + GAP) + aspect / 2 for place in range(len(strips))]
        ax.set_yticks(centres if number == 0 else [], [strip.title for strip in strips] if number == 0 else [], fontsize=10)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    handles: list[Any] = [
        Line2D([], [], color=RIGHT, linewidth=3, label="recalled the right item"),
        Line2D([], [], color=WRONG, linewidth=3, label="did not"),
    ]
    if any(strip.known is not None for strips in blocks.values() for strip in strips):
        handles.append(Line2D([], [], color=HIDDEN, marker="s", markersize=9, linewidth=0, label="marked as unknown"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def draw_strip(ax: Axes, strip: Strip, top: float, aspect: float, low: float, high: float) -> None:
    from matplotlib.patches import Rectangle

    for place, image in enumerate(as_pixels(strip, low, high)):
        left = place * (1 + GAP)
        # a shape of one row is a vector: its entries fill the height
        ax.imshow(image, extent=(left, left + 1, top + aspect, top), interpolation="nearest", aspect="auto")
        colour = "#BBBBBB" if strip.right is None else RIGHT if bool(strip.right[place]) else WRONG
        line = 0.6 if strip.right is None else 2.0
        ax.add_patch(Rectangle((left, top), 1, aspect, fill=False, edgecolor=colour, linewidth=line))


def as_pixels(strip: Strip, low: float, high: float) -> Any:
    """The images as colours `(k, h, w, 3)` in [0, 1], hidden pixels in their own colour."""
    images = ((strip.images.float() - low) / (high - low)).clamp(0, 1)
    channels = images.shape[1]
    colours = images if channels == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    colours = colours.permute(0, 2, 3, 1)
    if strip.known is not None:
        colours = torch.where(strip.known[..., None], colours, torch.tensor(HIDDEN))
    return colours.numpy()


@dataclass(frozen=True)
class Panel:
    """Curves of a sweep.

    Attributes:
        title: of the column.
        axis: what `x` is.
        x: load or strength.
        curves: memory -> score -> value at each `x`, None where there is none.
        logarithmic: whether `x` is spaced by factors.
    """

    title: str
    axis: str
    x: tuple[float, ...]
    curves: Mapping[str, Mapping[str, Sequence[float | None]]]
    logarithmic: bool = False


def sweeps(panels: Sequence[Panel], scores: Sequence[str], baselines: Sequence[str], title: str) -> Figure:
    """Recall rates: a column for each panel, a row for each score. Baselines are drawn grey and dashed."""
    figure = new_figure(3.1 * len(panels) + 0.6, 2.5 * len(scores) + 1.7)
    axes = figure.subplots(len(scores), len(panels), squeeze=False, sharey=True, sharex="col")
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    coloured = [name for name in names if name not in baselines]
    for row, score in enumerate(scores):
        for column, panel in enumerate(panels):
            ax = axes[row][column]
            for name, values in panel.curves.items():
                heights = [float("nan") if value is None else value for value in values[score]]
                ax.plot(panel.x, heights, label=name, **style_of(name, coloured, list(baselines)))
            ax.set_ylim(-0.04, 1.04)
            if panel.logarithmic:
                ax.set_xscale("log")
            ax.set_xticks(panel.x, [f"{value:g}" for value in panel.x])
            ax.minorticks_off()
            ax.grid(color="#E3E3E3", linewidth=0.8)
            ax.spines[["top", "right"]].set_visible(False)
            if row == 0:
                ax.set_title(panel.title, fontsize=11)
            if row == len(scores) - 1:
                ax.set_xlabel(panel.axis)
        axes[row][0].set_ylabel(f"{score} (fraction of cues)")
    figure.suptitle(title, fontsize=12, fontweight="bold")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    return figure


def style_of(name: str, coloured: Sequence[str], baselines: Sequence[str]) -> dict[str, Any]:
    if name in baselines:
        dashes = ((4, 2), (1, 1.5), (5, 1.5, 1, 1.5))[baselines.index(name) % 3]
        return {"color": "#555555", "linewidth": 1.6, "dashes": dashes, "zorder": 3}
    place = coloured.index(name)
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 5,
        "linewidth": 1.6,
        "alpha": 0.9,
    }
