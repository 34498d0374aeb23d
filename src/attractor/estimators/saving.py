"""Fitted estimators as one safetensors file: tensors, and in its header JSON that says what they are. Nothing is unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 1


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
    place = Path(path)
    if place.is_dir():
        raise ValueError(f"path must be a file, got the folder {place}")
    settings = {name: plain(name, value) for name, value in estimator.get_params(deep=False).items()}
    described = {"format": FORMAT, "estimator": type(estimator).__name__, "settings": settings, "extra": extra}
    # clones: safetensors refuses tensors that share memory
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    fresh = place.with_name(f"{place.name}.new")
    save_file(tensors, fresh, metadata={"attractor": json.dumps(described)})
    os.replace(fresh, place)


def load_estimator(path: str | os.PathLike[str], kind: type) -> Saved:
    """Read what `save_estimator` wrote for an estimator of the class `kind`; tensors come on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a damaged file, one of another class, or of a newer format.
    """
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"path must be a saved {kind.__name__}, there is no file {place}")
    try:
        with safe_open(place, framework="pt") as file:
            described = json.loads((file.metadata() or {})["attractor"])
            if described["format"] > FORMAT:
                raise ValueError(f"format {described['format']}, this version of attractor reads up to {FORMAT}")
            if described["estimator"] != kind.__name__:
                raise ValueError(f"a saved {described['estimator']}")
            return Saved(dict(described["settings"]), {name: file.get_tensor(name) for name in file.keys()}, described["extra"])  # noqa: SIM118  # no mapping
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"path must be a saved {kind.__name__}, {place} is not: {error!r}") from error


def plain(name: str, value: Any) -> Any:
    """A setting as JSON has it: numbers of NumPy as those of Python, a device as its name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.device):
        value = str(value)
    if value is not None and not isinstance(value, str | int | float | bool):
        raise TypeError(f"{name} must be a number, a string or None to be saved, got {type(value).__name__}")
    return value
