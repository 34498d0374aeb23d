"""A network as Graphviz text."""

from __future__ import annotations

from attractor.energy.network import EnergyNetwork


def to_graphviz(network: EnergyNetwork) -> str:
    """The hypergraph in the DOT language: layers as ellipses, synapses as boxes with an edge to each end.

    Example:
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.Tanh(), 2)}, [Connection(synapses.Bias(2), ("x",))])
        >>> print(to_graphviz(network))
        graph network {
          "layer x" [label="x\\n2, Tanh(beta=1.0)"];
          "synapse 0" [shape=box, label="Bias"];
          "synapse 0" -- "layer x";
        }
    """
    lines = []
    for name, layer in network.layers.items():
        size = "x".join(map(str, layer.shape))
        lines.append(f"  {quoted(f'layer {name}')} [label={quoted(name, f'{size}, {layer.lagrangian!r}')}];")
    places = {synapse: place for place, synapse in enumerate(network.synapses)}
    for synapse, place in places.items():
        lines.append(f"  {quoted(f'synapse {place}')} [shape=box, label={quoted(type(synapse).__name__)}];")
    for connection in network.connections:
        lines += [f"  {quoted(f'synapse {places[connection.synapse]}')} -- {quoted(f'layer {end}')};" for end in connection.ends]
    return "\n".join(["graph network {", *lines, "}"])


def quoted(*lines: str) -> str:
    """A DOT string of these lines."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
