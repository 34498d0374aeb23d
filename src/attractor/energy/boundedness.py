"""Whether the energy of a network has a lower bound.

A layer with bounded activations cannot take the energy to minus infinity. Layers without a bound have `x.g - L = L*(g)`, which
grows at least like `|g|^2 / 2h`, `h` the bound of their curvature: they can carry synapses that grow more slowly, and quadratic
ones as long as `I - H^.5 D H^.5` is positive definite over all unbounded layers that are joined (`D = -d^2 E_syn/dg^2`).
"""

from __future__ import annotations

import math
import warnings
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attractor.energy.lanczos import lanczos
from attractor.errors import EnergyUnboundedWarning

if TYPE_CHECKING:
    from attractor.energy.network import Connection, EnergyNetwork


def warn_if_unbounded(network: EnergyNetwork) -> None:
    """Warn where the energy may fall for ever; a synapse that is any function of its ends is trusted."""
    for names, connections in unbounded_parts(network):
        what = f"layers {list(names)} have unbounded activations and are joined by {', '.join(one.name for one in connections)}"
        degree = max(degree_of(network, one) for one in connections)
        if degree > 2:
            reason = f"whose energy grows with the power {degree:g} of them"
        elif not all(one.synapse.quadratic for one in connections):
            reason = "with a strength that the curvatures of the layers do not bound"
        elif any(one.is_meta for one in network.parameters()):
            continue
        elif math.isinf(steepest := max(network.layer(name).lagrangian.curvature_bound for name in names)):
            reason = "and their own energy grows too slowly to hold it"
        else:
            gain = coupling_gain(network, names, connections)
            if gain < 1:
                continue
            reason = f"with a gain of {gain:.3g}, where only below 1 is safe (largest curvature {steepest:g})"
        warnings.warn(f"the energy may have no lower bound: {what}, {reason}", EnergyUnboundedWarning, stacklevel=4)


def unbounded_parts(network: EnergyNetwork) -> list[tuple[tuple[str, ...], tuple[Connection, ...]]]:
    """Unbounded layers that hang together by synapses of degree 2 or more in them, with those connections."""
    parts: list[tuple[set[str], list[Connection]]] = []
    for connection in network.connections:
        names = {end for end in connection.ends if not network.layer(end).lagrangian.bounded}
        if not names or degree_of(network, connection) < 2:
            continue
        joined = [part for part in parts if part[0] & names]
        parts = [part for part in parts if not part[0] & names]
        layers = names.union(*(part[0] for part in joined))
        parts.append((layers, [*(one for part in joined for one in part[1]), connection]))
    return [(tuple(name for name in network.neurons if name in layers), tuple(found)) for layers, found in parts]


def degree_of(network: EnergyNetwork, connection: Connection) -> float:
    """The power with which a connection's energy can grow in its unbounded ends; 0 where the synapse does not know."""
    places = tuple(place for place, end in enumerate(connection.ends) if not network.layer(end).lagrangian.bounded)
    return connection.synapse.degree(*places) or 0


@torch.no_grad()
def coupling_gain(network: EnergyNetwork, names: tuple[str, ...], connections: tuple[Connection, ...]) -> float:
    """The largest eigenvalue of `H^.5 D H^.5` over some layers joined by quadratic synapses, `H` at its bound."""
    like = next(chain(*(one.synapse.parameters() for one in connections)), torch.empty(0))
    zeros = {name: like.new_zeros(1, *layer.shape) for name, layer in network.layers.items()}
    roots = {name: math.sqrt(network.layer(name).lagrangian.curvature_bound) for name in names}
    sizes = [network.layer(name).units for name in names]

    def coupled(vector: Tensor) -> Tensor:
        parts = dict(zip(names, vector.split(sizes, dim=1), strict=True))
        z = {name: roots[name] * part.view_as(zeros[name]) for name, part in parts.items()}
        found = network.curvature(zeros, {**zeros, **z}, connections)
        return torch.cat([roots[name] * found[name].flatten(1) for name in names], dim=1)

    start = torch.randn(1, sum(sizes), generator=torch.Generator().manual_seed(0)).to(like)
    return float(lanczos(coupled, start))
