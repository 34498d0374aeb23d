"""An interrupted training as a folder with one file: where it stands, its tensors, and a digest that tells damage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from attractor.tensor_file import read, write

KIND = "training of an image model"
NAME = "training.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        step: iterations done.
        settings: what it was started with, plain JSON; another training must not go on from it.
        plain: all else that is plain JSON.
        tensors: by name.
    """

    step: int
    settings: dict[str, Any]
    plain: dict[str, Any]
    tensors: dict[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write to `folder`, in the place of an earlier one, which is there until the new one is whole.

    Raises:
        ValueError: `folder` is a file, or holds other files.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = {key: getattr(checkpoint, key) for key in ("step", "settings", "plain")}
    write(folder / NAME, {"kind": KIND} | described, checkpoint.tensors)


def load(folder: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """What `folder` holds, or None where it holds nothing.

    Raises:
        ValueError: a damaged checkpoint, a newer format, other files, or the training of other settings.
    """
    check_folder(folder)
    file = folder / NAME
    if not file.exists():
        return None
    described, tensors = read(file, f"a {KIND}")
    try:
        if described["kind"] != KIND:
            raise ValueError(f"it is a {described['kind']}")
        step, found, plain = described["step"], dict(described["settings"]), dict(described["plain"])
        if type(step) is not int:
            raise ValueError(f"its step is {step!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} must hold a {KIND}: {error!r}") from error
    # JSON has no tuples
    expected = json.loads(json.dumps(settings))
    if found != expected:
        other = sorted(key for key in {*expected, *found} if found.get(key) != expected.get(key))
        raise ValueError(f"{folder} must be new or hold this training, it holds one of other settings: {', '.join(other)}")
    return Checkpoint(step, expected, plain, tensors)


def check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {folder}")
    others = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in others if name not in (NAME, f"{NAME}.new")]
    if others:
        raise ValueError(f"folder must be new or hold a training alone, {folder} holds other files: {', '.join(others[:5])}")
