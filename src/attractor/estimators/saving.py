"""Fitted estimators as one file of tensors, with their settings and all else as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attractor.tensor_file import read, write
from attractor.validation import check_device

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, StopIteration)
"""What a file raises that says something else than an estimator does."""


class Saved(NamedTuple):
    """What a file holds: the estimator's settings, its tensors by name, and all else."""

    settings: dict[str, Any]
    state: dict[str, Tensor]
    extra: Any


def save_estimator(estimator: Any, path: str | os.PathLike[str], state: Mapping[str, Tensor], extra: Any = None) -> None:
    """Write the settings of an estimator, tensors and plain JSON to the file `path`. The old file is there until the new is whole.

    Args:
        estimator: with scikit-learn's `get_params`.
        path: of the file; its folder must be there.
        state: tensors by name, on any device.
        extra: numbers, strings, None, and lists and dicts of these.

    Raises:
        TypeError: a setting that JSON cannot hold, such as a random state that is no number.
        ValueError: `path` is a folder.

    Example:
        >>> import tempfile
        >>> from sklearn.cluster import KMeans
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_estimator(KMeans(3), f"{folder}/means", {"centres": torch.ones(3, 2)}, ["a"])
        ...     settings, state, extra = load_estimator(f"{folder}/means", KMeans)
        >>> settings["n_clusters"], state["centres"].shape, extra
        (3, torch.Size([3, 2]), ['a'])
    """
    settings = {name: plain(name, value) for name, value in estimator.get_params(deep=False).items()}
    write(Path(path), {"estimator": type(estimator).__name__, "settings": settings, "extra": extra}, state)


def load_estimator(path: str | os.PathLike[str], kind: type) -> Saved:
    """Read what `save_estimator` wrote for an estimator of the class `kind`; tensors come on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a damaged file, one of another class, or of a newer format.
    """
    described, state = read(Path(path), f"a saved {kind.__name__}")
    with restoring(kind, path):
        if described["estimator"] != kind.__name__:
            raise ValueError(f"a saved {described['estimator']}")
        return Saved(dict(described["settings"]), state, described["extra"])


def load_on_device(path: str | os.PathLike[str], kind: type, device: str | torch.device | None) -> Saved:
    """As `load_estimator`; `device`, if there is one, takes the place of the one among the settings.

    Raises:
        FileNotFoundError, ValueError: as `load_estimator`, or this machine has no such device.
    """
    saved = load_estimator(path, kind)
    if device is not None:
        saved.settings["device"] = device
    check_device(saved.settings.get("device", "cpu"))
    return saved


@contextmanager
def restoring(kind: type, path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever a damaged file makes of an estimator within is one error, which names the file."""
    try:
        yield
    except DAMAGE as error:
        raise ValueError(f"path must be a saved {kind.__name__}, {os.fspath(path)} is not: {error!r}") from error


def require(name: str, right: bool) -> None:
    """Raises ValueError where an entry of a file is not right."""
    if not right:
        raise ValueError(f"{name} is damaged")


def number(name: str, value: Any, least: float) -> float:
    """An entry that is a finite number, `least` or more."""
    require(name, isinstance(value, float | int) and not isinstance(value, bool) and least <= value < math.inf)
    return float(value)


def plain_labels(labels: np.ndarray) -> dict[str, Any]:
    """Labels as JSON has them."""
    return {"labels": labels.tolist(), "dtype": labels.dtype.str}


def labels_from(plain: Mapping[str, Any]) -> np.ndarray:
    """What `plain_labels` gave."""
    return np.array(plain["labels"], dtype=plain["dtype"])


def plain(name: str, value: Any) -> Any:
    """A setting as JSON has it: numbers of NumPy as those of Python, a device as its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.device):
        value = str(value)
    if value is not None and not isinstance(value, str | int | float | bool):
        raise TypeError(f"{name} must be a number, a string or None to be saved, got {type(value).__name__}")
    return value
