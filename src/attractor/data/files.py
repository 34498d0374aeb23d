"""The user's own data: images of any format that Pillow reads, and arrays in `.npy`, `.npz` and `.safetensors`.

Nothing that can run code is opened: arrays of Python objects are refused, and no format here is a pickle.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.data.image_set import ImageSet
from attractor.data.readers import MAXIMUM_BYTES, image_bytes, open_image

ARRAY_SUFFIXES = (".npy", ".npz", ".safetensors")


class _Items(NamedTuple):
    """What one file holds: `values (n, c, h, w)` float32, its grid, one name an item, the file for messages."""

    values: Tensor
    levels: int | None
    names: list[str]
    file: str


def load_files(
    paths: str | Path | Iterable[str | Path],
    *,
    size: int | tuple[int, int] | None = None,
    grey: bool = False,
) -> ImageSet:
    """Images and arrays of the user as one `ImageSet` with `names`.

    Images become upright RGB in [0, 1] (grey ones too, so that a single cue has the shape of the set it belongs to).
    Arrays of bytes are divided by 255 and of booleans read as 0 and 1; floating-point ones are kept as they are. An
    array of one dimension is one item, of two `(n, d)`, of three `(n, height, width)`, of four `(n, channels, height,
    width)`.

    Args:
        paths: files and folders; a folder gives all images and arrays below it, sorted by path.
        size: edge, or `(height, width)`, that images are cropped about their centre (to the aspect) and resized to.
            Images of unequal sizes need it. Arrays are never resized.
        grey: read images as one channel of grey.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a file cannot be read, is too large or holds NaN; the items differ in shape; nothing was found.
        TypeError: an array holds neither bytes, booleans nor floating-point numbers.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(pathlib.Path(folder, "vectors.npy"), np.eye(3))
        ...     load_files(folder).names
        ('vectors.npy[0]', 'vectors.npy[1]', 'vectors.npy[2]')
    """
    target = _target_size(size)
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    items = [_read(file, base, target, grey) for path in given for file, base in files_below(path)]
    if not items:
        raise ValueError(f"paths hold no image and no array: {', '.join(repr(str(path)) for path in given) or 'none given'}")
    shape = items[0].values.shape[1:]
    for item in items:
        if item.values.shape[1:] != shape:
            raise ValueError(
                f"{item.file} holds items of shape {tuple(item.values.shape[1:])}, {items[0].file} of {tuple(shape)}: "
                "give size= to bring images to one size"
            )
    grids = {item.levels for item in items}
    return ImageSet(
        torch.cat([item.values for item in items]).flatten(1),
        (shape[0], shape[1], shape[2]),
        given[0].name if len(given) == 1 else f"{len(given)} paths",
        levels=grids.pop() if len(grids) == 1 else None,
        names=tuple(name for item in items for name in item.names),
        source="files of the user",
    )


def _target_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive, got {size!r}")
    return height, width


def files_below(path: Path) -> list[tuple[Path, Path]]:
    """The files below `path`, each with the folder that its name is relative to."""
    if path.is_file():
        return [(path, path.parent)]
    if not path.is_dir():
        raise FileNotFoundError(f"paths: there is no file or folder {str(path)!r}")
    from PIL import Image

    wanted = {*ARRAY_SUFFIXES, *Image.registered_extensions()}
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, n) for n in names if not n.startswith(".") and Path(n).suffix.lower() in wanted]
    return [(file, path) for file in sorted(found)]


def _read(path: Path, base: Path, target: tuple[int, int] | None, grey: bool) -> _Items:
    name, file = path.relative_to(base).as_posix(), repr(str(path))
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        return _Items(_read_image(path, file, target, grey), 256, [name], file)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{file} is larger than {MAXIMUM_BYTES:,} bytes")
    read = {".npy": _read_npy, ".npz": _read_npz, ".safetensors": _read_safetensors}[path.suffix.lower()]
    try:
        arrays = read(path)
    except Exception as error:  # numpy, zipfile and safetensors each raise their own kinds on damaged files
        raise ValueError(f"{file} cannot be read: {error}") from error
    parts = [(key, *_as_items(array, f"{file}{key and f' ({key})'}")) for key, array in arrays.items()]
    if not parts:
        raise ValueError(f"{file} holds no array")
    shapes = {tuple(values.shape[1:]) for _, values, _ in parts}
    if len(shapes) > 1:
        raise ValueError(f"{file} holds arrays of unequal item shapes {sorted(shapes)}")
    grids = {levels for _, _, levels in parts}
    names = [
        f"{name}{key and f':{key}'}{f'[{row}]' if arrays[key].ndim > 1 else ''}"
        for key, values, _ in parts
        for row in range(len(values))
    ]
    values = torch.cat([values for _, values, _ in parts])
    return _Items(values, grids.pop() if len(grids) == 1 else None, names, file)


def _read_image(path: Path, file: str, target: tuple[int, int] | None, grey: bool) -> Tensor:
    from PIL import Image, ImageOps

    image = open_image(path, name=file, mode="L" if grey else "RGB")
    if target is not None:
        image = ImageOps.fit(image, (target[1], target[0]), Image.Resampling.LANCZOS)
    return torch.from_numpy(image_bytes(image)).to(torch.float32)[None] / 255


def _read_npy(path: Path) -> dict[str, Tensor]:
    return {"": torch.from_numpy(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))}


def _read_npz(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAXIMUM_BYTES:
        raise ValueError(f"it unpacks to {unpacked:,} bytes, more than {MAXIMUM_BYTES:,}")
    with np.load(path, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(np.array(arrays[key])) for key in arrays.files}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _as_items(array: Tensor, file: str) -> tuple[Tensor, int | None]:
    if array.ndim not in (1, 2, 3, 4) or 0 in array.shape:
        raise ValueError(f"{file} must have one to four dimensions and no empty one, got shape {tuple(array.shape)}")
    if array.dtype == torch.uint8:
        values, levels = array.to(torch.float32) / 255, 256
    elif array.dtype == torch.bool:
        values, levels = array.to(torch.float32), 2
    elif array.is_floating_point():
        values, levels = array.to(torch.float32), None
    else:
        raise TypeError(f"{file} must hold bytes, booleans or floating-point numbers, got {array.dtype}: scale it to [0, 1] first")
    if not values.isfinite().all():
        raise ValueError(f"{file} holds NaN or infinite values")
    if array.ndim == 1:
        return values[None, None, None, :], levels
    if array.ndim == 2:
        return values[:, None, None, :], levels
    return (values[:, None] if array.ndim == 3 else values), levels
