"""Langevin noise with annealing: `dx = dt (drive - x) + sqrt(2 T dt) noise`.

For layers with the identity Lagrangian states follow `exp(-E/T)` in the long run. For others the noise is that of the state, not
of the activation: a way out of shallow minima, cooled until it rests.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.dynamics.euler import Euler
from attractor.dynamics.solver import Solver, refuse_collective_masks
from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State
from attractor.energy.vectors import forces, largest_entry
from attractor.validation import check_count, check_positive


class Langevin(Solver):
    """Euler-Maruyama steps, cooled geometrically from `temperature` to a thousandth of it over `cooling` steps, then without noise.

    Args:
        temperature: at the start, in units of the energy.
        dt: step in units of the smallest time constant.
        cooling: steps until the noise ends; None: the temperature stays, and nothing comes to rest.
        seed: same seed, same noise.

    Example:
        >>> Langevin(0.1, cooling=100)
        Langevin(temperature=0.1, dt=0.1, cooling=100, seed=0)
    """

    def __init__(self, temperature: float, *, dt: float = 0.1, cooling: int | None = None, seed: int = 0):
        self.temperature = check_positive("temperature", temperature)
        self.dt = check_positive("dt", dt)
        self.cooling = None if cooling is None else check_count("cooling", cooling)
        self.seed = seed

    def check(self, network: EnergyNetwork, held: Held) -> None:
        refuse_collective_masks(network, held, self)

    def temperature_at(self, time: int) -> float:
        """After `time` steps."""
        if self.cooling is None:
            return self.temperature
        return 0.0 if time >= self.cooling else self.temperature * 1e-3 ** (time / self.cooling)

    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        temperature = self.temperature_at(time)
        if not temperature:
            return Euler(self.dt).step(network, state, held, time)
        pull = forces(network, state, held)
        fastest = min(layer.tau for layer in network.layers.values())
        # a seed for each step: what has been relaxed before does not change the noise
        generator = torch.Generator().manual_seed(hash((self.seed, time)))
        moved = {}
        for name, x in state.items():
            step = self.dt * fastest / network.layer(name).tau
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
            moved[name] = held.keep(name, x, x + step * pull[name] + (2 * temperature * step) ** 0.5 * noise)
        return moved, torch.full_like(largest_entry(pull), torch.inf)
