"""Image models as one file of tensors, with JSON that says how the model is built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import torch

from attractor.nn.energy_transformer.block import EnergyTransformer
from attractor.nn.energy_transformer.images import VisionEnergyTransformer
from attractor.read import SoftMax
from attractor.tensor_file import read, write

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
