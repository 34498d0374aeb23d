"""Relaxation: states of an energy network descend to rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attractor.dynamics.asynchronous import Asynchronous
from attractor.dynamics.block import Block
from attractor.dynamics.certificate import Certificate
from attractor.dynamics.certificate import certify as certificate_of
from attractor.dynamics.euler import Euler
from attractor.dynamics.integrate import Adaptive, Heun, RungeKutta4
from attractor.dynamics.solver import Solver
from attractor.energy.clamp import Clamp, Held, held_by
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.settle import tolerance
from attractor.energy.vectors import forces, largest_entry
from attractor.errors import EnergyUnboundedWarning
from attractor.validation import check_count

SOLVERS: dict[str, Callable[[], Solver]] = {
    "block": Block,
    "euler": Euler,
    "heun": Heun,
    "rk4": RungeKutta4,
    "adaptive": Adaptive,
    "asynchronous": Asynchronous,
}


@dataclass(frozen=True)
class Trace:
    """The way of a relaxation: states `(steps + 1, b, *shape)` by layer, and their energies `(steps + 1, b)`.

    A sample that came to rest stays where it is.
    """

    states: State
    energy: Tensor


@dataclass(frozen=True)
class Relaxation:
    """Where a relaxation ended.

    Attributes:
        state: tensors `(b, *shape)` by layer.
        energy: of the state, `(b,)`.
        residual: the largest `|drive - x|` of a unit that may move, `(b,)`: zero at rest.
        steps: steps that each sample took, `(b,)`.
        converged: whether each came within the tolerance, `(b,)`.
        trace: the way, where it was asked for.
        certificate: what can be said for certain of the end, where it was asked for.
    """

    state: State
    energy: Tensor
    residual: Tensor
    steps: Tensor
    converged: Tensor
    trace: Trace | None = None
    certificate: Certificate | None = None


def relax(
    network: EnergyNetwork,
    state: State,
    solver: str | Solver = "block",
    *,
    clamp: Clamp = None,
    tol: float | None = None,
    max_steps: int = 200,
    trace: bool = False,
    certify: bool = False,
    differentiable: bool = False,
) -> Relaxation:
    """Let a network descend its energy from `state`.

    Args:
        network: the energy network.
        state: where to start: tensors `(b, *shape)` by layer, as `network.initial` makes them.
        solver: `"block"`, `"euler"`, `"heun"`, `"rk4"`, `"adaptive"`, `"asynchronous"`, or a solver.
        clamp: what is held fixed: names of layers, or a Boolean mask for each layer, True where a unit is held.
        tol: a sample rests when no unit is further than this from its drive. Default: 1e-6 in float64, else 1e-4; 0 takes
            `max_steps` steps.
        max_steps: the most steps.
        trace: keep the states and energies on the way.
        certify: keep the trace, and say what is certain of the end: see `Certificate`.
        differentiable: keep the graph of all steps, so that gradients reach states and parameters (training by unrolling).

    Raises:
        TypeError, ValueError: a bad state or clamp, an unknown solver, or one that may not be used with this network.

    Warns:
        EnergyUnboundedWarning: samples diverged.

    Example:
        >>> from attractor.dynamics import relax
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> patterns = torch.eye(3)
        >>> network = EnergyNetwork(
        ...     {"image": Neurons(lagrangians.Identity(), 3), "hidden": Neurons(lagrangians.Softmax(beta=20.0), 3)},
        ...     [Connection(synapses.Dense.from_matrix(patterns), ("image", "hidden"))],
        ... )
        >>> found = relax(network, network.initial(image=torch.tensor([[0.9, 0.3, 0.0]])))
        >>> found.state["image"].round().tolist(), found.converged.tolist()
        ([[1.0, 0.0, 0.0]], [True])
    """
    state = network.check_state(state)
    solver = solver_from(solver)
    held = held_by(clamp, network, state)
    solver.check(network, held)
    check_count("max_steps", max_steps, 0)
    tol = tolerance(tol, next(iter(state.values())).dtype)
    with torch.set_grad_enabled(differentiable):
        found = _relax(network, state, solver, held, tol, max_steps, trace or certify)
    if not certify:
        return found
    return replace(found, certificate=certificate_of(network, found, clamp=clamp, tol=tol or None))


def solver_from(solver: str | Solver) -> Solver:
    if isinstance(solver, Solver):
        return solver
    if solver not in SOLVERS:
        raise ValueError(f"solver must be a Solver or one of {sorted(SOLVERS)}, got {solver!r}")
    return SOLVERS[solver]()


def _relax(network: EnergyNetwork, state: State, solver: Solver, held: Held, tol: float, max_steps: int, trace: bool) -> Relaxation:
    size = len(next(iter(state.values())))
    running = torch.arange(size, device=next(iter(state.values())).device)
    steps, converged = torch.zeros_like(running), torch.zeros_like(running, dtype=torch.bool)
    way = [state]
    for time in range(max_steps):
        if not len(running):
            break
        everyone = len(running) == size
        some = state if everyone else {name: x[running] for name, x in state.items()}
        moved, residual = solver.step(network, some, held if everyone else held.rows(running), time)
        state = moved if everyone else {name: x.index_copy(0, running, moved[name]) for name, x in state.items()}
        steps[running] += 1
        rests = residual.detach() < tol
        converged[running[rests]] = True
        running = running[~rests]
        if trace:
            way.append(state)
    energy, residual = network.energy(state), largest_entry(forces(network, state, held))
    converged |= residual.detach() < tol
    if lost := int((~energy.detach().isfinite()).sum()):
        text = f"{lost} of {size} samples diverged: their energy is no longer finite"
        warnings.warn(text, EnergyUnboundedWarning, stacklevel=3)
    kept = None
    if trace:
        states = {name: torch.stack([one[name] for one in way]) for name in state}
        kept = Trace(states, torch.stack([network.energy(one) for one in way]))
    return Relaxation(state, energy, residual, steps, converged, kept)
