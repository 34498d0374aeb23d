"""The demonstration as a command: which images, the table, the notes below it, the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attractor.app.console import counted, out, write_json
from attractor.app.demonstration import Demonstration, demonstrate, pieces
from attractor.app.figures import check_target, gallery, save_if_possible
from attractor.app.measure import CHECKED, ROUNDING
from attractor.app.sources import choose_images, data_range
from attractor.app.tables import NARROW, recall_table
from attractor.data import ImageSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CUES = 200


def run_demonstration(
    data: str | None,
    stored: int | None,
    cues: int | None,
    seed: int,
    size: tuple[int, int] | None,
    grey: bool,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Store, damage, recall; print the table and save the picture."""
    if picture is not None:
        check_target(picture)
    images = choose_images(data, stored, seed, size, grey)
    if cues is not None and cues > len(images):
        raise ValueError(f"--cues must be at most the {len(images)} images stored, got {cues}")
    count = min(CUES, len(images)) if cues is None else cues
    with counted("storing", pieces(images), "steps") as advance:
        result = demonstrate(images, count, seed, advance=advance)
    path = None if picture is None else save_if_possible(lambda: draw(result, images), picture)
    if as_json:
        described = {"name": images.name, "source": images.source, "shape": list(images.shape), "stored": len(images)}
        write_json({"data": described, "cues": count, "seed": seed, **result.as_json(), "picture": path and str(path)})
        return
    report(out(), result, images, count, path)


def report(console: Console, result: Demonstration, images: ImageSet, count: int, path: Path | None) -> None:
    channels, height, width = images.shape
    title = (
        f"{len(images)} images of {images.name} stored ({width}x{height}{', colour' if channels == 3 else ''}), {count} recalled"
    )
    console.print(recall_table(result.rows, title, narrow=console.width < NARROW))
    console.print("beta, chosen from the images: " + "; ".join(f"{beta:.4g} for {name}" for name, beta in result.betas.items()))
    for encoder in dict.fromkeys(result.encoders.values()):
        users = [name for name, used in result.encoders.items() if used == encoder]
        console.print(f"encoder: {encoder} before {' and '.join(users)}; they give back black and white, so no grey image is exact")
    console.print(
        "exact: every pixel is the stored one; identified: nearest to the right stored image; steps: median/most. "
        f"The energy of {min(CHECKED, count)} cues is followed in float64, to {ROUNDING:g} of itself. "
        "Grey lines: the baselines, told the same."
    )
    refused = [f"{row.memory}, {row.damage}: {row.note}" for row in result.rows if row.note]
    for note in [*(f"{name}: {note}" for name, notes in result.notes.items() for note in notes), *refused]:
        console.print(f"note: {note}", markup=False)
    console.print(f"data: {images.source}", markup=False)
    if path is not None:
        console.print(f"picture: {path}", soft_wrap=True, markup=False)


def draw(result: Demonstration, images: ImageSet) -> Figure:
    low, high = data_range(images)
    return gallery(result.blocks, f"{len(images)} images of {images.name} stored", low=low, high=high)
