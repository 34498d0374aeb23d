"""Memories as folders: `memory.json` says what it is, `tensors.safetensors` holds what it learned and stored."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from attractor.memory.base import Memory, memory_class

FORMAT = 1
LARGEST_SETTINGS = 2**26


def save(memory: Memory, path: Path) -> None:
    """Write `memory` to the folder `path`, replacing a memory that is there.

    The tensors get a name of their own and the settings are replaced last, in one step: a reader finds the old memory or the
    new one, never a mixture.
    """
    settings = path / "memory.json"
    if path.exists() and not path.is_dir():
        raise ValueError(f"path must be a folder, got the file {path}")
    if path.is_dir() and any(path.iterdir()) and not settings.exists():
        raise ValueError(f"path must be new or hold a memory, got a folder with other files: {path}")
    configuration = memory.configuration(path)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {f"state.{name}": value for name, value in memory.state_dict().items()}
    tensors |= {f"contents.{name}": value for name, value in memory.contents().items()}
    old = sorted(path.glob("tensors-*.safetensors"))
    number = 1 + max((int(file.stem.split("-")[1]) for file in old), default=0)
    name = f"tensors-{number}.safetensors"
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, path / name)
    described = {
        "format": FORMAT,
        "memory": memory.registered_name,
        "configuration": configuration,
        "tensors": name,
    }
    fresh = path / "memory.json.new"
    fresh.write_text(json.dumps(described, indent=1), encoding="utf-8")
    os.replace(fresh, settings)
    for file in old:
        file.unlink()


def load(path: Path) -> Memory:
    """Read the memory in the folder `path`.

    Raises:
        ValueError: no memory there, a damaged or a newer one.
    """
    described = read_settings(path)
    try:
        memory = memory_class(described["memory"]).from_configuration(described["configuration"], path)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} holds unknown or missing settings: {error!r}") from error
    try:
        tensors = load_file(path / Path(described["tensors"]).name)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} must hold the tensors that it names: {error}") from error
    memory.restore(named(tensors, "contents."))
    try:
        memory.load_state_dict(named(tensors, "state."))
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the memory that it describes: {error}") from error
    return memory


def read_settings(path: Path) -> dict[str, Any]:
    file = path / "memory.json"
    if not file.is_file():
        raise ValueError(f"path must hold a saved memory, there is no {file}")
    if file.stat().st_size > LARGEST_SETTINGS:
        raise ValueError(f"{file} must be at most {LARGEST_SETTINGS} bytes, got {file.stat().st_size}")
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    expected = {"format": int, "memory": str, "configuration": dict, "tensors": str}
    if not isinstance(described, dict) or any(not isinstance(described.get(key), kind) for key, kind in expected.items()):
        raise ValueError(f"{file} must hold {sorted(expected)}")
    if described["format"] > FORMAT:
        raise ValueError(f"{file} has format {described['format']}, this version of attractor reads up to {FORMAT}")
    return described


def named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
