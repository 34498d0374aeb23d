"""Image models and trainings as one safetensors file: tensors, in its header JSON that says what they are, and a digest of both.

The digest tells a damaged file; it is no signature. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.read import SoftMax

FORMAT = 1
PIECE = 1 << 24
"""Bytes that are hashed at a time."""
KIND = "VisionEnergyTransformer"
SETTINGS = (
    *("dim", "heads", "key_dim", "memories", "step_size", "steps", "self_attention"),
    *("causal", "attention", "noise", "route", "checkpoint"),
)

Model = TypeVar("Model", bound=VisionEnergyTransformer)


def save_model(model: VisionEnergyTransformer, path: str | os.PathLike[str]) -> None:
    """Write a model; errors are those of `VisionEnergyTransformer.save`.

    Example:
        >>> import tempfile
        >>> block = EnergyTransformer(16, heads=2, key_dim=8, steps=3, step_size=0.5)
        >>> model = VisionEnergyTransformer((1, 8, 8), 4, block, mean=0.1, std=0.3)
        >>> images = torch.rand(2, 1, 8, 8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     again = VisionEnergyTransformer.load(f"{folder}/model.safetensors")
        >>> torch.equal(again(images), model(images)), again.block.step_size
        (True, 0.5)
    """
    block = model.block
    if not isinstance(block, EnergyTransformer):
        raise TypeError(f"model must have an EnergyTransformer as its block to be saved, got {type(block).__name__}")
    parameters = dict(block.named_parameters())
    scale = block.memory_beta
    described = {
        "model": {"image_shape": model.image_shape, "patch_size": model.patch_size, "classes": model.classes},
        "block": {name: getattr(block, name) for name in SETTINGS} | {"bias": "query_bias" in parameters},
        "beta": list(block.fixed_beta or ()),
        "memory_beta": None if scale is None else float(torch.as_tensor(scale, dtype=torch.float64).detach()),
        "memory_beta_learned": "log_memory_beta" in parameters,
        "precision": str(model.positions.dtype).removeprefix("torch."),
    }
    write(Path(path), {"kind": KIND} | described, model.state_dict())


def load_model(path: str | os.PathLike[str], kind: type[Model]) -> Model:
    """Read what `save_model` wrote; errors are those of `VisionEnergyTransformer.load`."""
    described, tensors = read(Path(path), f"a saved {KIND}")
    try:
        if described["kind"] != KIND:
            raise ValueError(f"it is a {described['kind']}")
        activation: str | SoftMax = "relu"
        if described["memory_beta"] is not None:
            scale = torch.tensor(described["memory_beta"])
            activation = SoftMax(beta=torch.nn.Parameter(scale) if described["memory_beta_learned"] else described["memory_beta"])
        fixed, generator = described["beta"], torch.Generator()
        beta = torch.tensor(fixed, dtype=torch.float64) if fixed else None
        options = described["block"] | {"beta": beta, "learn_beta": not fixed, "activation": activation}
        block = EnergyTransformer(options.pop("dim"), **options, generator=generator)
        shape, size, classes = (described["model"][name] for name in ("image_shape", "patch_size", "classes"))
        model = kind(tuple(shape), size, block, classes=classes, generator=generator)
        model.to(getattr(torch, described["precision"])).load_state_dict(tensors)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ValueError(f"path must be a saved {KIND}, {path} is not: {error}") from error
    return model.eval()


def write(path: Path, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write plain JSON and tensors to the file `path`. The old file is there until the new one is whole.

    Raises:
        ValueError: `path` is a folder.
    """
    if path.is_dir():
        raise ValueError(f"path must be a file, got the folder {path}")
    text = json.dumps({"format": FORMAT} | dict(described))
    # clones: safetensors refuses tensors that share memory
    held = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    fresh = path.with_name(f"{path.name}.new")
    save_file(held, fresh, metadata={"attractor": text, "digest": digest(text, held)})
    os.replace(fresh, path)


def read(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `write` wrote.

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
            found.update(piece.cpu().contiguous().view(torch.uint8).numpy())
    return found.hexdigest()
