"""The altered system: the motion of activations instead of states.

    tau_l du_l/dt = g_l(drive_l(u)) - u_l

Its steady states are those of the network, one to one: `u = g(x)`, `x = drive(u)`. A dead neuron sits at one activation instead of
on a half-line, and `V_conj(u) = L*(u) + E_syn(u)` falls: `V' = -(y - x).(g(y) - g(x)) / tau` with `x = drive(u)`, `g(y) = u`.
With one time constant and quadratic synapses `x = drive(u)` takes its trajectories to those of the network.

In answer to Fanaskov and Oseledets 2024 (arXiv 2410.13866), whose own altered system may differ in form.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from attractor.energy.lyapunov import Conjugate
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.settle import Settled, settle
from attractor.energy.vectors import joined, parted


class AlteredSystem:
    """The motion of a network's activations.

    Args:
        network: the energy network.

    Raises:
        ValueError: a Lagrangian is not convex.

    Example:
        >>> import torch
        >>> from attractor.energy import Connection, Neurons, lagrangians, synapses
        >>> network = EnergyNetwork({"x": Neurons(lagrangians.ReLU(), 1)}, [Connection(synapses.Bias(torch.ones(1)), ("x",))])
        >>> system = AlteredSystem(network)
        >>> u = system.relax({"x": torch.zeros(1, 1)}, dt=1.0)
        >>> system.state(u)["x"].item()
        1.0
    """

    def __init__(self, network: EnergyNetwork):
        for name, layer in network.layers.items():
            if not layer.lagrangian.convex:
                raise ValueError(
                    f"layer {name!r} must have a convex Lagrangian, got {layer.lagrangian!r}; see attractor.energy.feedback"
                )
        self.network = network
        self._function = Conjugate(network)

    def energy(self, u: Mapping[str, Tensor]) -> Tensor:
        """`V_conj(u)`, `(b,)`; `E(x)` of every state `x` with these activations.

        Raises:
            TypeError, ValueError: a bad shape, or what no state has as its activations.
        """
        return self._function.value(u)

    def velocity(self, u: Mapping[str, Tensor]) -> State:
        """`du/dt`; also at `u` that no state has as its activations, as the stages of an integrator may be.

        Raises:
            TypeError, ValueError: a bad shape, or NaN.
        """
        return self._velocity(self.network.check_state(u, "u"))

    def _velocity(self, u: Mapping[str, Tensor]) -> State:
        reached = self.network.activations(self.state(u))
        return {name: (reached[name] - one) / self.network.layer(name).tau for name, one in u.items()}

    def state(self, u: Mapping[str, Tensor]) -> State:
        """`x = drive(u)`, the network's state that belongs to activations `u`."""
        return self.network.drives(u)

    def relax(self, u: Mapping[str, Tensor], *, dt: float = 0.5, tol: float | None = None, max_steps: int = 1000) -> State:
        """Where the motion comes to rest, by Euler steps; `settle` says more.

        With `dt` up to the smallest time constant `u` keeps to what states can have as activations, and where synapses are
        concave `V_conj` never rises; others need smaller steps.
        """
        return parted(self.network, self.settle(u, dt=dt, tol=tol, max_steps=max_steps).u)

    def settle(self, u: Mapping[str, Tensor], *, dt: float = 0.5, tol: float | None = None, max_steps: int = 1000) -> Settled:
        """As `relax`, with the residual and how many steps it took; layers stand side by side in `u`.

        Raises:
            TypeError, ValueError: a bad shape, `dt` not positive, or what no state has as its activations.

        Warns:
            EnergyUnboundedWarning: samples diverged.
        """
        self.energy(u)

        def velocity(vectors: Tensor) -> Tensor:
            return joined(self._velocity(parted(self.network, vectors)))

        return settle(velocity, joined(self.network.check_state(u, "u")), dt=dt, tol=tol, max_steps=max_steps)
