"""`attractor landscape`: the energy of a few memories of the plane, the ways of recall down it, and the basins, as a picture."""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor

from attractor.app.basins import BORDER, Basins, FixedPoint, Window, measure_basins
from attractor.app.console import out, write_json
from attractor.app.figures import COLOURS, check_target, new_figure, save_if_possible
from attractor.app.tables import NARROW, new_table
from attractor.memory import DenseMemory
from attractor.read import separation_from
from attractor.threads import at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE = Path("landscape.png")
STARTS = 9
LEVELS = 16
INK, PALE = "#222222", "#DDDDDD"
# larger than the disc of a memory, so that its corners show beneath one
FIXED: dict[str, Any] = {"marker": "D", "linewidth": 0, "color": INK, "markeredgecolor": "white", "markersize": 13}


class SimilarityName(StrEnum):
    """How a state is compared with the memories."""

    EUCLIDEAN = "euclidean"
    DOT = "dot"
    COSINE = "cosine"


class SeparationName(StrEnum):
    """How scores become weights; those under which a point of the plane has an energy with a lower bound."""

    SOFTMAX = "softmax"
    SPARSEMAX = "sparsemax"
    ENTMAX = "entmax"


def landscape(
    memories: Annotated[int, typer.Option(min=1, max=20, help="How many to store.")] = 5,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw the memories at random.", show_default="they stand on a ring")
    ] = None,
    beta: Annotated[str, typer.Option(metavar="NUMBER|auto", help="Inverse temperature; low: memories blend.")] = "auto",
    similarity: Annotated[SimilarityName, typer.Option(help="How a state is compared with memories.")] = SimilarityName.EUCLIDEAN,
    separation: Annotated[SeparationName, typer.Option(help="How scores become weights.")] = SeparationName.SOFTMAX,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the picture.")] = PICTURE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
) -> None:
    """Draw the energy landscape of a few memories of the plane.

    Left the energy, with the ways that recall takes down it; right the basins: which cues end at which fixed point. \
A table says which fixed points are stored memories, and which are blends of several.

    [bold]attractor landscape --seed 1 --beta 8[/bold]
    """
    check_target(output)
    chosen = separation_from({"name": separation.value, "beta": parse_beta(beta)})
    points = ring(memories) if seed is None else scattered(memories, seed)
    memory = DenseMemory(2, similarity=similarity.value, separation=chosen)
    memory.store(points)
    # many small products: threads would wait for each other
    with at_most(1):
        basins = measure_basins(memory, Window.around(points))
    assert memory.beta is not None
    number = float(memory.beta)
    title = f"{memories} {'memories' if memories > 1 else 'memory'}, {separation.value}, {similarity.value}, β = {number:.4g}"
    title += " (auto)" if beta == "auto" else ""
    path = save_if_possible(lambda: draw(memory, basins, title), output)
    if as_json:
        found = [{**vars(point), "position": list(point.position)} for point in basins.fixed_points]
        write_json({"memories": points.tolist(), "beta": number, "fixed_points": found, "picture": path and str(path)})
        return
    report(basins, title, path)


def parse_beta(text: str) -> float | str:
    """A positive number, or `"auto"`.

    Raises:
        ValueError: something else.
    """
    if text == "auto":
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1e-6 <= number <= 1e6:
        raise ValueError(f"--beta must be a number from 1e-6 to 1e6, or auto, got {text!r}")
    return number


def ring(count: int) -> Tensor:
    """Points `(count, 2)` on the unit circle, the first on top."""
    angles = math.pi / 2 + 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return torch.stack([angles.cos(), angles.sin()], -1)


def scattered(count: int, seed: int) -> Tensor:
    """Points `(count, 2)` drawn evenly from the square of -1 to 1."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 1


def starts(window: Window) -> Tensor:
    """Cues `(STARTS, 2)` on a sunflower's spiral, evenly over the window and off its axes."""
    place = torch.arange(1, STARTS + 1, dtype=torch.float64)
    angles = place * math.pi * (3 - math.sqrt(5)) + 0.5
    radius = 0.46 * (window.right - window.left) * ((place + 1) / (STARTS + 1)).sqrt()
    middle = torch.tensor([window.left + window.right, window.bottom + window.top], dtype=torch.float64) / 2
    return middle + radius[:, None] * torch.stack([angles.cos(), angles.sin()], -1)


def report(basins: Basins, title: str, path: Path | None) -> None:
    console = out()
    table = new_table(title, narrow=console.width < NARROW)
    table.add_column("fixed point")
    for head in ("x", "y", "distance", "share of window"):
        table.add_column(head, justify="right", no_wrap=True)
    for point in basins.fixed_points:
        x, y = point.position
        table.add_row(name_of(point), f"{x:.3f}", f"{y:.3f}", f"{point.distance:.1g}", f"{point.share:.1%}")
    console.print(table)
    stored = sum(point.stored for point in basins.fixed_points)
    console.print(
        f"distinct fixed points: {len(basins.fixed_points)}, at stored memories: {stored}. Distance: to the nearest memory."
    )
    if basins.border:
        console.print(f"{basins.border:.1%} of the window is in no basin: cues on a border rest at a saddle")
    if path is not None:
        console.print(f"picture: {path}", soft_wrap=True, markup=False)


def name_of(point: FixedPoint) -> str:
    """Memories are counted from 1, as in the picture."""
    return f"memory {point.nearest + 1}" if point.stored else f"blend, not stored (nearest: memory {point.nearest + 1})"


def draw(memory: DenseMemory, basins: Basins, title: str) -> Figure:
    """Energy and ways of recall on the left, basins on the right.

    Args:
        memory: of width 2, in float64.
        basins: what was measured of it.
        title: above both.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(11.5, 6.2)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    points = memory.bank.get(memory.bank.ids()).patterns
    draw_energy(figure, left, basins)
    draw_ways(left, memory, starts(basins.window))
    draw_basins(right, basins)
    for ax in (left, right):
        for fixed in basins.fixed_points:
            ax.plot(*fixed.position, **FIXED, zorder=5)
        ax.plot(*points.T.tolist(), "o", color="white", markeredgecolor=INK, markersize=13, linewidth=0, zorder=6)
        for number, (x, y) in enumerate(points.tolist(), 1):
            ax.annotate(str(number), (x, y), ha="center", va="center_baseline", fontsize=8, fontweight="bold", color=INK, zorder=7)
        ax.set_aspect("equal")
        ax.set_xlim(basins.window.left, basins.window.right)
        ax.set_ylim(basins.window.bottom, basins.window.top)
        ax.set_xlabel("first entry of the state")
    left.set_ylabel("second entry of the state")
    left.set_title("energy, and recall from a few cues", fontsize=11)
    right.set_title("basins: where recall from each point ends", fontsize=11)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    figure.legend(handles=handles(basins), loc="outside lower center", ncols=5, frameon=False, fontsize=10)
    return figure


def extent(window: Window) -> tuple[float, float, float, float]:
    return window.left, window.right, window.bottom, window.top


def levels(energy: Tensor) -> list[float]:
    """Energies of the contour lines, denser where it is low; none for a landscape that is flat to rounding."""
    low, high = float(energy.min()), float(energy.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return []
    return [low + (high - low) * (step / LEVELS) ** 2 for step in range(1, LEVELS)]


def draw_energy(figure: Figure, ax: Axes, basins: Basins) -> None:
    from matplotlib.colors import PowerNorm

    # the square root, as of the contour lines: wells are shallow beside the walls of the window
    image = ax.imshow(
        basins.energy.numpy(), extent=extent(basins.window), origin="lower", cmap="cividis", norm=PowerNorm(0.5), zorder=0
    )
    figure.colorbar(image, ax=ax, label="energy", shrink=0.85)
    contours(ax, basins, "white", 0.45)


def contours(ax: Axes, basins: Basins, colour: str, alpha: float) -> None:
    if heights := levels(basins.energy):
        x, y = basins.window.cells(len(basins.energy)).numpy().transpose(2, 0, 1)
        # negative levels would be dashed
        ax.contour(x, y, basins.energy.numpy(), heights, colors=colour, alpha=alpha, linewidths=0.8, linestyles="solid", zorder=1)


def draw_ways(ax: Axes, memory: DenseMemory, cues: Tensor) -> None:
    """A disc at each cue, a dot at each state, an arrow for each step with room for one."""
    recalled = memory.recall(cues, trace=True)
    assert recalled.trace is not None
    ways = torch.cat([recalled.trace.states, recalled.patterns[None]]).transpose(0, 1)
    room = 0.04 * (ax.get_xlim()[1] - ax.get_xlim()[0])
    for way in ways:
        ax.plot(*way.T.tolist(), ".-", color=COLOURS[4], markersize=3, linewidth=1.5, zorder=3)
        ax.plot(*way[0].tolist(), "o", color=COLOURS[4], markeredgecolor=INK, markersize=6, zorder=4)
        for start, end in pairwise(way):
            if float((end - start).norm()) > room:
                arrow(ax, start, end, short=float((end - way[-1]).norm()) < room)


def arrow(ax: Axes, start: Tensor, end: Tensor, *, short: bool) -> None:
    """From `start` to `end`, or `short` of the marker that is there."""
    style = {"arrowstyle": "-|>", "color": COLOURS[4], "linewidth": 1.5, "mutation_scale": 11}
    ax.annotate(
        "", tuple(end.tolist()), tuple(start.tolist()), arrowprops={**style, "shrinkA": 0, "shrinkB": 7 if short else 0}, zorder=4
    )


def draw_basins(ax: Axes, basins: Basins) -> None:
    from matplotlib.colors import ListedColormap

    count = len(basins.fixed_points)
    colours = [PALE, *(COLOURS[place % len(COLOURS)] for place in range(count))]
    ax.imshow(
        (basins.labels - BORDER).numpy(),
        extent=extent(basins.window),
        origin="lower",
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=count + 0.5,
        interpolation="nearest",
        alpha=0.6,
    )
    contours(ax, basins, INK, 0.25)


def handles(basins: Basins) -> list[Any]:
    from matplotlib.lines import Line2D

    entries: list[Any] = [
        Line2D([], [], marker="o", linewidth=0, color="white", markeredgecolor=INK, markersize=11, label="stored memory"),
        Line2D([], [], marker="o", color=COLOURS[4], markeredgecolor=INK, markersize=6, label="cue, and the steps of its recall"),
        Line2D([], [], **FIXED, label="stable fixed point"),
    ]
    if basins.border:
        entries.append(Line2D([], [], marker="s", linewidth=0, color=PALE, markersize=9, label="in no basin"))
    return entries
