"""Stability of steady states, where neurons may be dead.

The motion `tau x' = drive(g(x)) - x` has the Jacobian `J = T^-1 (D H - I)`, `D = -d^2 E_syn/dg^2`. On `ker H` it is `-1/tau`: dead
neurons never make a state unstable. With `H = S S^T`, `S` of full column rank `r`, its other eigenvalues are those of the symmetric

    T^-.5 (S^T D S - I) T^-.5        (r x r)

so they are real, and the state is asymptotically stable when all are negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from attractor.energy.flatness import is_steady
from attractor.energy.lagrangian import Elementwise
from attractor.energy.lanczos import lanczos
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.neurons import Neurons
from attractor.energy.vectors import Held, joined

DENSE_RANK = 2000
DEAD = 1e-12


@torch.no_grad()
def reduced_eigenvalues(network: EnergyNetwork, state: Mapping[str, Tensor], *, held: Held = None) -> list[Tensor]:
    """The eigenvalues of the Jacobian on the range of `H`, of one sample after the other.

    Args:
        network: the energy network.
        state: tensors `(b, *shape)` by layer.
        held: masks of the units that are held fixed.

    Returns:
        For each sample `(r,)`, falling, with `r` the rank of `H` there. All others are `-1/tau`.

    Raises:
        TypeError, ValueError: a bad state, a Lagrangian that is not convex, or single units of a collective layer are held.

    Example:
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> W = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 2)}, [Connection(synapses.Lateral.from_matrix(W), ("x",))])
        >>> [one.tolist() for one in reduced_eigenvalues(network, {"x": torch.tensor([[1.0, 1.0], [1.0, -1.0]])})]
        [[-0.5, -1.5], [-1.0]]
    """
    state = network.check_state(state)
    check_symmetric(network, held)
    return [Reduced(network, *sample(state, held, index)).eigenvalues() for index in range(len(joined(state)))]


@torch.no_grad()
def largest_eigenvalue(
    network: EnergyNetwork, state: Mapping[str, Tensor], *, held: Held = None, dense_rank: int = DENSE_RANK
) -> Tensor:
    """The largest eigenvalue of the Jacobian that is not due to flat directions, `(b,)`; `-1/tau` where all are.

    Above the rank `dense_rank` by Lanczos' method from products with `D` alone, without its matrix.
    """
    state = network.check_state(state)
    check_symmetric(network, held)
    found = []
    for index in range(len(joined(state))):
        reduced = Reduced(network, *sample(state, held, index))
        if reduced.rank == 0:
            found.append(joined(state).new_tensor(-1 / max(layer.tau for layer in network.layers.values())))
        else:
            found.append(reduced.eigenvalues()[0] if reduced.rank <= dense_rank else reduced.largest())
    return torch.stack(found)


def is_stable(
    network: EnergyNetwork,
    state: Mapping[str, Tensor],
    *,
    tol: float | None = None,
    held: Held = None,
    dense_rank: int = DENSE_RANK,
) -> Tensor:
    """Whether states are steady within `tol`, and asymptotically stable: every eigenvalue of the Jacobian is negative, `(b,)`."""
    steady = is_steady(network, state, tol=tol, held=held)
    return steady & (largest_eigenvalue(network, state, held=held, dense_rank=dense_rank) < 0)


def check_symmetric(network: EnergyNetwork, held: Held) -> None:
    """Refuse what has no symmetric reduced problem."""
    for name, layer in network.layers.items():
        if not layer.lagrangian.convex:
            raise ValueError(f"layer {name!r} must have a convex Lagrangian, got {layer.lagrangian!r}")
        mask = (held or {}).get(name)
        if mask is not None and not layer.lagrangian.elementwise and bool(mask.any()) and not bool(mask.all()):
            raise ValueError(f"held[{name!r}] must be the whole layer, as {layer.lagrangian!r} acts on all its units together")


def sample(state: State, held: Held, index: int) -> tuple[State, dict[str, Tensor]]:
    """One sample, and what of it is held."""
    masks = {name: mask.expand_as(state[name])[index : index + 1] for name, mask in (held or {}).items()}
    return {name: x[index : index + 1] for name, x in state.items()}, masks


class Reduced:
    """The symmetric problem of one sample, on vectors `(m, R)` that `S` takes to directions of all layers.

    An element-wise layer has a diagonal `S`, kept as a vector with its dead and held units masked out by `alive`; others a matrix.
    """

    def __init__(self, network: EnergyNetwork, state: State, held: dict[str, Tensor]):
        self.network = network
        self.activations = network.activations(state)
        self.roots: dict[str, Tensor] = {}
        alive, weight = [], []
        for name, x in state.items():
            layer = network.layer(name)
            mask = held.get(name, torch.zeros_like(x, dtype=torch.bool))
            if isinstance(layer.lagrangian, Elementwise):
                self.roots[name] = layer.lagrangian.slope(x).clamp_min(0).sqrt().flatten()
                alive.append(~(layer.lagrangian.dead(x) | mask).flatten())
            else:
                self.roots[name] = root(layer, x)[:, : 0 if bool(mask.any()) else None]
                alive.append(torch.ones_like(self.roots[name][0], dtype=torch.bool))
            weight.append(x.new_full(alive[-1].shape, layer.tau**-0.5))
        self.alive, self.weight = torch.cat(alive), torch.cat(weight)
        self.rank = int(self.alive.sum())

    def product(self, y: Tensor) -> Tensor:
        """`T^-.5 (S^T D S - I) T^-.5 y` of vectors `(m, R)`."""
        weighed = y * self.weight
        parts = weighed.split([root.shape[-1] for root in self.roots.values()], dim=1)
        directions = {}
        for (name, root), part in zip(self.roots.items(), parts, strict=True):
            spread = part * root if root.ndim == 1 else part @ root.T
            directions[name] = spread.unflatten(1, self.network.layer(name).shape)
        activations = {name: g.expand(len(y), *g.shape[1:]) for name, g in self.activations.items()}
        turned = self.network.curvature(activations, directions)
        back = [
            turned[name].flatten(1) * root if root.ndim == 1 else turned[name].flatten(1) @ root
            for name, root in self.roots.items()
        ]
        return (torch.cat(back, dim=1) - weighed) * self.weight * self.alive

    def eigenvalues(self) -> Tensor:
        """All of them, falling, `(r,)`."""
        basis = torch.diag(self.alive.to(self.weight))[self.alive]
        matrix = self.product(basis)[:, self.alive]
        return torch.linalg.eigvalsh((matrix + matrix.T) / 2).flip(0)

    def largest(self) -> Tensor:
        """The largest, from products alone."""
        start = torch.randn(self.alive.shape, generator=torch.Generator().manual_seed(0)).to(self.weight) * self.alive
        return lanczos(self.product, start[None], steps=max(100, math.ceil(10 * self.rank**0.5)))[0]


def root(layer: Neurons, x: Tensor) -> Tensor:
    """`S` of a collective layer at one state, `(units, r)`."""
    basis = torch.eye(layer.units, dtype=x.dtype, device=x.device)
    hessian = layer.lagrangian.hvp(x.expand(layer.units, *layer.shape), basis.unflatten(1, layer.shape)).flatten(1)
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)
    kept = values > DEAD * values[-1].clamp_min(torch.finfo(x.dtype).tiny)
    return vectors[:, kept] * values[kept].sqrt()
