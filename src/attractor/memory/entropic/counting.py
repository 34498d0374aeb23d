"""What memories of registers share: they count what was stored, and keep none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from attractor.memory.base import Domain, Memory
from attractor.memory.entropic.registers import EntropicRegisters


class CountingMemory(Memory):
    """A memory in one register.

    Attributes:
        settings: the names of all arguments that build it.
    """

    settings: ClassVar[tuple[str, ...]]
    counts: Tensor

    def __init__(self, registers: EntropicRegisters, dim: int, domain: Domain):
        super().__init__()
        self.registers, self.dim, self.domain = registers, dim, domain
        # stored minus forgotten, and ids given out so far
        self.register_buffer("counts", torch.zeros(2, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.counts[0])

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
        self.counts += other.counts.to(self.counts.device)

    def entropy(self) -> Tensor:
        """The mean entropy of the columns in bits, a float64 number from 0 to the logarithm of how many rows they have."""
        return self.registers.entropy()[0]

    def configuration(self, folder: Path) -> dict[str, Any]:
        return self._settings()

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        if set(configuration) != set(cls.settings):
            raise ValueError(f"configuration must hold {sorted(cls.settings)}, got {sorted(configuration)}")
        return cls(**configuration)

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self if name in vars(self) else self.registers, name) for name in self.settings}

    def _sizes(self) -> dict[str, Any]:
        return {name: value for name, value in self._settings().items() if name in ("n", "p", "m", "q", "cap")}

    def _numbers(self, count: int) -> Tensor:
        """Running numbers for `count` more that are stored."""
        first = int(self.counts[1])
        self.counts += count
        return torch.arange(first, first + count, device=self.counts.device)

    def _refuse_items(self, metadata: object, if_present: str) -> None:
        """Raise `TypeError` for what only a memory of items has."""
        if metadata is not None:
            raise TypeError(f"metadata must be None: a {type(self).__name__} keeps no items; use a DenseMemory")
        if if_present in ("skip", "raise"):
            raise TypeError(f"if_present must be 'add', got {if_present!r}: a {type(self).__name__} cannot tell what is stored")
        if if_present != "add":
            raise ValueError(f"if_present must be 'add', got {if_present!r}")

    def _check_stored(self, patterns: Tensor) -> None:
        """Refuse to forget ids, and more than is stored."""
        if isinstance(patterns, Tensor) and not patterns.is_floating_point():
            raise TypeError(f"patterns must be the stored patterns, got {patterns.dtype}: a {type(self).__name__} keeps no ids")
        if len(patterns) > len(self):
            raise ValueError(f"patterns must be stored ones, got {len(patterns)} while {len(self)} are stored")
