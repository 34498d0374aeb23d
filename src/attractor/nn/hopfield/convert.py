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
from attractor.validation import check_count, check_floating

Kind = Literal["hopfield", "pooling", "lookup"]
NORMS = {"state": "state_pattern", "memory": "stored_pattern", "value": "pattern_projection"}
"""What the public package calls them."""
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
        The layer, in training mode and in the precision of the weights; it takes batches first, `(b, n, width)`, whatever
        `batch_first` was.

    Raises:
        TypeError, ValueError: an unknown `kind` or setting, tensors that are missing, left over, of another shape or of several
            precisions, or a setting whose effect cannot be carried over.

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
    precision = precision_of(tensors)
    if kind == "hopfield":
        attention = HopfieldAttention(**arguments(given)).to(precision)
        fill(attention, given, tensors, "")
        check_none_left(tensors)
        return attention
    theirs = "pooling_weights" if kind == "pooling" else "lookup_weights"
    learned = take(tensors, theirs)
    sizes = arguments(given, learned.shape[-1])
    layer: HopfieldPooling | HopfieldLookup
    if kind == "pooling":
        layer = HopfieldPooling(queries=given["quantity"], **sizes).to(precision)
        fill_set(layer.queries, theirs, learned, given["trainable"])
    else:
        separate = given["lookup_weights_as_separated"]
        layer = HopfieldLookup(memories=given["quantity"], separate_values=separate, **sizes).to(precision)
        fill_set(layer.memories, theirs, learned, given["trainable"])
        if layer.values is not None:
            fill_set(layer.values, "target_weights", take(tensors, "target_weights"), given["lookup_targets_as_trainable"])
    fill(layer.attention, given, tensors, "hopfield.")
    check_none_left(tensors)
    return layer


def precision_of(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The one precision of all tensors.

    Raises:
        TypeError: what is no tensor.
        ValueError: several precisions, or none that is floating point.
    """
    for name, tensor in tensors.items():
        check_floating(name, tensor)
    found = {tensor.dtype for tensor in tensors.values()}
    if len(found) > 1:
        raise ValueError(f"state_dict must have one precision, got {sorted(map(str, found))}")
    return found.pop() if found else torch.get_default_dtype()


def fill_set(parameter: nn.Parameter, name: str, value: Tensor, trainable: bool) -> None:
    """Copy a learned set, which the public module keeps with an axis for batches."""
    copy(parameter, name, value.reshape(-1, value.shape[-1]))
    parameter.requires_grad_(trainable)


def arguments(given: Mapping[str, Any], learned: int | None = None) -> dict[str, Any]:
    """The arguments of `HopfieldAttention` for settings of the public module, and the width of its learned set where it has one.

    What is static enters the association space as it is, and so has its width; that is free where both sides are static.

    Raises:
        ValueError: a setting cannot be carried over.
    """
    dim = given["input_size"]
    if dim is None:
        raise ValueError("input_size must be given, the width of the states")
    if given["association_activation"] is not None:
        raise ValueError(f"association_activation must be None: apply torch.{given['association_activation']} to the output")
    check_count("input_size", dim)
    check_count("num_heads", given["num_heads"])
    static = {name: given[f"{theirs}_as_static"] for name, theirs in NORMS.items()}
    project = [name for name in NORMS if not static[name]] + ["out"] * (not given["disable_out_projection"])
    normalize = [name for name, theirs in NORMS.items() if given[f"normalize_{theirs}"]]
    space, connected = given["normalize_hopfield_space"], given["pattern_projection_as_connected"]
    plain = not (project or connected or space)
    width, read_width = inner_widths(given)
    sizes = {
        "dim": dim,
        "memory_dim": dim if given["stored_pattern_size"] is None else given["stored_pattern_size"],
        "value_dim": dim if given["pattern_projection_size"] is None else given["pattern_projection_size"],
    }
    apart = given["pattern_size"] is not None or connected or (not plain and len(set(sizes.values())) > 1)
    if static["memory"] and static["value"] and given["num_heads"] > 1 and apart:
        raise ValueError("patterns and their projection must not both be static with several heads and sizes that differ")
    free = static["state"] and static["memory"]
    if free and learned is not None:
        sizes["dim"] = sizes["memory_dim"] = learned
    elif static["state"] != static["memory"]:
        sizes["dim" if static["state"] else "memory_dim"] = width
    if static["value"] and "value" not in normalize and given["pattern_projection_size"] is None:
        sizes["value_dim"] = sizes["memory_dim"]
    updates, scaling = one_number("update_steps_max", given["update_steps_max"]), one_number("scaling", given["scaling"])
    return {
        **sizes,
        "heads": given["num_heads"],
        "key_dim": None if free else given["hidden_size"],
        "read_dim": None if static["value"] else read_width,
        "out_dim": None if given["disable_out_projection"] else given["output_size"] or dim,
        "beta": (1.0 if plain else width**-0.5) if scaling is None else scaling,
        "steps": None if updates is None or updates < 0 else int(updates) + 1,
        "tol": 0.0 if updates == 0 else one_number("update_steps_eps", given["update_steps_eps"]),
        "project": project,
        "normalize": [*normalize, *(["space"] if space else [])],
        "connected": connected and not static["memory"],
        "null_pattern": given["add_zero_association"],
        "bias": given["input_bias"],
        "dropout": given["dropout"],
    }


def inner_widths(given: Mapping[str, Any]) -> tuple[int, int]:
    """The widths of a head's association space and of what it reads out, where these are projected."""
    width = given["hidden_size"] or given["input_size"] // given["num_heads"]
    return width, given["pattern_size"] or width


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
        room = rows if "value" in maps else [*rows, attention.heads * inner_widths(given)[1]]
        shifts = take(tensors, f"{core}in_proj_bias", sum(room)).split(room)
        for (name, each), shift in zip(maps.items(), shifts, strict=False):
            copy(each.bias, f"bias of the {name} projection", shift)
    if "out" in attention.maps:
        fill_module(attention.maps["out"], tensors, f"{core}out_proj.")
    for name, theirs in NORMS.items():
        if name in attention.norms:
            fill_norm(attention.norms, name, tensors, f"{prefix}norm_{theirs}.", given, theirs)
    if "space" in attention.norms:
        fill_norm(attention.norms, "space", tensors, f"{core}p_norm_", given, "hopfield_space")
    for unused in ("bias_k", "bias_v"):
        tensors.pop(core + unused, None)


def fill_norm(
    norms: nn.ModuleDict, name: str, tensors: dict[str, Tensor], prefix: str, given: Mapping[str, Any], theirs: str
) -> None:
    old, affine = norms[name], given[f"normalize_{theirs}_affine"]
    assert isinstance(old, nn.LayerNorm)
    norms[name] = nn.LayerNorm(old.normalized_shape, given[f"normalize_{theirs}_eps"], affine, dtype=old.weight.dtype)
    if affine:
        fill_module(norms[name], tensors, prefix)


def fill_module(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    for name, parameter in module.named_parameters():
        copy(parameter, prefix + name, take(tensors, prefix + name))


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
