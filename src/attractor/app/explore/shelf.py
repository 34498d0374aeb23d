"""The images that the page offers: the sets on this machine, a bank of the user's, and pictures that come over the wire."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attractor.app.collection import Layout, name_of, open_bank
from attractor.data import NAMES, ImageSet, available, load
from attractor.data.readers import image_bytes, open_image

MOST_ITEMS, MOST_NUMBERS = 10_000, 2**23
"""Stored by one page, and the numbers that they hold together."""
SPARE = 2_000
"""Items read beyond those, as cues that are not stored."""
KEPT_SETS = 2
OWN, BANK = "own", "bank"
TITLES = {
    "digits": "Digits, 8×8",
    "mnist-5k": "MNIST digits, 28×28",
    "mnist": "MNIST digits, all, 28×28",
    "fashion-mnist": "Fashion, 28×28",
    "faces": "Faces, 112×92",
    "cifar10": "CIFAR-10, 32×32 in colour",
    "natural-tiles": "Natural pictures, 32×32 in colour",
}
EDGE = 64
"""Of uploaded pictures, while it is not known how they will be stored."""


class Shelf:
    """Image sets by name, the last few kept in memory.

    Args:
        bank: folder of a bank that `attractor store` made of pictures, or None.

    Raises:
        ValueError: there is no bank, it is empty, or it holds no pictures.
    """

    def __init__(self, bank: Path | None = None):
        self._kept: OrderedDict[str, ImageSet] = OrderedDict()
        self.bank = None if bank is None else read_bank(bank)

    def offered(self) -> list[dict[str, str]]:
        """Names and titles, the bank first."""
        there = available()
        sets = [{"name": name, "title": TITLES[name]} for name in NAMES if there[name] is not None]
        return sets if self.bank is None else [{"name": BANK, "title": f"Your bank: {self.bank.name}"}, *sets]

    def read(self, name: str) -> ImageSet:
        """A set, in an order that stays; of a large one the first items.

        Raises:
            ValueError: the name is not offered.
        """
        if name == BANK and self.bank is not None:
            return self.bank
        if name not in NAMES:
            raise ValueError(f"the set must be one of {', '.join(one['name'] for one in self.offered())}, got {name!r}")
        if name not in self._kept:
            self._kept[name] = read_set(name)
            if len(self._kept) > KEPT_SETS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]


def read_set(name: str) -> ImageSet:
    """As many items as a page may hold, and some more; all of a smaller set."""
    try:
        return load(name, limit=MOST_ITEMS + SPARE)
    except ValueError:  # it has fewer
        images = load(name)
        return images.take(len(images))


def read_bank(path: Path) -> ImageSet:
    """The pictures of a bank, as many as a page may hold."""
    with open_bank(path) as bank:
        layout = Layout.of_bank(bank)
        if not layout.picture:
            raise ValueError(f"--bank must hold pictures to be explored, {str(path)!r} holds other data")
        ids = bank.ids()[: min(MOST_ITEMS, MOST_NUMBERS // bank.dim)]
        patterns = bank.get(ids).patterns.float()
        names = tuple(name_of(bank, ids))
    return ImageSet(patterns, layout.shape, path.name, levels=256, names=names, source=f"your bank {path.name}")


def most_items(dim: int) -> int:
    """How many patterns of a width a page may store."""
    return min(MOST_ITEMS, MOST_NUMBERS // dim)


def decode(content: bytes, name: str, shape: tuple[int, int, int]) -> Tensor:
    """A picture of any format that Pillow reads, cropped and resized to `shape`, as a pattern `(d,)` in [0, 1].

    Raises:
        ValueError: it cannot be read, or is too large.
    """
    from PIL import Image, ImageOps

    channels, height, width = shape
    try:
        image = open_image(BytesIO(content), name=name, mode="L" if channels == 1 else "RGB")
    except ValueError as error:  # Pillow's own message speaks of the stream
        raise ValueError(str(error).split(": cannot identify")[0]) from error
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(image_bytes(fitted)).flatten().float() / 255


@dataclass(frozen=True)
class Upload:
    """A picture of the user: its name, and its bytes `(3, EDGE, EDGE)`, uint8."""

    name: str
    pixels: Tensor

    @classmethod
    def of(cls, content: bytes, name: str) -> Upload:
        pixels = decode(content, name, (3, EDGE, EDGE)) * 255
        return cls(name, pixels.round().to(torch.uint8).unflatten(0, (3, EDGE, EDGE)))


def as_set(uploads: list[Upload], edge: int, *, colour: bool) -> ImageSet:
    """Uploaded pictures as patterns.

    Args:
        uploads: at least one.
        edge: of the squares that they become, at most `EDGE`.
        colour: keep it; else grey.

    Raises:
        ValueError: there is none.
    """
    from PIL import Image

    if not uploads:
        raise ValueError("no picture of your own is here yet: choose or drop some first")
    rows = []
    for upload in uploads:
        image = Image.fromarray(upload.pixels.permute(1, 2, 0).contiguous().numpy()).convert("RGB" if colour else "L")
        rows.append(torch.from_numpy(image_bytes(image.resize((edge, edge), Image.Resampling.LANCZOS))).flatten().float() / 255)
    names = tuple(upload.name for upload in uploads)
    return ImageSet(torch.stack(rows), (3 if colour else 1, edge, edge), "your pictures", levels=256, names=names)


def drawn(images: ImageSet, count: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """`count` items in the order of `seed` to store, and the rest as cues that are not stored.

    Raises:
        ValueError: the set has fewer, or they hold more numbers than a page may.
    """
    most = min(len(images), most_items(images.dim))
    if not 1 <= count <= most:
        raise ValueError(f"how many must be from 1 to {most:,} for {images.name}, got {count:,}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order[:count]], images[order[count : count + SPARE]]


def caption(images: ImageSet, row: int) -> str:
    """What an item is called: its file, or its class; empty where nothing is known of it."""
    if images.names is not None:
        return images.names[row]
    return "" if images.labels is None else f"class {int(images.labels[row])}"


def described(images: ImageSet) -> dict[str, Any]:
    """What the page needs to draw the items."""
    return {"name": images.name, "shape": list(images.shape), "count": len(images), "source": images.source}
