"""What memories that keep no items share: what they refuse, their running numbers, and the settings that rebuild them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from attractor.memory.base import Memory


class CountingMemory(Memory):
    """Base of the memories that sum up what is stored: they count patterns, and keep none.

    Attributes:
        settings: the names of what `configuration` holds.
    """

    settings: ClassVar[tuple[str, ...]]
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        # stored minus forgotten, and running numbers given out so far
        self.register_buffer("counts", torch.zeros(2, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.counts[0])

    def configuration(self, folder: Path) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.settings}

    @classmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        return cls(**check_settings(configuration, cls.settings))

    # outside of inference mode, where the counts could never be loaded again
    @torch.inference_mode(mode=False)
    def _count_in(self, patterns: Tensor) -> Tensor:
        """Count `patterns` as stored; their running numbers `(n,)`."""
        first = int(self.counts[1])
        self.counts = self.counts + len(patterns)
        return torch.arange(first, first + len(patterns), device=patterns.device)

    @torch.inference_mode(mode=False)
    def _count_out(self, patterns: Tensor) -> None:
        """Count `patterns` as forgotten."""
        self.counts = self.counts - self.counts.new_tensor([len(patterns), 0])

    def _refuse_ids(self, patterns: Tensor) -> None:
        if isinstance(patterns, Tensor) and not patterns.is_floating_point():
            raise TypeError(f"patterns must be the stored patterns, got {patterns.dtype}: a {type(self).__name__} keeps no ids")

    def _refuse_more_than_stored(self, patterns: Tensor) -> None:
        if len(patterns) > len(self):
            raise ValueError(f"patterns must be stored ones, got {len(patterns)} while {len(self)} are stored")


def refuse_items(memory: Memory, metadata: object, if_present: str, *, values: object = None) -> None:
    """Refuse what a `store` takes only where items are kept.

    Raises:
        TypeError: there are values or metadata, or `if_present` asks what is stored.
        ValueError: `if_present` is unknown.
    """
    kind = type(memory).__name__
    for name, value in (("values", values), ("metadata", metadata)):
        if value is not None:
            raise TypeError(f"{name} must be None: a {kind} keeps no items; use a DenseMemory")
    if if_present in ("skip", "raise"):
        raise TypeError(f"if_present must be 'add', got {if_present!r}: a {kind} cannot tell what is stored")
    if if_present != "add":
        raise ValueError(f"if_present must be 'add', got {if_present!r}")


def check_settings(configuration: dict[str, Any], expected: Collection[str]) -> dict[str, Any]:
    """Return `configuration` when it holds what is expected and nothing else.

    Raises:
        ValueError: settings are missing or unknown.
    """
    if set(configuration) != set(expected):
        raise ValueError(f"configuration must hold {sorted(expected)}, got {sorted(configuration)}")
    return configuration
