"""A fitted embedding as tensors and JSON, and back; what comes from a file is not trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from attractor.estimators.graph_embedding.adjacency import adjacency_of
from attractor.estimators.graph_embedding.fitted import Fitted

EDGES = ("data", "indices", "indptr")
MEMORIES = ("content", "context", "reached", "drives")


def plain_names(fitted: Fitted) -> list[Any]:
    """Names of nodes as JSON has them.

    Raises:
        TypeError: one is neither a string nor an integer.
    """
    names = [node.item() if isinstance(node, np.generic) else node for node in fitted.nodes]
    wrong = next((node for node in names if type(node) not in (int, str)), None)
    if wrong is not None:
        raise TypeError(f"names of nodes must be strings or integers to be saved, got {wrong!r}")
    return names


def tensors_of(fitted: Fitted) -> dict[str, Tensor]:
    edges = {name: torch.from_numpy(getattr(fitted.adjacency, name).copy()) for name in EDGES}
    return edges | {name: getattr(fitted, name) for name in MEMORIES}


def fitted_from(tensors: dict[str, Tensor], names: Any, *, memories: int, device: str | torch.device) -> Fitted:
    """The embedding of `names` in so many `memories`.

    Raises:
        KeyError: a tensor is missing.
        TypeError, ValueError: names or tensors that no embedding has.
    """
    nodes = list(names)
    if not all(type(node) in (int, str) for node in nodes) or len(set(nodes)) < len(nodes):
        raise ValueError("names of nodes must be different strings or integers")
    adjacency = adjacency_of(*(tensors[name].numpy() for name in EDGES), size=len(nodes))
    dtype = tensors[MEMORIES[0]].dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"memories of {dtype}, expected float32 or float64")
    for name in MEMORIES:
        one = tensors[name]
        if one.shape != (len(nodes), memories) or one.dtype != dtype:
            raise ValueError(f"{name} of shape {tuple(one.shape)} and {one.dtype}, expected {(len(nodes), memories)} and {dtype}")
        if not bool(one.isfinite().all()):
            raise ValueError(f"{name} must be finite")
    return Fitted(nodes, adjacency, *(tensors[name].to(device) for name in MEMORIES))
