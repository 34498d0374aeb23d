"""Implicit differentiation at a fixed point: gradients without the steps that led there.

At rest `x = d(g(x), theta)` with the drive `d`. With `D = dd/dg` (symmetric) and `H = dg/dx`, a gradient `v` of the loss in the
state becomes `lambda` with `(I - H D) lambda = v`, and reaches parameters as `lambda . dd/dtheta`. Memory does not grow with the
number of steps.

Source: Bai, Kolter and Koltun 2019 (deep equilibrium models), for the networks of Krotov 2021.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attractor.dynamics.relax import relax
from attractor.dynamics.solver import Solver
from attractor.energy.clamp import Clamp, Held, held_by
from attractor.energy.network import EnergyNetwork, State
from attractor.errors import NotConvergedWarning

MOST_ITERATIONS = 1000
SMALLEST_STEP = 2.0**-12


def equilibrium(
    network: EnergyNetwork,
    state: State,
    solver: str | Solver = "block",
    *,
    clamp: Clamp = None,
    tol: float | None = None,
    max_steps: int = 200,
) -> State:
    """The state at rest, with gradients to parameters and to what is clamped.

    Take the loss from the activations, `network.activations(found)`, so that it also sees parameters of the Lagrangians directly.
    The arguments are those of `relax`. Second derivatives are refused.

    Raises:
        TypeError, ValueError: as `relax`.

    Warns:
        NotConvergedWarning: a sample does not rest, or the backward equation did not converge; gradients are then inexact.

    Example:
        >>> from attractor.energy import Connection, EnergyNetwork, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork(
        ...     {"image": Neurons(lagrangians.Tanh(), 4), "hidden": Neurons(lagrangians.Tanh(), 2)},
        ...     [Connection(synapses.Dense(4, 2), ("image", "hidden"))],
        ... )
        >>> found = equilibrium(network, network.initial(image=torch.rand(3, 4)), clamp={"image"})
        >>> network.activations(found)["hidden"].sum().backward()
    """
    found = relax(network, state, solver, clamp=clamp, tol=tol, max_steps=max_steps)
    if not bool(found.converged.all()):
        resting = int(found.converged.sum())
        warnings.warn(
            f"{len(found.converged) - resting} of {len(found.converged)} samples did not come to rest in {max_steps} steps: "
            "implicit gradients hold at rest only",
            NotConvergedWarning,
            stacklevel=2,
        )
    held = held_by(clamp, network, state)
    rest = {name: x.detach() for name, x in found.state.items()}
    # held layers keep the graph of what was given
    here = {name: held.keep(name, state[name], x) for name, x in rest.items()}
    drives = network.drives(network.activations(here))
    names = tuple(network.neurons)
    tied = Tied.apply(network, rest, held, *(held.keep(name, here[name], drives[name]) for name in names))
    return {name: held.keep(name, state[name], x) for name, x in zip(names, tied, strict=True)}


class Tied(torch.autograd.Function):
    """The state as it is; gradients go round the loop until they have come to rest."""

    @staticmethod
    def forward(ctx: Any, network: EnergyNetwork, rest: State, held: Held, *drives: Tensor) -> tuple[Tensor, ...]:
        ctx.network, ctx.rest, ctx.held = network, rest, held
        return tuple(rest[name].clone() for name in network.neurons)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        wanted = dict(zip(ctx.network.neurons, gradients, strict=True))
        found = adjoint(ctx.network, ctx.rest, ctx.held, wanted)
        return (None, None, None, *(found[name] for name in ctx.network.neurons))


@torch.no_grad()
def adjoint(network: EnergyNetwork, rest: State, held: Held, gradient: State) -> State:
    """Solve `(I - H D) lambda = gradient` over the units that move, by damped iteration."""
    activations = network.activations(rest)

    def error(z: State) -> State:
        bent = network.curvature(activations, z)
        back = {name: network.layer(name).lagrangian.hvp(rest[name], bent[name]) for name in z}
        return held.free({name: gradient[name] + back[name] - z[name] for name in z})

    def size(z: State) -> float:
        return float(torch.stack([one.double().square().sum() for one in z.values()]).sum().sqrt())

    found, step = held.free(gradient), 1.0
    left = error(found)
    goal = 1e2 * torch.finfo(next(iter(rest.values())).dtype).eps * size(held.free(gradient))
    for _ in range(MOST_ITERATIONS):
        if size(left) <= goal:
            return found
        tried = {name: found[name] + step * left[name] for name in found}
        then = error(tried)
        if size(then) < size(left):
            found, left = tried, then
        elif step > SMALLEST_STEP:
            step /= 2
        else:
            break
    warnings.warn("the backward equation at the fixed point did not converge: is it stable?", NotConvergedWarning, stacklevel=2)
    return found
