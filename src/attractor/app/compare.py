"""`attractor compare`: every registered memory on one data set, against load and against damage, beside the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attractor.app.comparison import SCORES, Comparison, compare_memories, pieces, plan
from attractor.app.console import counted, out, write_json
from attractor.app.contenders import registered
from attractor.app.figures import check_target, save_if_possible, sweeps
from attractor.app.sources import choose_images, parse_size
from attractor.app.tables import NARROW, sweep_table
from attractor.data import ImageSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOADS = "10,30,100,300,1000"
PICTURE = Path("compare.png")


def compare(
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="Data set, or your file or folder.", show_default="mnist-5k, or what is there"),
    ] = None,
    loads: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="How many items to store.", show_default=f"{LOADS}, as far as there are")
    ] = None,
    cues: Annotated[int, typer.Option(min=1, help="Most items to damage and recall at each point.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of images and of the damages.")] = 0,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Crop your own images about their centre and resize them.")
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Read your own images as grey.")] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the figure.")] = PICTURE,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no figure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Compare every memory on one data set.

    Recall rates against the number of stored items, and against the strength of flips, noise and hidden pixels \
at the middle one of the loads. Binary memories see the data through an encoder; the nearest neighbour of what they see \
stands beside them.
    """
    if not no_picture:
        check_target(output)
    counts = parse_loads(LOADS if loads is None else loads)
    images = choose_images(data, None if loads is None else counts[-1], seed, parse_size(size), grey)
    planned = plan(images, tuple(dict.fromkeys(min(count, len(images)) for count in counts)))
    contenders = registered()
    with counted("comparing", pieces(planned, contenders), "recalls") as advance:
        result = compare_memories(images, planned, cues, seed, contenders, advance)
    path = None if no_picture else save_if_possible(lambda: draw(result, images), output)
    if as_json:
        described = {"name": images.name, "source": images.source, "shape": list(images.shape)}
        write_json({"data": described, "cues": cues, "seed": seed, **result.as_json(), "picture": path and str(path)})
        return
    report(result, images, path)


def parse_loads(text: str) -> tuple[int, ...]:
    """Whole numbers of at least 2, in rising order.

    Raises:
        ValueError: something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) >= 2 for part in parts):
        raise ValueError(f"--loads must be whole numbers from 2, such as 10,100,1000, got {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def report(result: Comparison, images: ImageSet, path: Path | None) -> None:
    console = out()
    for sweep in result.sweeps:
        columns = {f"{point.position:g}": result.rows[point] for point in sweep.points}
        title = f"{images.name}: {sweep.title} (exact / identified, by {sweep.axis})"
        console.print(sweep_table(columns, title, narrow=console.width < NARROW))
    for encoder in dict.fromkeys(result.encoders.values()):
        console.print(f"encoder: {encoder} before the binary memories, and in 'nearest, binarised'", markup=False)
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
    console.print("Grey lines: the baselines, told the same as the memories.")
    console.print(f"data: {images.source}", markup=False)
    if path is not None:
        console.print(f"picture: {path}", soft_wrap=True, markup=False)


def draw(result: Comparison, images: ImageSet) -> Figure:
    return sweeps([result.panel(sweep) for sweep in result.sweeps], SCORES, result.baselines, f"Recall of {images.name}")
