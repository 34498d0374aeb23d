"""Where data sets lie: beside the caller's files or inside an installed package, never on the network.

A data folder is looked up in this order: the argument `root`, the environment variable `ATTRACTOR_DATA`, the installed
packages and the folders of the operating system. Packages are read as folders of files and never imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

ENVIRONMENT_VARIABLE = "ATTRACTOR_DATA"


class DataUnavailableError(FileNotFoundError):
    """A known data set is not on this machine; the message says how to get it."""


def roots(root: str | Path | None) -> list[Path]:
    """The folders to search before the installed packages.

    Raises:
        ValueError: `root` is given and is not a folder.
    """
    if root is not None:
        if not Path(root).is_dir():
            raise ValueError(f"root must be an existing folder, got {str(root)!r}")
        return [Path(root)]
    variable = os.environ.get(ENVIRONMENT_VARIABLE)
    return [Path(variable)] if variable else []


def package_folder(package: str, root: str | Path | None) -> Path | None:
    """The folder of a top-level package, unpacked in a root or installed; the package is not imported."""
    for folder in roots(root):
        if (folder / package).is_dir():
            return folder / package
    spec = PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def first_existing(candidates: Iterable[Path]) -> Path | None:
    """The first candidate that is there."""
    return next((path for path in candidates if path.exists()), None)
