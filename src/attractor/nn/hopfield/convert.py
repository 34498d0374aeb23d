"""Weights of the public `hopfield-layers` package (Ramsauer et al. 2021) as layers of this one, with the same outputs.

Its modules `Hopfield`, `HopfieldPooling` and `HopfieldLayer` keep their settings in code, their weights in a `state_dict`: both are
asked for. Its `update_steps_max` counts updates before the read-out, so that `k` there are `k + 1` steps here.

What is not carried over, as it has no effect there or a mistaken one:
- `concat_bias_pattern` is never applied there.
- `scaling` with one number a head multiplies single channels, not heads: refused where the numbers differ.
- What is `as_static`, with several heads and samples, is paired with the wrong samples there; here each sample keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attractor.nn.hopfield.attention import HopfieldAttention
from attractor.nn.hopfield.learned import HopfieldLookup, HopfieldPooling

Kind = Literal["hopfield", "pooling", "lookup"]
NORMS = {"state": "state_pattern", "memory": "stored_pattern", "value": "pattern_projection"}
"""What the public package calls them."""
ENDINGS = {"": True, "_affine": True, "_eps": 1e-5}
SETTINGS: dict[str, Any] = {
    "input_size": None,
    "hidden_size": None,
    "output_size": None,
    "pattern_size": None,
    "num_heads": 1,
    "scaling": None,
    "update_steps_max": 0,
    "update_steps_eps": 1e-4,
    **{
        f"normalize_{name}{end}": default
        for name in NORMS.values()
        for end, default in (("", True), ("_affine", True), ("_eps", 1e-5))
    },
    "normalize_hopfield_space": False,
    "normalize_hopfield_space_affine": False,
    "normalize_hopfield_space_eps": 1e-5,
    **{f"{name}_as_static": False for name in NORMS.values()},
    "pattern_projection_as_connected": False,
    "stored_pattern_size": None,
    "pattern_projection_size": None,
    "batch_first": True,
    "association_activation": None,
    "dropout": 0.0,
    "input_bias": True,
    "concat_bias_pattern": False,
    "add_zero_association": False,
    "disable_out_projection": False,
}
OWN: dict[str, dict[str, Any]] = {
    "hopfield": {},
    "pooling": {"quantity": 1, "trainable": True},
    "lookup": {
        "quantity": 1,
        "trainable": True,
        "lookup_weights_as_separated": False,
        "lookup_targets_as_trainable": True,
    },
}


def from_hopfield_layers(
    state_dict: Mapping[str, Tensor], kind: Kind = "hopfield", **settings: Any
) -> HopfieldAttention | HopfieldPooling | HopfieldLookup:
    """A layer with the weights of a module of `hopfield-layers`.

    Args:
        state_dict: of the module.
        kind: `"hopfield"` for `Hopfield`, `"pooling"` for `HopfieldPooling`, `"lookup"` for `HopfieldLayer`.
        settings: the arguments that the module was built with, by their names there; `input_size` is needed.

    Returns:
        The layer, in training mode; it takes batches first, `(b, n, width)`, whatever `batch_first` was.

    Raises:
        ValueError: an unknown `kind` or setting, tensors that are missing, left over or of another shape, or a setting whose effect
            cannot be carried over.

    Example:
        >>> weights = {"association_core.in_proj_weight": torch.randn(12, 4), "association_core.in_proj_bias": torch.zeros(12)}
        >>> weights |= {"association_core.out_proj.weight": torch.eye(4), "association_core.out_proj.bias": torch.zeros(4)}
        >>> plain = {f"normalize_{name}{end}": False for name in NORMS.values() for end in ("", "_affine")}
        >>> from_hopfield_layers(weights, input_size=4, num_heads=2, **plain)(torch.randn(1, 3, 4)).shape
        torch.Size([1, 3, 4])
    """
    if kind not in OWN:
        raise ValueError(f"kind must be one of {list(OWN)}, got {kind!r}")
    known = {**SETTINGS, **OWN[kind]}
    if unknown := sorted(set(settings) - set(known)):
        raise ValueError(f"settings must be those of the public module, unknown are {unknown}")
    given = {**known, **settings}
    tensors = dict(state_dict)
    if kind == "hopfield":
        attention = HopfieldAttention(**arguments(given))
        fill(attention, given, tensors, "")
        check_none_left(tensors)
        return attention
    layer: HopfieldPooling | HopfieldLookup
    if kind == "pooling":
        layer = HopfieldPooling(queries=given["quantity"], **arguments(given))
        learned = {"queries": ("pooling_weights", given["trainable"])}
    else:
        separate = given["lookup_weights_as_separated"]
        layer = HopfieldLookup(memories=given["quantity"], separate_values=separate, **arguments(given))
        learned = {"memories": ("lookup_weights", given["trainable"])}
        if separate:
            learned["values"] = ("target_weights", given["lookup_targets_as_trainable"])
    for name, (theirs, trainable) in learned.items():
        parameter = getattr(layer, name)
        copy(parameter, theirs, take(tensors, theirs).reshape(-1, parameter.shape[-1]))
        parameter.requires_grad_(trainable)
    fill(layer.attention, given, tensors, "hopfield.")
    check_none_left(tensors)
    return layer


def arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `HopfieldAttention` for settings of the public module.

    Raises:
        ValueError: a setting cannot be carried over.
    """
    dim = given["input_size"]
    if dim is None:
        raise ValueError("input_size must be given, the width of the states")
    if given["association_activation"] is not None:
        raise ValueError(f"association_activation must be None: apply torch.{given['association_activation']} to the output")
    static = {name: given[f"{theirs}_as_static"] for name, theirs in NORMS.items()}
    if static["memory"] and static["value"] and given["num_heads"] > 1 and given["pattern_size"] is not None:
        raise ValueError("patterns and their projection must not both be static with several heads and a pattern_size")
    project = [name for name in NORMS if not static[name]] + ["out"] * (not given["disable_out_projection"])
    normalize = [name for name, theirs in NORMS.items() if given[f"normalize_{theirs}"]]
    updates = one_number("update_steps_max", given["update_steps_max"])
    found: dict[str, Any] = {
        "dim": dim,
        "heads": given["num_heads"],
        "key_dim": given["hidden_size"],
        "memory_dim": given["stored_pattern_size"],
        "value_dim": dim if given["pattern_projection_size"] is None else given["pattern_projection_size"],
        "read_dim": given["pattern_size"],
        "out_dim": None if given["disable_out_projection"] else given["output_size"],
        "steps": None if updates is None else int(updates) + 1,
        "tol": 0.0 if updates == 0 else one_number("update_steps_eps", given["update_steps_eps"]),
        "project": project,
        "normalize": [*normalize, *(["space"] if given["normalize_hopfield_space"] else [])],
        "connected": given["pattern_projection_as_connected"] and not static["memory"],
        "null_pattern": given["add_zero_association"],
        "bias": given["input_bias"],
        "dropout": given["dropout"],
    }
    scaling = one_number("scaling", given["scaling"])
    if scaling is None:
        plain = not project and not found["connected"] and not given["normalize_hopfield_space"]
        scaling = 1.0 if plain else (given["hidden_size"] or dim // given["num_heads"]) ** -0.5
    return {**found, "beta": scaling}


def one_number(name: str, value: float | Tensor | None) -> float | None:
    """A setting that may come as one number a head.

    Raises:
        ValueError: heads differ.
    """
    if not isinstance(value, Tensor):
        return value
    if not bool((value == value.flatten()[0]).all()):
        raise ValueError(f"{name} must be the same for all heads to be carried over, got {value.tolist()}")
    return float(value.flatten()[0])


@torch.no_grad()
def fill(attention: HopfieldAttention, given: Mapping[str, Any], tensors: dict[str, Tensor], prefix: str) -> None:
    """Copy the weights of a `Hopfield` module, and take them out of `tensors`."""
    core = f"{prefix}association_core."
    maps: dict[str, Any] = {name: attention.get_submodule(f"maps.{name}") for name in NORMS if name in attention.maps}
    rows = [len(each.weight) for each in maps.values()]
    if f"{core}in_proj_weight" in tensors:
        weights = take(tensors, f"{core}in_proj_weight", sum(rows)).split(rows)
    else:
        letters = {"state": "q", "memory": "k", "value": "v"}
        weights = tuple(take(tensors, f"{core}{letters[name]}_proj_weight") for name in maps)
    for (name, each), weight in zip(maps.items(), weights, strict=True):
        copy(each.weight, f"{name} projection", weight)
    if given["input_bias"] and maps:
        # the public module keeps room for a shift of the values even where these are not projected
        room = rows if "value" in maps else [*rows, attention.heads * attention.read_dim]
        shifts = take(tensors, f"{core}in_proj_bias", sum(room)).split(room)
        for (name, each), shift in zip(maps.items(), shifts, strict=False):
            copy(each.bias, f"bias of the {name} projection", shift)
    if "out" in attention.maps:
        fill_module(attention.maps["out"], tensors, f"{core}out_proj")
    for name, theirs in NORMS.items():
        if name in attention.norms:
            fill_norm(attention.norms[name], tensors, f"{prefix}norm_{theirs}.", given, theirs)
    if "space" in attention.norms:
        fill_norm(attention.norms["space"], tensors, f"{core}p_norm_", given, "hopfield_space")
    for unused in ("bias_k", "bias_v"):
        tensors.pop(core + unused, None)


def fill_norm(norm: nn.Module, tensors: dict[str, Tensor], prefix: str, given: Mapping[str, Any], theirs: str) -> None:
    assert isinstance(norm, nn.LayerNorm)
    norm.eps = given[f"normalize_{theirs}_eps"]
    if given[f"normalize_{theirs}_affine"]:
        fill_module(norm, tensors, prefix.rstrip("."), "" if prefix.endswith("_") else ".")


def fill_module(module: nn.Module, tensors: dict[str, Tensor], prefix: str, joint: str = ".") -> None:
    for name, parameter in module.named_parameters():
        copy(parameter, f"{prefix}{joint}{name}", take(tensors, f"{prefix}{joint}{name}"))


def take(tensors: dict[str, Tensor], name: str, rows: int | None = None) -> Tensor:
    """Take a tensor out of `tensors`.

    Raises:
        ValueError: it is missing, or has another number of rows.
    """
    if name not in tensors:
        raise ValueError(f"state_dict must hold {name!r} for these settings, it holds {sorted(tensors)}")
    tensor = tensors.pop(name)
    if rows is not None and len(tensor) != rows:
        raise ValueError(f"{name} must have {rows} rows for these settings, got shape {tuple(tensor.shape)}")
    return tensor


@torch.no_grad()
def copy(parameter: Tensor, name: str, value: Tensor) -> None:
    if parameter.shape != value.shape:
        raise ValueError(f"{name} must have shape {tuple(parameter.shape)} for these settings, got {tuple(value.shape)}")
    parameter.copy_(value)


def check_none_left(tensors: Mapping[str, Tensor]) -> None:
    if tensors:
        raise ValueError(f"state_dict must fit the settings, nothing takes {sorted(tensors)}")
