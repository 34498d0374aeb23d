"""Which entries of a cue are trusted, as the user says it: a picture, or a box."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from attractor.app.collection import Layout, described
from attractor.data import load_files


def mask_from_box(text: str, layout: Layout) -> Tensor:
    """`"x0,y0,x1,y1"` in pixels from the upper left, `x1` and `y1` excluded, as a mask `(d,)`.

    Raises:
        ValueError: no four whole numbers, or a box that is empty or leaves the image.
    """
    channels, height, width = layout.shape
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--known-box must be x0,y0,x1,y1 in pixels, such as 0,0,28,14, got {text!r}") from None
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(f"--known-box must lie in the bank's images of {width}x{height} pixels and hold one or more, got {text!r}")
    mask = torch.zeros(channels, height, width, dtype=torch.bool)
    mask[:, y0:y1, x0:x1] = True
    return mask.flatten()


def mask_from_file(path: Path, layout: Layout, size: tuple[int, int] | None) -> Tensor:
    """A picture or array that is white, above one half, where cues are trusted, as a mask `(d,)`.

    Raises:
        ValueError: it is of another size than the bank's items, or trusts nothing.
    """
    channels, height, width = layout.shape
    images = load_files(path, size=(height, width) if layout.fitted and size is None else size, grey=True)
    trusted = images.patterns.flatten() > 0.5
    if len(trusted) == height * width:
        trusted = trusted.expand(channels, -1).flatten()
    if len(trusted) != channels * height * width:
        raise ValueError(f"--known {path} is {described(images.shape)}, the bank holds {described(layout.shape)}")
    if not bool(trusted.any()):
        raise ValueError(f"--known {path} trusts no pixel: it must be white where the cue is to be believed")
    return trusted
