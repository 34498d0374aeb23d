"""`attractor store`: the user's images and arrays into a bank on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attractor.app.collection import Layout, joined
from attractor.app.console import out, progress
from attractor.app.sources import parse_size
from attractor.bank import DiskBank
from attractor.bank.manifest import FILE
from attractor.data import ImageSet, load_files
from attractor.data.files import files_below

ROWS_PER_BATCH = 256
NUMBERS_PER_BATCH = 2**23


class IfPresent(StrEnum):
    """What to do with an item that equals a stored one."""

    SKIP = "skip"
    ADD = "add"
    RAISE = "raise"


def store(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Images, arrays (.npy, .npz, .safetensors), or folders of them.", show_default=False),
    ],
    bank: Annotated[Path, typer.Option("--bank", "-b", help="Folder of the bank; made where there is none.", show_default=False)],
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Crop images about their centre and resize them. Cues will be fitted likewise."),
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Store images as grey: a third of the space.")] = False,
    if_present: Annotated[
        IfPresent, typer.Option(help="What to do with an item that is stored already, byte for byte.")
    ] = IfPresent.SKIP,
) -> None:
    """Store images or arrays, with their names, in a bank on disk.

    What was stored is there at the next start, whatever happens to the process; run the same command again to go on. \
All items of a bank have one size: give --size for images of several.

    [bold]attractor store photos/ --bank memory --size 64x64[/bold]
    """
    fit = parse_size(size)
    found = [pair for path in files for pair in files_below(path)]
    if not found:
        raise ValueError(f"there is no image and no array in {', '.join(repr(str(path)) for path in files)}")
    stored = skipped = 0
    with ExitStack() as stack, progress("files") as bar:
        # a new bank is made for the first batch, so that unreadable files leave no empty one
        target = stack.enter_context(DiskBank(bank)) if (bank / FILE).exists() else None
        for images in batches(read(bar.track(found, description="storing"), fit, grey)):
            if target is None:
                target = stack.enter_context(DiskBank(bank, images.dim))
            layout = Layout.of_images(images, fit is not None)
            if len(target):
                Layout.of_bank(target).check(images, bank)
            kept = wanted(target, images, if_present)
            if kept:
                entries = [layout.entry(name) for name in images[kept].names or ()]
                target.append(images.patterns[kept], metadata=entries)
            stored, skipped = stored + len(kept), skipped + len(images) - len(kept)
        total = 0 if target is None else len(target)
    already = f", {skipped} stored already" if skipped else ""
    out().print(f"{stored} stored{already}; {bank} holds {total}", soft_wrap=True, markup=False)


def read(found: Iterable[tuple[Path, Path]], size: tuple[int, int] | None, grey: bool) -> Iterator[ImageSet]:
    """Each file's items, named relative to the folder that the user gave."""
    for file, base in found:
        images = load_files(file, size=size, grey=grey)
        folder = file.relative_to(base).parent.as_posix()
        names = images.names or (file.name,) * len(images)
        yield ImageSet(
            images.patterns,
            images.shape,
            images.name,
            levels=images.levels,
            names=names if folder == "." else tuple(f"{folder}/{name}" for name in names),
        )


def batches(items: Iterable[ImageSet]) -> Iterator[ImageSet]:
    """Items of one shape and grid, as many as are well written together."""
    waiting: list[ImageSet] = []
    for images in items:
        if waiting and (images.shape, images.levels) != (waiting[0].shape, waiting[0].levels):
            yield joined(waiting)
            waiting = []
        waiting.append(images)
        rows = sum(map(len, waiting))
        if rows >= ROWS_PER_BATCH or rows * images.dim >= NUMBERS_PER_BATCH:
            yield joined(waiting)
            waiting = []
    if waiting:
        yield joined(waiting)


def wanted(bank: DiskBank, images: ImageSet, if_present: IfPresent) -> list[int]:
    """The rows to store: all of them, or those that neither the bank nor an earlier row of the batch holds.

    Raises:
        ValueError: a row is there already, and that is not allowed; nothing of the batch is stored then.
    """
    if if_present is IfPresent.ADD:
        return list(range(len(images)))
    there = bank.contains(images.patterns).tolist() if len(bank) else [False] * len(images)
    seen: set[bytes] = set()
    kept = []
    for row, pattern in enumerate(images.patterns):
        content = pattern.numpy().tobytes()
        if there[row] or content in seen:
            if if_present is IfPresent.RAISE:
                raise ValueError(f"{(images.names or ())[row]} is stored already: --if-present says what to do with it")
            continue
        seen.add(content)
        kept.append(row)
    return kept
