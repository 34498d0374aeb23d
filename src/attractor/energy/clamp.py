"""Clamps: what of a network is held fixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attractor.energy.network import EnergyNetwork, State

Clamp = Iterable[str] | Mapping[str, Tensor | None] | None
"""Names of layers, or a Boolean mask for each, True where a unit is held; None stands for all units."""


@dataclass(frozen=True)
class Held:
    """`layers` are held whole; `units` has a mask `(b, *shape)` for each layer of which some units are held."""

    layers: frozenset[str]
    units: dict[str, Tensor]

    def keep(self, name: str, old: Tensor, new: Tensor) -> Tensor:
        """`new`, with what is held as in `old`."""
        if name in self.layers:
            return old
        return torch.where(self.units[name], old, new) if name in self.units else new

    def free(self, state: Mapping[str, Tensor]) -> State:
        """`state`, zero where units are held."""
        return {name: self.keep(name, torch.zeros_like(x), x) for name, x in state.items()}

    def rows(self, rows: Tensor) -> Held:
        """What is held of some samples."""
        return Held(self.layers, {name: mask[rows] for name, mask in self.units.items()})


NOTHING = Held(frozenset(), {})


def held_by(clamp: Clamp, network: EnergyNetwork, state: Mapping[str, Tensor]) -> Held:
    """Check a clamp and bring it to one form.

    Args:
        clamp: names of layers, or a Boolean mask for each, of shape `(b, *shape)` or `(*shape)`, True where a unit is held; None
            stands for all units.

    Raises:
        TypeError, ValueError: an unknown layer, a mask that is not Boolean or has another shape.
    """
    if isinstance(clamp, str):
        raise TypeError(f"clamp must be a set of layer names or masks by layer, got the text {clamp!r}: write {{{clamp!r}}}")
    if isinstance(clamp, Iterator):
        raise TypeError(
            f"clamp must be a set of layer names or masks by layer, got a {type(clamp).__name__} that can be read once only"
        )
    given = dict(clamp) if isinstance(clamp, Mapping) else dict.fromkeys(clamp or ())
    if unknown := sorted(set(given) - set(network.neurons)):
        raise ValueError(f"clamp names unknown layers {unknown}; the layers are {list(network.neurons)}")
    layers, units = set(), {}
    for name, mask in given.items():
        if mask is None:
            layers.add(name)
            continue
        x = state[name]
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            raise TypeError(f"clamp[{name!r}] must be a Boolean tensor, got {getattr(mask, 'dtype', type(mask).__name__)}")
        if mask.shape not in (x.shape, x.shape[1:]):
            raise ValueError(f"clamp[{name!r}] must have shape {tuple(x.shape)} or {tuple(x.shape[1:])}, got {tuple(mask.shape)}")
        if bool(mask.all()):
            layers.add(name)
        elif bool(mask.any()):
            units[name] = mask.expand_as(x)
    return Held(frozenset(layers), units)
