"""States of a network as vectors: all layers side by side, `(b, N)`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attractor.energy.clamp import NOTHING, Held
from attractor.energy.network import EnergyNetwork, State


def joined(state: Mapping[str, Tensor]) -> Tensor:
    """All layers of a state side by side, `(b, N)`."""
    return torch.cat([x.flatten(1) for x in state.values()], dim=1)


def parted(network: EnergyNetwork, vectors: Tensor) -> State:
    """The inverse of `joined`: vectors `(b, N)` as one tensor for each layer."""
    layers = network.layers
    parts = vectors.split([layer.units for layer in layers.values()], dim=1)
    return {name: part.unflatten(1, layer.shape) for (name, layer), part in zip(layers.items(), parts, strict=True)}


def dot(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> Tensor:
    """The scalar product `(b,)` over all layers."""
    return torch.stack([(one * right[name]).flatten(1).sum(-1) for name, one in left.items()]).sum(0)


def largest_entry(state: Mapping[str, Tensor]) -> Tensor:
    """The largest size `(b,)` of an entry, over all layers."""
    return torch.stack([x.abs().flatten(1).amax(-1) for x in state.values()]).amax(0)


def hessian_product(network: EnergyNetwork, state: Mapping[str, Tensor], z: Mapping[str, Tensor]) -> State:
    """`H z`, how activations change when states move along `z`."""
    return {name: network.layer(name).lagrangian.hvp(x, z[name]) for name, x in state.items()}


def forces(network: EnergyNetwork, state: Mapping[str, Tensor], held: Held = NOTHING) -> State:
    """`f = drive - x` of each layer, zero where it is held."""
    drives = network.drives(network.activations(state))
    return held.free({name: drives[name] - x for name, x in state.items()})
