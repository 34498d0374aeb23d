"""The state of a session as one file: safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attractor.language.camelot.store import LayerGroup
from attractor.language.camelot.timeline import Timeline
from attractor.tensor_file import read, write

if TYPE_CHECKING:
    from attractor.language.camelot.attach import Camelot

KIND = "a saved session of a language model with memory"
MODEL = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rope_parameters",
    "layer_types",
    "sliding_window",
)
STATE = ("slots", "recent", "sink_slots", "measure", "centred", "position", "granularity", "layers")
"""Settings that decide what the state is; others only how it is read and written on."""


def write_session(path: Path, camelot: Camelot, timeline: Timeline, groups: list[LayerGroup]) -> None:
    tensors = {f"timeline.{name}": value for name, value in vars(timeline).items()}
    for number, group in enumerate(groups):
        tensors |= {f"{number}.{name}": value for name, value in group.tensors().items()}
    told = {"kind": KIND, "model": described(camelot), "settings": settings(camelot), "threshold": camelot.config.threshold}
    write(path, told, tensors)


def read_session(path: Path, camelot: Camelot, groups: list[LayerGroup], device: torch.device) -> Timeline:
    """Fill `groups` with the state in the file; they stay as they are where it does not fit.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a damaged file, another model or other settings.
    """
    told, tensors = read(path, KIND)
    if told.get("kind") != KIND:
        raise ValueError(f"path must be {KIND}, {path} is not")
    for name, ours, theirs in (
        ("the model", described(camelot), told.get("model")),
        ("the settings", settings(camelot), told.get("settings")),
    ):
        if ours != theirs:
            other = theirs if isinstance(theirs, dict) else {}
            differ = [key for key in ours if ours[key] != other.get(key)]
            raise ValueError(f"path must hold a state for {name} at hand, {path} is one for other {', '.join(differ) or 'ones'}")
    names = ("seen", "origin", "positions", "newest", "there")
    parts = {name: tensors.get(f"timeline.{name}", torch.empty(0)).to(device) for name in names}
    batch = len(parts["seen"])
    shapes = {tuple(parts[name].shape) for name in ("positions", "newest", "there")}
    if len(parts["origin"]) != batch or not batch or len(shapes) != 1 or parts["there"].dtype != torch.bool:
        raise ValueError(f"path must hold the state of a session, the sequences of {path} do not fit together")
    fresh = [LayerGroup(camelot.config, group.layers, merges=group.merges) for group in groups]
    for number, group in enumerate(fresh):
        given = {name.removeprefix(f"{number}."): value for name, value in tensors.items() if name.startswith(f"{number}.")}
        # what a head has chosen by itself holds for as long as the wish is the same
        group.restore(given, batch, like_of(group), anew=told.get("threshold") != camelot.config.threshold)
    for group, filled in zip(groups, fresh, strict=True):
        group.slots, group.keys, group.values, group.seen = filled.slots, filled.keys, filled.values, None
    return Timeline(**parts)


def like_of(group: LayerGroup) -> Tensor:
    """A tensor of the device and precision in which the layers of a group hand over their keys."""
    parameters = (each for each in group.layers[0].module.parameters() if each.is_floating_point())
    return next(parameters).new_empty(0)


def described(camelot: Camelot) -> dict[str, Any]:
    """What tells the model from others: its shape, and a digest of the settings that decide its computation."""
    config = camelot.model.config.get_text_config().to_dict()
    chosen = json.dumps({name: config.get(name) for name in MODEL}, sort_keys=True, default=str)
    return {
        "type": config.get("model_type"),
        "layers": len(camelot.layers),
        "shapes": [[layer.heads, layer.key_dim, layer.value_dim] for layer in camelot.layers],
        "digest": hashlib.blake2b(chosen.encode(), digest_size=16).hexdigest(),
    }


def settings(camelot: Camelot) -> dict[str, Any]:
    """The settings that decide what the state is, as JSON has them."""
    known = asdict(camelot.config)
    return json.loads(json.dumps({name: known[name] for name in STATE}))
