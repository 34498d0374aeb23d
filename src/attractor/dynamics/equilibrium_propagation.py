"""Equilibrium propagation: gradients from two more relaxations, without a backward pass through the dynamics.

With the loss `l` added to the energy, `F = E + s l`, the states at rest for `s = +nudge` and `s = -nudge` give
`dl/dtheta = (dF/dtheta(+) - dF/dtheta(-)) / (2 nudge)`, with an error that falls as the square of the nudge.

Source: Scellier and Bengio 2017; the symmetric form of Laborieux et al. 2021.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from attractor.dynamics.relax import Relaxation, relax
from attractor.dynamics.solver import Solver
from attractor.energy.clamp import Clamp
from attractor.energy.elementwise import Identity
from attractor.energy.network import Connection, EnergyNetwork, State
from attractor.energy.neurons import Neurons
from attractor.energy.synapses import FunctionSynapse
from attractor.errors import NotConvergedWarning
from attractor.validation import check_positive

TARGET = "target of equilibrium propagation"


def equilibrium_propagation(
    network: EnergyNetwork,
    state: State,
    loss: Callable[..., Tensor],
    outputs: Sequence[str],
    target: Tensor | None = None,
    *,
    clamp: Clamp = None,
    nudge: float = 0.1,
    solver: str | Solver = "euler",
    tol: float | None = None,
    max_steps: int = 1000,
) -> Relaxation:
    """Relax freely, then nudged both ways, and add the gradient of the summed loss to `.grad` of the network's parameters.

    Args:
        network: the energy network.
        state: where to start.
        loss: takes the activations of the `outputs`, then the target where there is one, and gives `(b,)`, each sample by itself.
        outputs: names of layers.
        target: what the loss compares with, `(b, *any)`, of the states' dtype.
        clamp: what is held fixed, as in `relax`.
        nudge: weight of the loss; smaller is more exact, until rounding shows.
        solver: of all three relaxations; the block solver cannot take a loss, which is not concave.
        tol: when a sample rests.
        max_steps: of each relaxation.

    Returns:
        The free relaxation.

    Raises:
        TypeError, ValueError: as `relax`; no parameter to learn; a nudge at which the relaxations diverge. No `.grad` changes then.

    Warns:
        NotConvergedWarning: a sample did not rest in one of the three relaxations.
    """
    check_positive("nudge", nudge)
    parameters = [one for one in network.parameters() if one.requires_grad]
    if not parameters:
        raise ValueError("network must have parameters that require gradients")
    if target is not None and target.ndim < 2:
        raise ValueError(f"target must have shape (b, *any) with at least two dimensions, got {tuple(target.shape)}")
    free = relax(network, state, solver, clamp=clamp, tol=tol, max_steps=max_steps)
    start, held = free.state, clamp
    if target is not None:
        start = {**start, TARGET: target}
        held = {**clamp, TARGET: None} if isinstance(clamp, Mapping) else {*(clamp or ()), TARGET}
    changes, resting = [torch.zeros_like(one) for one in parameters], free.converged
    for sign in (1, -1):
        nudged = with_loss(network, loss, outputs, target, sign * nudge)
        found = relax(nudged, start, solver, clamp=held, tol=tol, max_steps=max_steps)
        resting = resting & found.converged
        with torch.enable_grad():
            energy = nudged.energy(found.state).sum()
            gradients = torch.autograd.grad(energy, parameters, materialize_grads=True)
        changes = [change + sign * one / (2 * nudge) for change, one in zip(changes, gradients, strict=True)]
    if not all(bool(one.isfinite().all()) for one in changes):
        raise ValueError(f"nudge must leave the energy bounded, the nudged relaxations diverged at {nudge}; lower it")
    if not bool(resting.all()):
        left = int((~resting).sum())
        text = f"{left} of {len(resting)} samples did not rest in {max_steps} steps: gradients are inexact"
        warnings.warn(text, NotConvergedWarning, stacklevel=2)
    for parameter, change in zip(parameters, changes, strict=True):
        parameter.grad = change if parameter.grad is None else parameter.grad + change
    return free


class Nudged(EnergyNetwork):
    """A network with a loss added, which was warned about when it was made."""

    def _check_boundedness(self) -> None:
        pass


def with_loss(
    network: EnergyNetwork, loss: Callable[..., Tensor], outputs: Sequence[str], target: Tensor | None, weight: float
) -> EnergyNetwork:
    """The network with a weighted loss as one more synapse, and the target as a layer; layers and parameters are shared."""
    layers, ends = network.layers, tuple(outputs)
    if target is not None:
        layers, ends = {**layers, TARGET: Neurons(Identity(), tuple(target.shape[1:]))}, (*ends, TARGET)
    nudge = FunctionSynapse(lambda *activations: weight * loss(*activations), ends=len(ends))
    return Nudged(layers, [*network.connections, Connection(nudge, ends)])
