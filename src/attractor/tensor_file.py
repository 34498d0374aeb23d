"""One safetensors file of tensors, plain JSON that says what they are, and a digest of both. Nothing is unpickled.

The digest tells a damaged file; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = 1
PIECE = 1 << 24
"""Bytes that are hashed at a time."""


def write(path: Path, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write plain JSON and tensors to the file `path`. The old file is there until the new one is whole.

    Raises:
        FileNotFoundError: the folder of `path` is not there.
        ValueError: `path` is a folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Path(folder, "means"), {"unit": "metres"}, {"means": torch.ones(2)})
        ...     described, tensors = read(Path(folder, "means"), "a file of means")
        >>> described["unit"], tensors["means"]
        ('metres', tensor([1., 1.]))
    """
    if path.is_dir():
        raise ValueError(f"path must be a file, got the folder {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path must be in a folder that exists, there is no {path.parent}")
    text = json.dumps({"format": FORMAT} | dict(described))
    # clones: safetensors refuses tensors that share memory
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    fresh = path.with_name(f"{path.name}.new")
    save_file(held, fresh, metadata={"attractor": text, "digest": digest(text, held)})
    os.replace(fresh, path)


def read(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `write` wrote; tensors come on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is not as it was written, or of a newer format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"path must be {what}, there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        text = header["attractor"]
        described = json.loads(text)
        if described["format"] > FORMAT:
            raise ValueError(f"format {described['format']}, this version of attractor reads up to {FORMAT}")
        if header["digest"] != digest(text, tensors):
            raise ValueError("it has changed since it was written")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"path must be {what}, {path} is not or is damaged: {error!r}") from error
    return described, tensors


def digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Tells another text or other tensors apart, whatever their precision."""
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        for piece in value.detach().reshape(-1).split(max(1, PIECE // value.element_size())):
            # a clone: an empty array of NumPy has strides of zero, which torch does not view as bytes
            found.update(piece.cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy())
    return found.hexdigest()
