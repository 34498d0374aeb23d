"""Energy networks: a hypergraph of neurons and synapses with one energy.

Layers `l` have states `x_l`, Lagrangians `L_l` and activations `g_l = dL_l/dx_l`; each connection `c` is a synapse whose energy
`E_c` takes the activations of the layers at its ends:

    E(x) = sum_l [x_l.g_l - L_l(x_l)] + sum_c E_c(g)        tau_l dx_l/dt = -dE/dg_l = drive_l - x_l,   drive_l = -sum_c dE_c/dg_l

The energy falls along the motion where the Lagrangians are convex. States move by the force `-dE/dg`, never by the gradient of the
energy in `x`, which vanishes wherever neurons are dead.

Sources: Krotov and Hopfield 2021 (arXiv 2008.06996), Krotov 2021 (arXiv 2107.06446), Hoover et al. 2022 (the hypergraph).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from attractor.energy.boundedness import warn_if_unbounded
from attractor.energy.neurons import Neurons
from attractor.energy.synapses.base import Synapse

State = dict[str, Tensor]


@dataclass(frozen=True)
class Connection:
    """A synapse and the layers at its ends, in its order. One synapse may serve several connections."""

    synapse: Synapse
    ends: tuple[str, ...]

    @property
    def name(self) -> str:
        """The ends; of a synapse with one end also its kind, to tell it from the layer."""
        return "-".join(self.ends) if len(self.ends) > 1 else f"{self.ends[0]} ({type(self.synapse).__name__})"

    def inputs(self, activations: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The activations at the ends."""
        return tuple(activations[end] for end in self.ends)

    def energy(self, activations: Mapping[str, Tensor]) -> Tensor:
        return self.synapse.energy(*self.inputs(activations))

    def positions(self, layer: str) -> tuple[int, ...]:
        """At which of the ends a layer is."""
        return tuple(place for place, end in enumerate(self.ends) if end == layer)


class EnergyNetwork(nn.Module):
    """Layers of neurons joined by synapses. States are one tensor `(b, *shape)` for each layer, by name.

    Args:
        neurons: the layers by name.
        connections: which synapse joins which layers.

    Raises:
        TypeError, ValueError: no layer, an unknown layer, a synapse with another number of ends, shapes that do not fit.

    Warns:
        EnergyUnboundedWarning: the energy has no lower bound for certain, or none that the layers' curvatures guarantee.

    Example:
        >>> import torch
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork(
        ...     {"image": Neurons(lagrangians.Identity(), 4), "hidden": Neurons(lagrangians.Softmax(beta=8.0), 3)},
        ...     [Connection(synapses.Dense(4, 3), ("image", "hidden"))],
        ... )
        >>> state = network.initial(image=torch.rand(2, 4))
        >>> network.energy(state).shape
        torch.Size([2])
    """

    def __init__(self, neurons: Mapping[str, Neurons], connections: Sequence[Connection]):
        super().__init__()
        if not neurons:
            raise ValueError("neurons must hold at least one layer")
        for name, layer in neurons.items():
            if not isinstance(layer, Neurons):
                raise TypeError(f"neurons[{name!r}] must be Neurons, got {type(layer).__name__}")
            if not name or "." in name or hasattr(nn.ModuleDict, name):
                raise ValueError(f"neurons must have names without dots that torch.nn.ModuleDict has no attribute of, got {name!r}")
        self.neurons = nn.ModuleDict(neurons)
        self.connections = tuple(connections)
        for place, connection in enumerate(self.connections):
            self._check_connection(place, connection)
        self.synapses = nn.ModuleList(dict.fromkeys(connection.synapse for connection in self.connections))
        self._check_boundedness()

    def layer(self, name: str) -> Neurons:
        """The neurons of one layer."""
        layer = self.neurons[name]
        assert isinstance(layer, Neurons)
        return layer

    @property
    def layers(self) -> dict[str, Neurons]:
        """All layers by name."""
        return {name: self.layer(name) for name in self.neurons}

    def initial(self, batch: int | None = None, **given: Tensor) -> State:
        """A state with the layers that are `given`, and zeros elsewhere.

        Args:
            batch: number of samples; by default that of what is given.
            given: states `(b, *shape)` by layer.

        Raises:
            ValueError: an unknown layer, another shape, or nothing that tells the batch.
        """
        self._check_names("given", given)
        if batch is None and not given:
            raise ValueError("batch must be given where no layer is")
        for name, x in given.items():
            if not isinstance(x, Tensor):
                raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
        like = next(iter(given.values()), None)
        if like is None:
            like = next(chain(self.synapses.parameters(), self.parameters()), torch.empty(0)).detach()
        size = len(like) if batch is None else batch
        state = {name: given.get(name, like.new_zeros(size, *layer.shape)) for name, layer in self.layers.items()}
        return self.check_state(state)

    def check_state(self, state: Mapping[str, Tensor], what: str = "state") -> State:
        """`state`, with every layer in it and every tensor of the layer's shape; `what` it is called in errors.

        Raises:
            TypeError, ValueError: naming the layer, what came and what was expected.
        """
        self._check_names(what, state)
        if missing := sorted(set(self.neurons) - set(state)):
            raise ValueError(f"{what} must hold every layer, {missing} are missing")
        sizes = set()
        for name, layer in self.layers.items():
            x = state[name]
            if not isinstance(x, Tensor) or not x.is_floating_point():
                raise TypeError(f"{what}[{name!r}] must be a floating tensor, got {getattr(x, 'dtype', type(x).__name__)}")
            if x.shape[1:] != layer.shape or x.ndim != len(layer.shape) + 1:
                expected = ", ".join(map(str, ("b", *layer.shape)))
                raise ValueError(f"{what}[{name!r}] must have shape ({expected}), got {tuple(x.shape)}")
            if not bool(x.isfinite().all()):
                raise ValueError(f"{what}[{name!r}] must be finite, it holds NaN or infinity")
            sizes.add(len(x))
        if len(sizes) > 1:
            raise ValueError(f"{what} must have one batch size, got {sorted(sizes)}")
        return {name: state[name] for name in self.neurons}

    def activations(self, state: Mapping[str, Tensor]) -> State:
        """`g_l(x_l)` of each layer."""
        return {name: self.layer(name).activation(x) for name, x in state.items()}

    def energy(self, state: Mapping[str, Tensor]) -> Tensor:
        """The energy `(b,)`."""
        return torch.stack(list(self.energies(state).values())).sum(0)

    def energies(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms `(b,)` of the energy: layers by name, connections by the names of their ends."""
        g = self.activations(state)
        terms = {name: self.layer(name).energy(x, g[name]) for name, x in state.items()}
        for connection in self.connections:
            term = connection.energy(g)
            terms[connection.name] = terms[connection.name] + term if connection.name in terms else term
        return terms

    def synapse_energy(self, activations: Mapping[str, Tensor]) -> Tensor:
        """The energy `(b,)` of all connections at these activations."""
        any_layer = next(iter(activations.values()))
        return sum((connection.energy(activations) for connection in self.connections), any_layer.new_zeros(len(any_layer)))

    def drives(
        self,
        activations: Mapping[str, Tensor],
        only: Sequence[str] | None = None,
        connections: Sequence[Connection] | None = None,
    ) -> State:
        """`-dE_syn/dg_l` of each layer, or of those named in `only`; of all connections, or of some."""
        # torch.compile of torch 2.6 traces no set of a ModuleDict
        wanted = tuple(self.neurons.keys()) if only is None else only
        drives: State = {}
        for connection in self.connections if connections is None else connections:
            if not set(connection.ends) & set(wanted):
                continue
            for name, one in zip(connection.ends, connection.synapse.drive(*connection.inputs(activations)), strict=True):
                drives[name] = drives[name] + one if name in drives else one
        return {name: drives[name] if name in drives else torch.zeros_like(activations[name]) for name in wanted}

    def velocity(self, state: Mapping[str, Tensor]) -> State:
        """`dx_l/dt = (drive_l - x_l) / tau_l`."""
        drives = self.drives(self.activations(state))
        forces = {name: drives[name] - x for name, x in state.items()}
        # most layers have the time constant 1: no pass over their entries for it
        return {name: one if (tau := self.layer(name).tau) == 1 else one / tau for name, one in forces.items()}

    def curvature(
        self, activations: Mapping[str, Tensor], directions: Mapping[str, Tensor], connections: Sequence[Connection] | None = None
    ) -> State:
        """`D z`, with the symmetric `D = -d^2 E_syn/dg^2` at these activations: how drives change along `directions`.

        `connections` says of which connections; by default of all.
        """
        bent = {name: torch.zeros_like(g) for name, g in activations.items()}
        for connection in self.connections if connections is None else connections:
            found = connection.synapse.curvature(connection.inputs(activations), connection.inputs(directions))
            for name, one in zip(connection.ends, found, strict=True):
                bent[name] = bent[name] + one
        return bent

    def forward(self, state: Mapping[str, Tensor]) -> Tensor:
        """The energy `(b,)`."""
        return self.energy(state)

    def __repr__(self) -> str:
        layers = [f"  {name}: {layer!r}" for name, layer in self.layers.items()]
        joined = [f"  {' - '.join(connection.ends)}: {connection.synapse!r}" for connection in self.connections]
        return "\n".join([f"{type(self).__name__}(", *layers, *joined, ")"])

    def _check_boundedness(self) -> None:
        warn_if_unbounded(self)

    def _check_names(self, what: str, names: Mapping[str, Tensor]) -> None:
        if unknown := sorted(set(names) - set(self.neurons)):
            raise ValueError(f"{what} names unknown layers {unknown}; the layers are {list(self.neurons)}")

    def _check_connection(self, place: int, connection: Connection) -> None:
        what = f"connections[{place}]"
        if not isinstance(connection, Connection):
            raise TypeError(f"{what} must be a Connection, got {type(connection).__name__}")
        if not isinstance(connection.synapse, Synapse):
            raise TypeError(f"{what}.synapse must be a Synapse, got {type(connection.synapse).__name__}")
        if unknown := sorted(set(connection.ends) - set(self.neurons)):
            raise ValueError(f"{what} names unknown layers {unknown}; the layers are {list(self.neurons)}")
        if len(connection.ends) != connection.synapse.ends:
            raise ValueError(
                f"{what} must have {connection.synapse.ends} ends for {type(connection.synapse).__name__}, got {connection.ends}"
            )
        try:
            connection.synapse.check([self.layer(end).shape for end in connection.ends])
        except ValueError as error:
            raise ValueError(f"{what} ({connection.name}): {error}") from error
