"""Certificates: what can be said for certain about where a relaxation ended, dead neurons or not.

The energy alone proves little: it is constant where neurons are dead (Fanaskov and Oseledets 2024, arXiv 2410.13866). A certificate
takes `E_gamma = E + gamma |f|^2 / 2`, which falls strictly until the motion rests, at least at the rate
`-gamma |f|^2 (1 - c/4) / tau_max`; where curvatures have no bound it falls back to the energy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attractor.energy.clamp import Clamp, held_by
from attractor.energy.flatness import dead_fraction, is_spurious, is_steady, rests
from attractor.energy.lyapunov import KrotovHopfield, Regularised
from attractor.energy.network import EnergyNetwork
from attractor.energy.stability import largest_eigenvalue
from attractor.energy.vectors import forces, joined, largest_entry

if TYPE_CHECKING:
    from attractor.dynamics.relax import Relaxation

DENSE_RANK = 256


@dataclass(frozen=True, repr=False)
class Certificate:
    """What is known of the end of a relaxation, for each sample.

    Attributes:
        function: `"E_gamma"`, or `"E"` where a layer's curvature has no bound.
        gamma: weight of `|f|^2 / 2` in the function; zero for the energy.
        ratio: `c` of its rate.
        rise: the largest rise of the function from one state of the trace to the next, `(b,)`; None without a trace.
        energy_rise: the same of the energy.
        rate_held: whether the function's rate of change was within its bound at every state of the trace, `(b,)`; without a
            trace, at the last state.
        residual: the largest `|drive - x|` of a unit that may move, `(b,)`.
        steady: whether that is within the tolerance, `(b,)`.
        spurious: whether the state is stationary for the energy but no steady state has its activations, `(b,)`.
        eigenvalue: the largest of the Jacobian that is not due to flat directions, `(b,)`, at the steepest slope that each unit
            has within the tolerance: negative where stable.
        dead: the share of flat directions among all, `(b,)`.

    The function falls along the continuous motion; a `rise` above rounding tells of steps that were too long, or, for
    `E_gamma`, of the block solver, which promises for the energy only.
    """

    function: str
    gamma: float
    ratio: float
    rise: Tensor | None
    energy_rise: Tensor | None
    rate_held: Tensor
    residual: Tensor
    steady: Tensor
    spurious: Tensor
    eigenvalue: Tensor
    dead: Tensor

    @property
    def stable(self) -> Tensor:
        """Whether each sample ended at a steady state that is asymptotically stable, `(b,)`."""
        return self.steady & (self.eigenvalue < 0)

    def __repr__(self) -> str:
        count = len(self.steady)

        def tell(name: str, values: Tensor | None) -> str:
            return f"{name}: not traced" if values is None else f"{name}: {float(values.max()):.3g} at most"

        function = f"E_gamma, gamma = {self.gamma:.4g}, c = {self.ratio:.3g}" if self.gamma else "E, as curvatures have no bound"
        lines = [
            f"function: {function}; its rate held for {int(self.rate_held.sum())} of {count}",
            f"steady: {int(self.steady.sum())} of {count}, {tell('residual', self.residual)}",
            f"stable: {int(self.stable.sum())} of {count}, {tell('eigenvalue', self.eigenvalue)}",
            f"spurious: {int(self.spurious.sum())} of {count}",
            f"dead: {float(self.dead.mean()):.1%} of all directions",
            f"{tell('rise of the energy', self.energy_rise)}, {tell('of the function', self.rise)}",
        ]
        return "\n".join([f"{type(self).__name__}(", *(f"  {line}" for line in lines), ")"])


@torch.no_grad()
def certify(
    network: EnergyNetwork, relaxation: Relaxation, *, clamp: Clamp = None, tol: float | None = None, gamma: float | None = None
) -> Certificate:
    """Certify the end of a relaxation.

    Args:
        network: the energy network.
        relaxation: what `relax` gave, with `trace=True` if rises along the way are to be told.
        clamp: what it held fixed.
        tol: of the residual at rest. Default: 1e-6 in float64, else 1e-4.
        gamma: weight of `|f|^2 / 2`; chosen by default so that `c = 0.5`.

    Raises:
        ValueError: a Lagrangian is not convex, `gamma` is too large or needs bounded curvatures, or single units of a
            collective layer are held.

    Example:
        >>> from attractor.dynamics import relax
        >>> from attractor.energy import Connection, Neurons, lagrangians, synapses
        >>> W = torch.tensor([[0.0, -0.5], [-0.5, 0.0]])
        >>> network = EnergyNetwork(
        ...     {"x": Neurons(lagrangians.ReLU(), 2)},
        ...     [Connection(synapses.Lateral.from_matrix(W), ("x",)), Connection(synapses.Bias(torch.ones(2)), ("x",))],
        ... )
        >>> found = relax(network, {"x": torch.tensor([[2.0, -1.0]])}, "euler", trace=True)
        >>> certify(network, found).stable.tolist()
        [True]
    """
    if not bool(relaxation.energy.isfinite().all()):
        raise ValueError("relaxation must not have diverged to be certified, it holds energies that are not finite")
    state = network.check_state(relaxation.state)
    if not len(relaxation.residual):
        raise ValueError("relaxation must hold at least one sample to certify")
    held, samples = held_by(clamp, network, state), len(relaxation.residual)
    way = state if relaxation.trace is None else {name: x.flatten(0, 1) for name, x in relaxation.trace.states.items()}
    # a mask for each sample serves all its states on the way
    along = held.rows(torch.arange(samples, device=relaxation.residual.device).repeat(len(joined(way)) // samples))
    clamps = {**dict.fromkeys(along.layers), **along.units}
    bounded = all(math.isfinite(layer.lagrangian.curvature_bound) for layer in network.layers.values())
    function: KrotovHopfield
    if bounded or gamma is not None:
        function = Regularised(network, gamma, states=way, clamp=clamps)
    else:
        function = KrotovHopfield(network, clamp=clamps)
    square = joined(forces(network, way, along)).square().sum(-1)
    # rounding of the rate, in the units of |f|^2
    slack = 1e3 * torch.finfo(square.dtype).eps * square * (1 + function.gamma)
    rate_held = (function.rate(way) <= function.bound(way) + slack).view(-1, samples).all(0)
    values, energies = function.value(way).view(-1, samples), network.energy(way).view(-1, samples)
    flat = dead_fraction(network, state)
    units = {layer: network.layer(layer).units for layer in state}
    return Certificate(
        function="E_gamma" if function.gamma else "E",
        gamma=function.gamma,
        ratio=function.ratio,
        rise=largest_rise(values),
        energy_rise=largest_rise(energies),
        rate_held=rate_held,
        residual=largest_entry(forces(network, state, held)),
        steady=is_steady(network, state, tol=tol, clamp=clamp),
        spurious=is_spurious(network, state, tol=tol, clamp=clamp),
        eigenvalue=largest_eigenvalue(network, state, clamp=clamp, near=rests(state, tol), dense_rank=DENSE_RANK),
        dead=torch.stack([flat[layer] * units[layer] for layer in flat]).sum(0) / sum(units.values()),
    )


def largest_rise(values: Tensor) -> Tensor | None:
    """The largest step upwards along `(steps, b)`; None for a single value."""
    return values.diff(dim=0).amax(0) if len(values) > 1 else None
