"""Integration of `tau dx/dt = drive - x` by the solvers of `torchdiffeq` (extra `ode`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attractor.dynamics.ode import odeint, torchdiffeq
from attractor.dynamics.solver import Solver, refuse_collective_masks
from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.vectors import forces, largest_entry
from attractor.validation import check_positive


class Integrator(Solver):
    """One step integrates over `dt`, in units of the smallest time constant."""

    method: str

    def __init__(self, dt: float = 0.5):
        self.dt = check_positive("dt", dt)

    def check(self, network: EnergyNetwork, held: Held) -> None:
        refuse_collective_masks(network, held, self)
        torchdiffeq()

    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        layers = network.layers
        fastest = min(layer.tau for layer in layers.values())
        met: list[Tensor] = []

        def velocity(_: float, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            pull = forces(network, dict(zip(layers, tensors, strict=True)), held)
            if not met:
                met.append(largest_entry(pull))
            return tuple((fastest / layer.tau) * pull[name] for name, layer in layers.items())

        start = tuple(state[name] for name in layers)
        times = torch.tensor([0.0, self.dt], dtype=start[0].dtype, device=start[0].device)
        found = odeint(velocity, start, times, leading=1, method=self.method, **self.options(start[0].dtype))
        # a solver may interpolate, which rounds even what does not move
        return {name: held.keep(name, state[name], way[-1]) for name, way in zip(layers, found, strict=True)}, met[0]

    def options(self, dtype: torch.dtype) -> dict[str, Any]:
        """What the method takes beside its name."""
        return {}


class Heun(Integrator):
    """Two evaluations a step, second order."""

    method = "heun2"


class RungeKutta4(Integrator):
    """Four evaluations a step, fourth order."""

    method = "rk4"


class Adaptive(Integrator):
    """Dormand-Prince with its own steps inside each `dt`, as small as the sample needs that is hardest to follow.

    Args:
        dt: time between two tests for rest, in units of the smallest time constant.
        rtol: relative tolerance of the integration; the absolute one is a hundredth of it. Default: 1e-7 in float64, else 1e-5.
    """

    method = "dopri5"

    def __init__(self, dt: float = 1.0, *, rtol: float | None = None):
        super().__init__(dt)
        self.rtol = None if rtol is None else check_positive("rtol", rtol)

    def options(self, dtype: torch.dtype) -> dict[str, Any]:
        plain = 1e-7 if dtype == torch.float64 else 1e-5
        rtol = plain if self.rtol is None else self.rtol
        return {"rtol": rtol, "atol": rtol / 100}
