"""Natural tiles: small colour pictures cut from photographs that Python packages ship, a stand-in for CIFAR-10 and Tiny
ImageNet.

Up to thirty photographs (20 ImageNet pictures of foolbox, 8 of scikit-image, 2 of scikit-learn, in this order) are
cropped to the centre square, resized (Lanczos) to 256 x 256 and then to the scale of the tile size, and cut row by row
into tiles that do not overlap. Tiles whose pixels have a standard deviation of 0.06 or less are dropped: sky resembles
sky, and nothing can tell them apart. The rest is permuted (numpy's generator, by the seed). With all thirty
photographs: 446 tiles of 16 x 16, 460 of 32 x 32, 463 of 64 x 64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from attractor.data.image_set import ImageSet
from attractor.data.locate import package_folder
from attractor.data.readers import Bytes, image_bytes, open_image
from attractor.data.sources import Request, from_bytes

SCALES = {16: 64, 32: 128, 64: 256}
FLATTEST = 0.06

_SCIKIT_IMAGE = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
    "motorcycle_left.png",
)
_SCIKIT_LEARN = ("china.jpg", "flower.jpg")

HOW = (
    "it is cut from photographs of scikit-learn (pip install 'attractor[demo]'), scikit-image (pip install --no-deps "
    "scikit-image) and foolbox (pip install --no-deps foolbox==3.3.4); any of them will do, only their files are read"
)


def photographs(root: str | Path | None = None) -> dict[str, list[Path]]:
    """The photographs of the recipe that are on this machine: package -> files, both in the recipe's order."""
    folders = {
        "foolbox": ("foolbox", "data"),
        "scikit-image": ("skimage", "data"),
        "scikit-learn": ("sklearn", "datasets/images"),
    }
    found: dict[str, list[Path]] = {}
    for title, (package, inner) in folders.items():
        base = package_folder(package, root)
        if base is None:
            continue
        folder = base / inner
        if title == "foolbox":
            files = sorted(folder.glob("imagenet_*.jpg"))
        else:
            files = [folder / name for name in (_SCIKIT_IMAGE if title == "scikit-image" else _SCIKIT_LEARN)]
        if present := [path for path in files if path.is_file()]:
            found[title] = present
    return found


def natural_tiles(request: Request, *, size: int = 32) -> ImageSet | None:
    """The tiles of edge `size`, or `None` when no photograph is on this machine. Labels number the photographs.

    Raises:
        ValueError: `size` is not 16, 32 or 64.
    """
    if size not in SCALES:
        raise ValueError(f"size must be one of {', '.join(map(str, SCALES))} for natural tiles, got {size!r}")
    photos = photographs(request.root)
    if not photos:
        return None
    tiles, labels = [], []
    for number, path in enumerate(path for files in photos.values() for path in files):
        kept = _cut(path, size)
        tiles.append(kept)
        labels.extend([number] * len(kept))
    every = np.concatenate(tiles)
    request.check_limit(len(every))
    rows = torch.from_numpy(np.random.default_rng(request.seed).permutation(len(every)))[: request.limit]
    patterns, shape = from_bytes(every[rows.numpy()])
    counts = ", ".join(f"{len(files)} of {title}" for title, files in photos.items())
    total = sum(len(files) for files in photos.values())
    return ImageSet(
        patterns,
        shape,
        "natural-tiles",
        levels=256,
        labels=torch.tensor(labels)[rows],
        source=f"{len(every)} tiles of {size} x {size} from {total} photographs: {counts} (each under its own terms)",
    )


def _cut(path: Path, size: int) -> Bytes:
    from PIL import Image

    image = open_image(path, name=repr(str(path)), mode="RGB")
    edge, scale = min(image.size), SCALES[size]
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    square = image.crop((left, top, left + edge, top + edge)).resize((256, 256), Image.Resampling.LANCZOS)
    pixels = image_bytes(square.resize((scale, scale), Image.Resampling.LANCZOS))
    count = scale // size
    grid = pixels.reshape(3, count, size, count, size).transpose(1, 3, 0, 2, 4)
    tiles = grid.reshape(count * count, 3, size, size)
    return tiles[(tiles / 255.0).std(axis=(1, 2, 3)) > FLATTEST]
