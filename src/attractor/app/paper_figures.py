"""The figures of a paper's report, drawn from their data."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from attractor.app.figures import COLOURS, MARKERS, new_figure
from attractor.papers.figures import Chart, ImageGrid, Series
from attractor.papers.figures import Figure as FigureData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_LETTERS_PER_INCH = 9.5
MOST_MARKERS, MOST_TICKS, MOST_INSIDE = 40, 12, 6
LETTERS_BELOW = 105
"""In a line of a legend below the axes."""
BAND, GUIDE = "#F1E4B3", "#8A8A8A"


def draw(figure: FigureData) -> Figure:
    """The figure, as matplotlib's.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return draw_chart(figure) if isinstance(figure, Chart) else draw_images(figure)


def draw_chart(chart: Chart) -> Figure:
    """Measured points with error bars, guides in grey, and shaded where a claim lies."""
    figure = new_figure(6.4, 4.4)
    ax = figure.subplots()
    ax.set_xscale(chart.x_scale)
    ax.set_yscale(chart.y_scale)
    for label, left, right in chart.bands:
        ax.axvspan(left, right, color=BAND, alpha=0.6, linewidth=0, label=label)
    measured = [series.label for series in chart.series if series.style != "guide"]
    for series in chart.series:
        if series.style == "guide":
            ax.plot(series.x, series.y, color=GUIDE, linewidth=1.2, linestyle="--", zorder=1)
            place_label(ax, series)
        else:
            draw_measured(ax, series, measured.index(series.label))
    ax.set_title(wrapped(chart.title, figure), fontsize=11, fontweight="bold")
    ax.set_xlabel(wrapped(chart.x_label, figure))
    ax.set_ylabel(chart.y_label)
    ticks = sorted({x for series in chart.series if series.style != "guide" for x in series.x})
    if chart.x_scale == "log":
        ax.set_xticks(spread_out(ticks), [f"{x:g}" for x in spread_out(ticks)])
        ax.minorticks_off()
    ax.grid(color="#E3E3E3", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if len(measured) + len(chart.bands) > MOST_INSIDE:
        longest = max(len(text) for text in ax.get_legend_handles_labels()[1])
        columns = max(1, min(4, LETTERS_BELOW // (longest + 5)))
        ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns)
    else:
        ax.legend(frameon=False, fontsize=9)
    return figure


def draw_measured(ax: Axes, series: Series, place: int) -> None:
    colour = COLOURS[place % len(COLOURS)]
    bars = None
    if series.low:
        below = [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)]
        above = [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)]
        bars = (below, above)
    ax.errorbar(
        series.x,
        series.y,
        yerr=bars,
        label=series.label,
        color=colour,
        marker=MARKERS[place % len(MARKERS)] if series.style != "line" or len(series.x) <= MOST_MARKERS else "",
        markersize=5,
        linestyle="-" if series.style == "line" else "none",
        linewidth=1.6,
        elinewidth=1.0,
        capsize=2.5,
        zorder=3,
    )


def place_label(ax: Axes, series: Series) -> None:
    """The name of a guide at its right end, where no legend is needed to find it."""
    ax.annotate(
        series.label,
        (series.x[-1], series.y[-1]),
        xytext=(4, 5),
        textcoords="offset points",
        fontsize=8.5,
        color="#555555",
        ha="right" if ax.get_xscale() == "linear" else "left",
        annotation_clip=False,
    )


def spread_out(ticks: list[float], least: float = 1.3) -> list[float]:
    """Those of rising `ticks` that are so far apart on a logarithmic axis that their numbers do not touch."""
    least = max(least, (ticks[-1] / ticks[0]) ** (1 / MOST_TICKS)) if ticks else least
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick >= least * kept[-1]:
            kept.append(tick)
    return kept


def draw_images(grid: ImageGrid) -> Figure:
    """Grey images in rows and columns."""
    rows, columns = len(grid.rows), len(grid.columns)
    labelled = any(grid.rows)
    figure = new_figure(1.15 * columns + 0.8 * labelled, 1.1 * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, images in enumerate(grid.images):
        for column, image in enumerate(images):
            ax = axes[row][column]
            ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_color("#BBBBBB")
            if row == 0:
                ax.set_title(grid.columns[column], fontsize=9)
        axes[row][0].set_ylabel(grid.rows[row], fontsize=9, rotation=0, ha="right", va="center")
    figure.suptitle(wrapped(grid.title, figure), fontsize=11, fontweight="bold")
    return figure


def wrapped(title: str, figure: Figure) -> str:
    """The text in lines that fit the figure's width."""
    return textwrap.fill(title, int(TITLE_LETTERS_PER_INCH * figure.get_figwidth()), break_on_hyphens=False)
