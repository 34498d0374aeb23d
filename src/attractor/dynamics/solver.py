"""The contract of a solver: one step of a relaxation."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from attractor.energy.clamp import Held
from attractor.energy.network import EnergyNetwork, State


class Solver(ABC):
    """Moves states towards rest, step by step. Solvers keep no state of their own between steps."""

    @abstractmethod
    def check(self, network: EnergyNetwork, held: Held) -> None:
        """Refuse what the solver has no right to do.

        Raises:
            ValueError: naming layer, Lagrangian or synapse.
        """

    @abstractmethod
    def step(self, network: EnergyNetwork, state: State, held: Held, time: int) -> tuple[State, Tensor]:
        """The state after one step, and how far from rest `(b,)` it was: the largest `|drive - x|` met on the way.

        `time` counts the steps that came before.
        """

    def settings(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings()})"


def refuse_collective_masks(network: EnergyNetwork, held: Held, solver: Solver) -> None:
    """With single units of a collective layer held, a step may raise the energy."""
    for name in held.units:
        lagrangian = network.layer(name).lagrangian
        if not lagrangian.elementwise:
            raise ValueError(
                f"clamp[{name!r}] must hold the whole layer under {solver!r}: the activations of {lagrangian!r} depend on all "
                "its units together, so that holding some can raise the energy. Clamp the layer, or use Euler(backtrack=True)"
            )
