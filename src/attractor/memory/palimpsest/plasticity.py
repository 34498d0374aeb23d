"""What a rule of plasticity is: how a pattern changes synapses, and what that makes of the statistics of their weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from attractor.memory.palimpsest.statistics import WeightStatistics


class Plasticity(ABC):
    """How synapses learn. States and weights have the shape `(..., N, N)`: `[neuron behind][neuron before]`.

    Attributes:
        ageless: whether the age of a pattern makes no difference.
        undoable: whether a pattern can be taken out of the weights again.
    """

    ageless: bool
    undoable: bool

    @abstractmethod
    def initial(self, shape: Sequence[int], f: float, seed: int) -> Tensor:
        """The state of synapses that have seen nothing."""

    @abstractmethod
    def write(self, state: Tensor, patterns: Tensor, f: float, seeds: Sequence[int]) -> Tensor:
        """The state after `patterns (..., n, N)` of 0 and 1, the newest last, `f` of the neurons active; a seed for each."""

    @abstractmethod
    def undo(self, state: Tensor, patterns: Tensor, f: float) -> Tensor:
        """The state without `patterns`, where the rule is `undoable`."""

    @abstractmethod
    def weights(self, state: Tensor, seed: int) -> Tensor:
        """The weights that the state amounts to, float64."""

    @abstractmethod
    def statistics(self, f: float, stored: int, ages: Tensor | None) -> WeightStatistics:
        """Statistics of the weights after `stored` patterns, given the one of each of `ages (n,)`; None: given none of them."""

    @abstractmethod
    def load(self, stored: int) -> float:
        """How many patterns lie over one, each counted by how much of it is left."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What rebuilds the rule, as JSON values."""

    @classmethod
    @abstractmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Plasticity:
        """Rebuild the rule."""
