"""The user's items in a bank on disk: what a row is called, and what decodes it back to an image or array.

Each row carries `{"name", "shape": [c, h, w], "fitted", "picture"}` as its metadata, so that a bank explains itself wherever it
is copied to. Rows that other programs stored without it are plain vectors without a name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.bank import DiskBank
from attractor.bank.manifest import FILE
from attractor.data import ImageSet, load_files

PICTURE_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Layout:
    """What the items of a bank look like.

    Attributes:
        shape: `(channels, height, width)`.
        fitted: images were cropped and resized to that shape, and cues are to be, too.
        picture: the items are images with values in [0, 1].
    """

    shape: tuple[int, int, int]
    fitted: bool
    picture: bool

    @classmethod
    def of_images(cls, images: ImageSet, fitted: bool) -> Layout:
        return cls(images.shape, fitted, images.levels == 256 and images.shape[0] in PICTURE_CHANNELS and images.shape[1] > 1)

    @classmethod
    def of_bank(cls, bank: DiskBank) -> Layout:
        """By the bank's first item."""
        ids = bank.ids()
        entry = (bank.metadata(ids[:1])[0] if len(ids) else None) or {}
        shape = entry.get("shape")
        if isinstance(shape, list) and len(shape) == 3 and all(isinstance(edge, int) and edge > 0 for edge in shape):
            channels, height, width = shape
            if channels * height * width == bank.dim:
                return cls((channels, height, width), bool(entry.get("fitted")), bool(entry.get("picture")))
        return cls((1, 1, bank.dim), False, False)

    def entry(self, name: str) -> dict[str, Any]:
        """The metadata of a row."""
        return {"name": name, "shape": list(self.shape), "fitted": self.fitted, "picture": self.picture}

    def check(self, images: ImageSet, bank: Path) -> None:
        """Raise `ValueError` naming both sizes where items differ from the bank's."""
        if images.shape != self.shape:
            names = images.names or (images.name,)
            raise ValueError(
                f"{names[0]} is {described(images.shape)}, the bank {str(bank)!r} holds {described(self.shape)}: "
                f"--size {self.shape[2]}x{self.shape[1]} fits images to it"
            )

    def read(self, path: Path, size: tuple[int, int] | None) -> ImageSet:
        """Items to compare with the bank's, fitted as those were or to `size`."""
        fit = self.shape[1:] if self.fitted and size is None else size
        return load_files(path, size=fit, grey=self.shape[0] == 1)

    def write(self, pattern: Tensor, path: Path) -> Path:
        """One item as a picture, or as an array where the suffix is `.npy`."""
        item = pattern.unflatten(0, self.shape)
        if path.suffix.lower() == ".npy":
            # of the shapes that are read back as this one item
            array = pattern if self.shape[:2] == (1, 1) else item if self.shape[0] == 1 else item[None]
            np.save(path, array.numpy())
            return path.resolve()
        from PIL import Image

        pixels = (item.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(pixels[..., 0] if self.shape[0] == 1 else pixels).save(path)
        return path.resolve()

    def check_suffix(self, path: Path) -> None:
        """Raise `ValueError` where `write` could not write `path`."""
        from PIL import Image

        if path.suffix.lower() == ".npy":
            return
        if not self.picture:
            raise ValueError(f"--output must end in .npy: the bank holds arrays, not pictures; got {str(path)!r}")
        if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
            raise ValueError(f"--output must end as an image file does, such as .png, or in .npy; got {str(path)!r}")

    @property
    def suffix(self) -> str:
        """Of a file that holds an item."""
        return ".png" if self.picture else ".npy"


def described(shape: tuple[int, int, int]) -> str:
    """A shape in words: width first, as image programs say it."""
    channels, height, width = shape
    if channels == 1 and height == 1:
        return f"a vector of {width}"
    kind = {1: "grey", 3: "in colour"}.get(channels, f"of {channels} channels")
    return f"{width}x{height} {kind}"


def open_bank(path: Path) -> DiskBank:
    """The bank that `attractor store` made at `path`.

    Raises:
        ValueError: there is none, or it is empty.
    """
    if not (path / FILE).is_file():
        raise ValueError(f"--bank must be a folder that 'attractor store' made, there is no bank at {str(path)!r}")
    bank = DiskBank(path)
    if len(bank) == 0:
        bank.close()
        raise ValueError(f"the bank {str(path)!r} is empty: store something first")
    return bank


def joined(parts: list[ImageSet]) -> ImageSet:
    """Several sets of one shape as one."""
    names = tuple(name for part in parts for name in part.names or ())
    return replace(parts[0], patterns=torch.cat([part.patterns for part in parts]), names=names)


def name_of(bank: DiskBank, ids: Tensor) -> list[str]:
    """What the items with these ids are called."""
    entries = bank.metadata(ids)
    return [str((entry or {}).get("name", f"item {one}")) for entry, one in zip(entries, ids.tolist(), strict=True)]
