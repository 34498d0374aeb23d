"""Rotary positions, undone and made again with the model's own functions.

A layer hands over keys that are rotated by their position. Means and cosines of those mix position with content, and a stored
rotation is wrong in a later window. Rotating with the tables `(cos, -sin) / (cos^2 + sin^2)` undoes it exactly, whatever the
layout of the channels and also where the tables are scaled (YaRN); the mean key is then rotated to where a query is to see it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Tables = tuple[Tensor, Tensor]
Turn = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Rotary:
    """How one layer rotates queries and keys.

    Attributes:
        turn: the model's function: queries, keys, cosines and sines in, queries and keys out.
        source: the model's module that makes the tables.
        settings: what else it was called with, such as the kind of the layer.
        partial: whether the layer hands only its first channels to `turn`.
    """

    turn: Turn
    source: nn.Module
    settings: Mapping[str, Any]
    partial: bool

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for layers that rotate alike."""
        return (self.turn, id(self.source), tuple(sorted(self.settings.items())), self.partial)

    @property
    def varies(self) -> bool:
        """Whether the frequencies depend on how long the text is."""
        return any(kind in str(getattr(self.source, "rope_type", "")) for kind in ("dynamic", "longrope"))

    @torch.no_grad()
    def tables(self, positions: Tensor, newest: Tensor, dtype: torch.dtype = torch.float32) -> Tables:
        """Cosines and sines at `positions (n, T)`, which may be fractions, rounded to `dtype` and given in float32.

        `newest` is the furthest position of the pass, one or `(n, T)` for vectors of several: it decides the frequencies of models
        that adapt them to the length.
        """
        if newest.dim() and self.varies:
            order, (moments, counts) = newest.flatten().argsort(), newest.unique(return_counts=True)
            parts = zip(positions.flatten()[order].split(counts.tolist()), moments, strict=True)
            made = [self.tables(part[None], moment, dtype) for part, moment in parts]
            back = order.argsort()
            together = [torch.cat(each, 1)[0, back].view(*positions.shape, -1) for each in zip(*made, strict=True)]
            return together[0], together[1]
        asked = torch.cat([positions.float().reshape(1, -1), newest.max().float().reshape(1, 1)], 1)
        like = torch.zeros(1, dtype=dtype, device=positions.device)
        first = next(iter(inspect.signature(self.source.forward).parameters))
        cos, sin = self.source.forward(**{first: like, "position_ids": asked, **self.settings})
        shape = (*positions.shape, cos.shape[-1])
        return cos[0, :-1].float().view(shape), sin[0, :-1].float().view(shape)

    def rotate(self, vectors: Tensor, tables: Tables) -> Tensor:
        """Rotate `vectors (n, h, T, D)` by tables `(n or 1, T or 1, w)`; in float32."""
        cos, sin = tables
        vectors = vectors.float()
        if not self.partial:
            return self.turn(vectors[:, :0], vectors, cos, sin)[1]
        width = cos.shape[-1]
        turned = self.turn(vectors[:, :0, :, :width], vectors[..., :width], cos, sin)[1]
        return torch.cat([turned, vectors[..., width:]], -1)

    def undo(self, vectors: Tensor, tables: Tables) -> Tensor:
        """The vectors that `rotate` with the same tables makes into `vectors (n, h, T, D)`; in float32."""
        cos, sin = tables
        squares = cos.square() + sin.square()
        return self.rotate(vectors, (cos / squares, -sin / squares))


@dataclass(frozen=True, eq=False)
class TableCall:
    """One call of a rotary module, as seen while the model was looked through."""

    source: nn.Module
    settings: dict[str, Any]
    tables: Tables


def is_rotary(module: nn.Module) -> bool:
    """Whether a module makes rotary tables."""
    return any(name.endswith("inv_freq") for name, _ in module.named_buffers(recurse=False))


def table_call(source: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> TableCall | None:
    """What a rotary module was called with beside vectors and positions; None where it makes no pair of tables."""
    if not (isinstance(output, tuple) and len(output) == 2 and all(isinstance(table, Tensor) for table in output)):
        return None
    given = inspect.signature(source.forward).bind(*args, **kwargs).arguments
    settings = dict(list(given.items())[1:])
    return TableCall(source, settings, output) if settings.pop("position_ids", None) is not None else None


def rotary_of(module: nn.Module, key: Tensor, tables: Tables, calls: list[TableCall]) -> Rotary | None:
    """How an attention `module` rotates, or None where its function or the origin of its `tables` is not to be found."""
    turn = defined_beside(module, "apply_rotary_pos_emb")
    call = next((call for call in calls if same_tables(call.tables, tables)), None)
    if turn is None or call is None:
        return None
    try:
        turn(key[:, :0], key, *tables)
    except RuntimeError:
        return Rotary(turn, call.source, call.settings, partial=True)
    return Rotary(turn, call.source, call.settings, partial=False)


def same_tables(left: Tables, right: Tables) -> bool:
    """Whether two pairs are one; they are copies where the layers of a model lie on several devices."""
    if left[0] is right[0]:
        return True
    return left[0].shape == right[0].shape and torch.equal(left[0].cpu(), right[0].cpu())


def defined_beside(module: nn.Module, name: str) -> Any:
    """The function `name` of the file that defines the class of `module`, or one of its parents; None if there is none."""
    files = (sys.modules.get(kind.__module__) for kind in type(module).__mro__)
    return next((found for file in files if (found := getattr(file, name, None)) is not None), None)
