"""An interrupted training as a folder: `training.json` says where it stands, a safetensors file holds its tensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 1
NAME = "training.json"


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
    """Write to `folder`, in the place of an earlier one. The old is there until the new one is whole.

    Raises:
        ValueError: `folder` is a file, or holds other files.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("tensors-*.safetensors"))
    name = f"tensors-{checkpoint.step}.safetensors"
    fresh = folder / f"{name}.new"
    save_file({key: value.detach().cpu().contiguous() for key, value in checkpoint.tensors.items()}, fresh)
    os.replace(fresh, folder / name)
    described = {"format": FORMAT, "tensors": name} | {key: getattr(checkpoint, key) for key in ("step", "settings", "plain")}
    written = folder / f"{NAME}.new"
    written.write_text(json.dumps(described, indent=1), encoding="utf-8")
    os.replace(written, folder / NAME)
    for file in old:
        if file.name != name:
            file.unlink()


def load(folder: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """What `folder` holds, or None where it holds nothing.

    Raises:
        ValueError: a damaged checkpoint, a newer format, other files, or the training of other settings.
    """
    check_folder(folder)
    file = folder / NAME
    if not file.exists():
        return None
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        found, step, plain = described["format"], described["step"], described["plain"]
        tensors = load_file(folder / Path(described["tensors"]).name) if found <= FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"{file} must describe a whole checkpoint: {error!r}") from error
    if found > FORMAT:
        raise ValueError(f"{file} has format {found}, this version of attractor reads up to {FORMAT}")
    # JSON has no tuples
    expected = json.loads(json.dumps(settings))
    if described["settings"] != expected:
        other = sorted(key for key in {*expected, *described["settings"]} if described["settings"].get(key) != expected.get(key))
        raise ValueError(f"{folder} must be new or hold this training, it holds one of other settings: {', '.join(other)}")
    return Checkpoint(step, expected, plain, tensors)


def check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {folder}")
    if folder.is_dir() and not (folder / NAME).exists():
        others = [file.name for file in folder.iterdir() if not file.name.endswith((".safetensors", ".new"))]
        if others:
            raise ValueError(f"folder must be new or hold a training, got a folder with other files: {folder}")
