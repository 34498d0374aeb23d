"""Stability of steady states, where neurons may be dead.

The motion `tau x' = drive(g(x)) - x` has the Jacobian `J = T^-1 (D H - I)`, `D = -d^2 E_syn/dg^2`. On `ker H` it is `-1/tau`: dead
neurons never make a state unstable. With `H = S S^T`, `S` of full column rank `r`, its other eigenvalues are those of the symmetric

    T^-.5 (S^T D S - I) T^-.5        (r x r)

so they are real, and the state is asymptotically stable when all are negative. On a kink of an activation the slope is another on
each side. The largest of these eigenvalues grows with every slope as long as the state is stable, so that the steepest side decides
for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from attractor.energy.clamp import Clamp, Held, held_by
from attractor.energy.flatness import is_steady, rests
from attractor.energy.lagrangian import Elementwise
from attractor.energy.lanczos import lanczos
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.neurons import Neurons
from attractor.energy.vectors import largest_entry
from attractor.read.similarity import widened

DENSE_RANK = 2000
ROUNDINGS = 16


@torch.no_grad()
def reduced_eigenvalues(network: EnergyNetwork, state: Mapping[str, Tensor], *, clamp: Clamp = None) -> list[Tensor]:
    """The eigenvalues of the Jacobian on the range of `H`, of one sample after the other.

    Args:
        network: the energy network.
        state: tensors `(b, *shape)` by layer.
        clamp: what is held fixed, as in `attractor.dynamics.relax`.

    Returns:
        For each sample `(r,)`, falling, with `r` the rank of `H` there. All others are `-1/tau`. On a kink, for the slope that
        the Lagrangian gives there.

    Raises:
        TypeError, ValueError: a bad state or clamp, a Lagrangian that is not convex, or single units of a collective layer are
            held.

    Example:
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> W = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 2)}, [Connection(synapses.Lateral.from_matrix(W), ("x",))])
        >>> [one.tolist() for one in reduced_eigenvalues(network, {"x": torch.tensor([[1.0, 1.0], [1.0, -1.0]])})]
        [[-0.5, -1.5], [-1.0]]
    """
    return [reduced.eigenvalues() for reduced in samples(network, state, clamp, near=0.0)]


@torch.no_grad()
def largest_eigenvalue(
    network: EnergyNetwork,
    state: Mapping[str, Tensor],
    *,
    clamp: Clamp = None,
    near: float = 0.0,
    dense_rank: int = DENSE_RANK,
) -> Tensor:
    """The largest eigenvalue of the Jacobian that is not due to flat directions, `(b,)`; where all are, the largest of `-1/tau`.

    Minus infinity where everything is held, infinity where an activation jumps within `near`. Above the rank `dense_rank` by
    Lanczos' method from products with `D` alone, without its matrix.

    Args:
        network: the energy network.
        state: tensors `(b, *shape)` by layer.
        clamp: what is held fixed, as in `attractor.dynamics.relax`.
        near: take the steepest slope that each unit has within this distance, for states that are known so far only.
        dense_rank: the highest rank with a matrix.
    """
    found = [reduced.largest(dense_rank) for reduced in samples(network, state, clamp, near)]
    return torch.stack(found) if found else next(iter(state.values())).new_zeros(0)


def is_stable(
    network: EnergyNetwork,
    state: Mapping[str, Tensor],
    *,
    tol: float | None = None,
    clamp: Clamp = None,
    dense_rank: int = DENSE_RANK,
) -> Tensor:
    """Whether states are steady within `tol`, and asymptotically stable wherever within `tol` each unit may be, `(b,)`.

    So on a kink of an activation, where both sides count, the answer is a careful one: True is certain, False is not. Where an
    activation jumps it is False.
    """
    steady = is_steady(network, state, tol=tol, clamp=clamp)
    return steady & (largest_eigenvalue(network, state, clamp=clamp, near=rests(state, tol), dense_rank=dense_rank) < 0)


@torch.no_grad()
def same_basin_by_flatness(
    network: EnergyNetwork, state: Mapping[str, Tensor], steady: Mapping[str, Tensor], *, tol: float | None = None
) -> Tensor:
    """Whether `state` ends at `steady` for certain, as it has the same activations, `(b,)`.

    The states with the activations of a steady state `x*` form a convex set if Lagrangians are convex, and the motion in it is
    `x(t) = x* + e^(-t/tau) z`, exactly. Where activations are the same to rounding only, `x*` has to be stable, too. False says
    nothing: other states may end there as well.

    Args:
        network: the energy network.
        state: where the motion starts.
        steady: the steady state, of the same batch.
        tol: of the steady state. Default: 1e-6 in float64, else 1e-4.

    Raises:
        TypeError, ValueError: a bad state, another batch, or a Lagrangian that is not convex.
    """
    state, steady = network.check_state(state), network.check_state(steady, "steady")
    check_convex(network)
    here, there = network.activations(state), network.activations(steady)
    if (size := len(next(iter(there.values())))) != (batch := len(next(iter(here.values())))):
        raise ValueError(f"steady must have the batch size {batch} of state, got {size}")
    apart = largest_entry({name: one - there[name] for name, one in here.items()})
    close = apart <= ROUNDINGS * torch.finfo(apart.dtype).eps * (1 + largest_entry(state))
    if bool((close & (apart > 0)).any()):
        close = (apart == 0) | (close & is_stable(network, steady, tol=tol))
    return close & is_steady(network, steady, tol=tol)


def check_convex(network: EnergyNetwork) -> None:
    for name, layer in network.layers.items():
        if not layer.lagrangian.convex:
            raise ValueError(f"layer {name!r} must have a convex Lagrangian, got {layer.lagrangian!r}")


def samples(network: EnergyNetwork, state: Mapping[str, Tensor], clamp: Clamp, near: float) -> Iterator[Reduced]:
    """The symmetric problem of one sample after the other; refuse what has none."""
    state = network.check_state(state)
    held = held_by(clamp, network, state)
    check_convex(network)
    for name in held.units:
        if not (lagrangian := network.layer(name).lagrangian).elementwise:
            raise ValueError(f"clamp[{name!r}] must hold the whole layer, as {lagrangian!r} acts on all its units together")
    batch = torch.arange(len(next(iter(state.values()))), device=next(iter(state.values())).device)
    for row in batch.split(1):
        yield Reduced(network, {name: x[row] for name, x in state.items()}, held.rows(row), near)


class Reduced:
    """The symmetric problem of one sample, on vectors `(m, R)` that `S` takes to directions of all layers.

    An element-wise layer has a diagonal `S`, kept as a vector with its dead and held units masked out by `alive`; others a matrix.
    """

    def __init__(self, network: EnergyNetwork, state: State, held: Held, near: float):
        self.network = network
        self.activations = network.activations(state)
        self.roots: dict[str, Tensor] = {}
        alive, weight, self.slowest, self.jumps = [], [], 0.0, False
        for name, x in state.items():
            layer = network.layer(name)
            if isinstance(layer.lagrangian, Elementwise):
                slope, dead = steepest(layer.lagrangian, x, near)
                self.roots[name] = slope.clamp_min(0).sqrt().flatten()
                # a unit that is held is one that nothing moves
                alive.append(held.free({name: ~dead})[name].flatten())
            else:
                self.roots[name] = root(layer, x)[:, : 0 if name in held.layers else None]
                self.jumps |= near > 0 and name not in held.layers and bool(layer.lagrangian.jumps(x, near).any())
                alive.append(torch.ones_like(self.roots[name][0], dtype=torch.bool))
            weight.append(self.roots[name].new_full(alive[-1].shape, layer.tau**-0.5))
            if name not in held.layers:
                self.slowest = max(self.slowest, layer.tau)
        self.alive, self.weight = torch.cat(alive), torch.cat(weight)
        self.rank = int(self.alive.sum())

    def product(self, y: Tensor) -> Tensor:
        """`T^-.5 (S^T D S - I) T^-.5 y` of vectors `(m, R)`."""
        weighed = y * self.weight
        parts = weighed.split([root.shape[-1] for root in self.roots.values()], dim=1)
        directions = {}
        for (name, root), part in zip(self.roots.items(), parts, strict=True):
            spread = part * root if root.ndim == 1 else part @ root.T
            directions[name] = spread.unflatten(1, self.network.layer(name).shape).to(self.activations[name])
        activations = {name: g.expand(len(y), *g.shape[1:]) for name, g in self.activations.items()}
        turned = self.network.curvature(activations, directions)
        back = [
            flat * root if root.ndim == 1 else flat @ root
            for root, flat in ((root, turned[name].flatten(1).to(root)) for name, root in self.roots.items())
        ]
        return (torch.cat(back, dim=1) - weighed) * self.weight * self.alive

    def eigenvalues(self) -> Tensor:
        """All of them, falling, `(r,)`."""
        basis = torch.diag(self.alive.to(self.weight))[self.alive]
        matrix = self.product(basis)[:, self.alive]
        return torch.linalg.eigvalsh((matrix + matrix.T) / 2).flip(0)

    def largest(self, dense_rank: int) -> Tensor:
        """The largest: of a high rank from products alone, of rank zero that of flat directions."""
        if self.jumps:
            return self.weight.new_tensor(math.inf)
        if self.rank == 0:
            return self.weight.new_tensor(-1 / self.slowest if self.slowest else -math.inf)
        if self.rank <= dense_rank:
            return self.eigenvalues()[0]
        start = torch.randn(self.alive.shape, generator=torch.Generator().manual_seed(0)).to(self.weight) * self.alive
        return lanczos(self.product, start[None], steps=max(100, math.ceil(10 * self.rank**0.5)))[0]


def steepest(lagrangian: Elementwise, x: Tensor, near: float) -> tuple[Tensor, Tensor]:
    """The steepest slope of each entry within `near`, and whether it is dead all over."""
    x = widened(x)
    sides = (x,) if near == 0 else (x, x - near, x + near)
    slopes = torch.stack([lagrangian.slope(side) for side in sides]).amax(0)
    return slopes, torch.stack([lagrangian.dead(side) for side in sides]).all(0)


def root(layer: Neurons, x: Tensor) -> Tensor:
    """`S` of a collective layer at one state, `(units, r)`."""
    x = widened(x)
    basis = torch.eye(layer.units, dtype=x.dtype, device=x.device)
    hessian = layer.lagrangian.hvp(x.expand(layer.units, *layer.shape), basis.unflatten(1, layer.shape)).flatten(1)
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)
    flat = int((layer.lagrangian.flat_basis(x).flatten(2) != 0).any(-1).sum())
    return vectors[:, flat:] * values[flat:].clamp_min(0).sqrt()
