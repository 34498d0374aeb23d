"""Readers of the file formats that image sets come in: IDX (plain, gzip or inside a tar), comma-separated digits,
Pillow images.

All of them refuse what they cannot read with a `ValueError` that names the file, and none reads more than its own
header promises.
"""

from __future__ import annotations

import gzip
import math
import tarfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

MAXIMUM_BYTES = 2**32
"""Largest array that a header may promise: more is taken for a damaged or hostile file."""


def read_idx(stream: IO[bytes], *, name: str) -> Bytes:
    """An IDX file of bytes, as MNIST's: two zeros, type code 8, the number of dimensions, big-endian sizes, the values.

    Raises:
        ValueError: the header is not IDX of bytes, or the values are fewer or more than it says.
    """
    try:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:3] != b"\x00\x00\x08" or not 1 <= magic[3] <= 4:
            raise ValueError(f"{name} is not an IDX file of bytes: it starts with {magic!r}")
        header = stream.read(4 * magic[3])
        shape = tuple(int.from_bytes(header[start : start + 4], "big") for start in range(0, len(header), 4))
        expected = math.prod(shape)
        if len(header) != 4 * magic[3] or not 0 < expected <= MAXIMUM_BYTES:
            raise ValueError(f"{name} has an unreadable IDX header: sizes {shape}")
        values = stream.read(expected + 1)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    if len(values) != expected:
        found = "more" if len(values) > expected else f"{len(values):,}"
        raise ValueError(f"{name} should hold {expected:,} values of shape {shape}, found {found}")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def read_idx_member(place: Path, member: str) -> Bytes:
    """The IDX file `member` of `place`: a folder that holds it plain or as `.gz`, or a tar archive that holds it.

    Raises:
        ValueError: there is no such file, or it cannot be read.
    """
    if place.is_dir():
        path = next((p for p in (place / member, place / f"{member}.gz") if p.is_file()), None)
        if path is None:
            raise ValueError(f"{str(place)!r} holds no {member} nor {member}.gz")
        opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as stream:
            return read_idx(stream, name=repr(str(path)))
    try:
        with tarfile.open(place) as archive:
            for entry in archive:
                if entry.isfile() and Path(entry.name).name == member:
                    inner = archive.extractfile(entry)
                    if inner is not None:
                        return read_idx(inner, name=repr(f"{place}:{entry.name}"))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ValueError(f"{str(place)!r} cannot be read: {error}") from error
    raise ValueError(f"{str(place)!r} holds no {member}")


def read_digits(path: Path, *, columns: int) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Gzipped, comma-separated rows of `columns` bytes and a class: values `(n, columns)`, labels `(n,)`.

    Raises:
        ValueError: the file is not of that form.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as stream:
            table = np.loadtxt(stream, delimiter=",", dtype=np.float64, ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    if table.shape[1] != columns + 1 or table.min() < 0 or table.max() > 255:
        raise ValueError(f"{str(path)!r} should hold rows of {columns} bytes and a class, got {table.shape[1]} columns")
    return table[:, :columns].astype(np.uint8), table[:, columns].astype(np.int64)


def open_image(source: Path | IO[bytes], *, name: str, mode: str) -> Image.Image:
    """An image as Pillow reads it: upright by its EXIF orientation, first frame, without transparency, in `mode`.

    Transparent pixels are laid on white. Pillow's limit against decompression bombs is an error, not a warning.

    Args:
        source: path or binary stream.
        name: what to call the file in a message.
        mode: `"RGB"` or `"L"` (8-bit grey; 16-bit grey is scaled to it).

    Raises:
        ValueError: the image cannot be read, is too large, or has 32-bit pixels.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as file:
                image: Image.Image = ImageOps.exif_transpose(file)
                image.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} is too large an image: {error}") from error
    except Exception as error:  # Pillow's format plug-ins raise SyntaxError, struct.error, EOFError... on damaged files
        raise ValueError(f"{name} cannot be read as an image: {error}") from error
    if image.mode.startswith("I;16"):
        sixteen_bit: npt.NDArray[Any] = np.asarray(image)
        image = Image.fromarray(np.rint(sixteen_bit / 257.0).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{name} has 32-bit pixels without a known range: save it as a .npy array in [0, 1]")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    return image.convert(mode)


def image_bytes(image: Image.Image) -> Bytes:
    """A Pillow image of mode `L` or `RGB` as channel-first bytes `(c, h, w)`."""
    array = np.array(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
