"""Flat directions of a network's energy: where neurons are dead, and which stationary points are no steady states.

    grad_x E = -H f,   f = drive(g(x)) - x,   H = d^2 L/dx^2

The energy is constant along `ker H`, as far as activations stay as they are. A point where `H f = 0` alone is stationary for `E`
but not for the motion: it may be **spurious**, with dead neurons whose drive would revive them. Given its activations `g`, the only
steady state that can have them is `x = drive(g)`, and it has them if `g(x) = g`.

Fanaskov and Oseledets 2024 (arXiv 2410.13866) raise the question; the statements here are derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from attractor.energy.clamp import Clamp, held_by
from attractor.energy.lagrangian import Elementwise
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.settle import tolerance
from attractor.energy.vectors import forces, hessian_product, largest_entry


@dataclass(frozen=True)
class Candidates:
    """The only states that can be steady with given activations.

    Attributes:
        state: `drive(g)`, tensors `(b, *shape)` by layer.
        mismatch: the largest `|g(state) - g|`, `(b,)`.
        accepted: whether the state has these activations, within the tolerance, and so is steady, `(b,)`.
    """

    state: State
    mismatch: Tensor
    accepted: Tensor


def flat_directions(network: EnergyNetwork, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Directions in which each layer can move without changing its activations, at least one way.

    Returns:
        Orthonormal rows `(b, k, *shape)` by layer, padded with zero rows; `k` differs between layers.

    Raises:
        TypeError, ValueError: a bad state.

    Example:
        >>> import torch
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 3)}, [Connection(synapses.Bias(torch.ones(3)), ("x",))])
        >>> flat_directions(network, {"x": torch.tensor([[1.0, -2.0, 0.5]])})["x"].tolist()
        [[[0.0, 1.0, 0.0]]]
    """
    state = network.check_state(state)
    return {name: network.layer(name).lagrangian.flat_basis(x) for name, x in state.items()}


def dead_units(network: EnergyNetwork, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks `(b, *shape)` of the dead neurons, for the layers whose activations are element-wise."""
    state = network.check_state(state)
    kinds = {name: network.layer(name).lagrangian for name in state}
    return {name: kind.dead(state[name]) for name, kind in kinds.items() if isinstance(kind, Elementwise)}


def dead_fraction(network: EnergyNetwork, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The share of each layer's directions that are flat, `(b,)` by layer: of its neurons that are dead, where it is element-wise.

    Example:
        >>> import torch
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 4)}, [Connection(synapses.Bias(torch.ones(4)), ("x",))])
        >>> dead_fraction(network, {"x": torch.tensor([[1.0, -2.0, 0.5, 3.0]])})
        {'x': tensor([0.2500])}
    """
    state = network.check_state(state)
    shares = {}
    for name, x in state.items():
        layer = network.layer(name)
        if isinstance(layer.lagrangian, Elementwise):
            count = layer.lagrangian.dead(x).flatten(1).sum(-1)
        else:
            count = (layer.lagrangian.flat_basis(x).flatten(2) != 0).any(-1).sum(-1)
        shares[name] = count.to(x.dtype) / layer.units
    return shares


def range_projection(network: EnergyNetwork, state: Mapping[str, Tensor], z: Mapping[str, Tensor]) -> State:
    """The part of directions `z` along which activations change: the projection on the range of `H`.

    Raises:
        TypeError, ValueError: a bad state, or directions of another shape.
    """
    state, z = network.check_state(state), network.check_state(z, "z")
    found = {}
    for name, x in state.items():
        kind = network.layer(name).lagrangian
        if isinstance(kind, Elementwise):
            found[name] = z[name].masked_fill(kind.dead(x), 0.0)
        else:
            rows, along = kind.flat_basis(x).flatten(2), z[name].flatten(1)
            flat = ((rows @ along[:, :, None]).transpose(1, 2) @ rows)[:, 0]
            found[name] = z[name] - flat.view_as(x)
    return found


def energy_gradient(network: EnergyNetwork, state: Mapping[str, Tensor]) -> State:
    """`grad_x E = -H f`: zero at every stationary point of the energy, spurious ones included. Never descend along it."""
    state = network.check_state(state)
    return {name: -one for name, one in hessian_product(network, state, forces(network, state)).items()}


def is_steady(network: EnergyNetwork, state: Mapping[str, Tensor], *, tol: float | None = None, clamp: Clamp = None) -> Tensor:
    """Whether no unit that may move is further than `tol` from its drive, `(b,)`. Default: 1e-6 in float64, else 1e-4."""
    state = network.check_state(state)
    return largest_entry(forces(network, state, held_by(clamp, network, state))) <= rests(state, tol)


def is_spurious(network: EnergyNetwork, state: Mapping[str, Tensor], *, tol: float | None = None, clamp: Clamp = None) -> Tensor:
    """Whether a state is stationary for the energy though no steady state has its activations, `(b,)`.

    With units held by `clamp`, no steady state of the others.
    """
    state = network.check_state(state)
    activations, pull = network.activations(state), forces(network, state, held_by(clamp, network, state))
    stationary = largest_entry(hessian_product(network, state, pull)) <= rests(state, tol)
    reached = network.activations({name: x + pull[name] for name, x in state.items()})
    repaired = largest_entry({name: one - activations[name] for name, one in reached.items()}) <= rests(state, tol)
    return stationary & ~repaired


def steady_from_activations(network: EnergyNetwork, activations: Mapping[str, Tensor], *, tol: float | None = None) -> Candidates:
    """The only states that can be steady with these activations, and whether they are.

    Args:
        network: the energy network.
        activations: tensors `(b, *shape)` by layer, as those of a stationary point of the energy.
        tol: how far the candidate's activations may be from those given. Default: 1e-6 in float64, else 1e-4.

    Raises:
        TypeError, ValueError: a bad shape, NaN, an unknown layer.

    Example:
        >>> import torch
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
        >>> found = steady_from_activations(network, {"x": torch.tensor([[0.0], [1.0]])})
        >>> found.accepted.tolist(), found.state["x"].tolist()
        ([False, True], [[1.0], [1.0]])
    """
    activations = network.check_state(activations, "activations")
    state = network.drives(activations)
    reached = network.activations(state)
    mismatch = largest_entry({name: one - activations[name] for name, one in reached.items()})
    return Candidates(state, mismatch, mismatch <= rests(activations, tol))


def revive(network: EnergyNetwork, state: Mapping[str, Tensor]) -> State:
    """Set dead neurons to their drive; of a collective layer, the part of its state that does not show in its activations.

    At a stationary point of the energy the others are at their drive already. The energy can rise where neurons come to life.
    """
    state = network.check_state(state)
    pull = forces(network, state)
    moving = range_projection(network, state, pull)
    return {name: x + (pull[name] - moving[name]) for name, x in state.items()}


def rests(state: Mapping[str, Tensor], tol: float | None) -> float:
    return tolerance(tol, next(iter(state.values())).dtype)
