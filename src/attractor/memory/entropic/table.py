"""What memories of one table of weights share: they are added, they have an entropy, and their settings are those of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from torch import Tensor

from attractor.memory.base import Domain
from attractor.memory.counting import CountingMemory
from attractor.memory.entropic.registers import EntropicRegisters


class TableMemory(CountingMemory):
    """A memory in one register; `settings` are the names of all arguments that build it."""

    def __init__(self, registers: EntropicRegisters, dim: int, domain: Domain):
        super().__init__()
        self.registers, self.dim, self.domain = registers, dim, domain

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings().items())
        return f"{type(self).__name__}({len(self)} stored, {settings})"

    def merge(self, other: Self) -> None:
        """Add what `other` has stored, as if it had been stored here; `other` stays as it is.

        Raises:
            TypeError: `other` is a memory of another kind.
            ValueError: its sizes or its cap differ; nothing is added then.
        """
        if not isinstance(other, type(self)):
            raise TypeError(f"other must be a {type(self).__name__}, got {type(other).__name__}")
        mine, theirs = (each._sizes() for each in (self, other))
        if mine != theirs:
            raise ValueError(f"other must have the same {', '.join(mine)}, {mine}, got {theirs}")
        self.registers.merge(other.registers)
        self.counts = self.counts + other.counts.to(self.counts.device)

    def entropy(self) -> Tensor:
        """The mean entropy of the columns in bits, a float64 number from 0 to the logarithm of how many rows they have."""
        return self.registers.entropy()[0]

    def configuration(self, folder: Path) -> dict[str, Any]:
        return self._settings()

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self if name in vars(self) else self.registers, name) for name in self.settings}

    def _sizes(self) -> dict[str, Any]:
        return {name: value for name, value in self._settings().items() if name in ("n", "p", "m", "q", "cap")}
