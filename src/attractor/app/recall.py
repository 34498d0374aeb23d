"""`attractor recall`: without a cue the demonstration on real images, with one a recall from the user's own bank."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attractor.app.answers import output_paths, read_cues, report
from attractor.app.collection import Layout, open_bank
from attractor.app.demo import run_demonstration
from attractor.app.lookup import look_up
from attractor.app.masks import mask_from_box, mask_from_file
from attractor.app.sources import parse_size
from attractor.data import NAMES

PICTURE = Path("recall.png")
OWN, DEMO = "With a cue", "Without a cue: the demonstration"
REFUSED = 1


class SimilarityName(StrEnum):
    """How a cue is compared with stored items."""

    EUCLIDEAN = "euclidean"
    COSINE = "cosine"
    MANHATTAN = "manhattan"


def recall(
    cue: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CUE", help="Damaged images or arrays to recall from --bank.", show_default=False),
    ] = None,
    bank: Annotated[
        Path | None, typer.Option("--bank", "-b", help="Bank that [bold]attractor store[/bold] made.", rich_help_panel=OWN)
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE", help="Mask of what to trust: white there, black where the cue is damaged.", rich_help_panel=OWN
        ),
    ] = None,
    known_box: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Trust this box only, in pixels of the bank's images.", rich_help_panel=OWN),
    ] = None,
    reject: Annotated[
        float | None,
        typer.Option(
            help="Refuse cues whose resemblance is below this. Resemblance is the cue's lead for the recalled item over the "
            "runner-up, as a part of the lead that the item itself has: 1 for the item or a noisy copy, 0 for a cue as near to "
            "another, at most 0 for one that does not correlate with the item.",
            show_default="what 9 of 10 stored items stay below when left out themselves, from 0.33 to 0.75",
            rich_help_panel=OWN,
        ),
    ] = None,
    similarity: Annotated[
        SimilarityName | None,
        typer.Option(
            help="How to compare; cosine forgives parts that are blank, where no mask says so.",
            show_default="euclidean",
            rich_help_panel=OWN,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help=f"Data set ({', '.join(NAMES)}), or your file or folder.",
            show_default="mnist-5k, or what is there",
            rich_help_panel=DEMO,
        ),
    ] = None,
    stored: Annotated[
        int | None, typer.Option(min=2, help="How many images to store.", show_default="1000", rich_help_panel=DEMO)
    ] = None,
    cues: Annotated[
        int | None, typer.Option(min=1, help="How many of them to damage and recall.", show_default="200", rich_help_panel=DEMO)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the choice of images and of the damages.", show_default="0", rich_help_panel=DEMO)
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Read your own images as grey.", rich_help_panel=DEMO)] = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw no picture.", rich_help_panel=DEMO)] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write the picture, or the recalled item (a folder for several cues; .npy for an array).",
            show_default="recall.png without a cue",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Crop your own images about their centre and resize them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Recall stored images from damaged ones.

    [bold]Without a cue[/bold] real images are stored in several memories, damaged in several ways, and recalled: \
a table, with the nearest-neighbour baseline given the same information, and a picture.

    [bold]With a cue[/bold] and --bank it is recalled from your own bank: which stored item it is, by what margin, \
and what the memory makes of it. Exit code 0: all cues were recognised; 1: one resembles nothing stored.

    [bold]attractor recall torn.png --bank memory --known-box 0,0,64,32 -o whole.png[/bold]
    """
    of_bank = {"--bank": bank, "--known": known, "--known-box": known_box, "--reject": reject, "--similarity": similarity}
    of_demo = {"--data": data, "--stored": stored, "--cues": cues, "--seed": seed, "--grey": grey, "--no-picture": no_picture}
    if not cue:
        refuse(of_bank, "give a CUE to recall from a bank")
        picture = None if no_picture else output or PICTURE
        run_demonstration(data, stored, cues, seed or 0, parse_size(size), grey, picture, as_json)
        return
    refuse(of_demo, "is for the demonstration, without a CUE")
    if bank is None:
        raise ValueError("--bank must be given with a cue: the folder that 'attractor store' made")
    if known is not None and known_box is not None:
        raise ValueError("--known and --known-box say the same: give one of them")
    with open_bank(bank) as opened:
        layout = Layout.of_bank(opened)
        given = read_cues(cue, layout, parse_size(size), bank)
        mask = None
        if known is not None:
            mask = mask_from_file(known, layout, parse_size(size))
        elif known_box is not None:
            mask = mask_from_box(known_box, layout)
        targets = output_paths(output, given, layout)
        found = look_up(opened, given, mask, similarity or SimilarityName.EUCLIDEAN, reject)
        held = len(opened)
    report(found, layout, targets, f"{bank} ({held} items)", as_json)
    if not all(answer.recognised for answer in found.answers):
        raise typer.Exit(REFUSED)


def refuse(options: Mapping[str, object], why: str) -> None:
    """Raise `ValueError` naming the options that were given and do not apply."""
    given = [name for name, value in options.items() if value is not None and value is not False]
    if given:
        raise ValueError(f"{', '.join(given)}: {why}")
