"""What every memory is: patterns, an energy where there is one, and the verbs `store`, `recall`, `forget`.

A model registers itself under a name with `@register("name")`, which is how it is found again by `load`, by comparisons and by
the command line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from attractor.memory.recall import Recall

IfPresent = Literal["add", "skip", "raise"]


@dataclass(frozen=True)
class Domain:
    """What the entries of a pattern may be: `"real"`, `"bipolar"` (-1 and 1) or `"levels"` (0 to `levels - 1`)."""

    kind: Literal["real", "bipolar", "levels"]
    levels: int | None = None

    def check(self, name: str, values: Tensor) -> None:
        """Raise `ValueError` naming the encoder to use where `values` leave the domain."""
        if self.kind == "bipolar" and not bool((values.abs() == 1).all()):
            raise ValueError(
                f"{name} must be -1 or 1 in every entry, got values from {float(values.min()):g} to {float(values.max()):g}; "
                "wrap the memory: Encoded(memory, Binarise(threshold))"
            )
        if self.kind == "levels" and self.levels is not None:
            inside = (values == values.round()) & (values >= 0) & (values < self.levels)
            if not bool(inside.all()):
                raise ValueError(
                    f"{name} must be whole numbers from 0 to {self.levels - 1}, got values from {float(values.min()):g} to "
                    f"{float(values.max()):g}; wrap the memory: Encoded(memory, Quantise({self.levels}))"
                )

    def __str__(self) -> str:
        return self.kind if self.levels is None else f"levels({self.levels})"


REAL = Domain("real")
BIPOLAR = Domain("bipolar")


class Memory(nn.Module, ABC):
    """Stores patterns and recalls them from damaged or partial cues.

    Attributes:
        dim: width of a pattern.
        domain: what the entries of a pattern may be.
    """

    registered_name: ClassVar[str] = ""
    domain: Domain = REAL
    dim: int

    @abstractmethod
    def store(
        self,
        patterns: Tensor,
        values: Tensor | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        if_present: IfPresent = "add",
    ) -> Tensor:
        """Store `patterns (n, dim)` and return their ids `(n,)`, int64."""

    @abstractmethod
    def recall(self, cues: Tensor, known: Tensor | None = None) -> Recall:
        """Recall `cues (b, dim)`; `known (b, dim)` is True where a cue is trusted."""

    @abstractmethod
    def forget(self, ids: Tensor) -> None:
        """Remove what was stored under `ids`."""

    @abstractmethod
    def __len__(self) -> int:
        """Stored minus forgotten."""

    def energy(self, states: Tensor) -> Tensor:
        """The energy `(b,)` of `states (b, dim)`.

        Raises:
            TypeError: this memory has no energy.
        """
        raise TypeError(f"{type(self).__name__} has no energy")

    @abstractmethod
    def configuration(self, folder: Path) -> dict[str, Any]:
        """What rebuilds the memory without its patterns, as JSON values; `folder` is where it will be written."""

    @classmethod
    @abstractmethod
    def from_configuration(cls, configuration: dict[str, Any], folder: Path) -> Self:
        """Rebuild an empty memory from what `configuration` gave, read in `folder`.

        Raises:
            ValueError: unknown or missing settings.
        """

    def contents(self) -> dict[str, Tensor]:
        """The stored patterns as named tensors, for `save`; a memory on disk has none."""
        return {}

    def restore(self, contents: dict[str, Tensor]) -> None:
        """Take over what `contents()` gave.

        Raises:
            ValueError: missing or ill-shaped tensors.
        """

    def save(self, path: str | Path) -> None:
        """Write the memory to the folder `path`: settings as JSON, tensors as safetensors."""
        from attractor.memory.files import save

        save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a memory that `save` wrote, of this class.

        Raises:
            ValueError: no memory there, another class, or a newer format.
        """
        from attractor.memory.files import load

        memory = load(Path(path))
        if not isinstance(memory, cls):
            raise ValueError(f"path must hold a {cls.__name__}, got a {type(memory).__name__} in {path}")
        return memory

    def __bool__(self) -> bool:
        """An empty memory is still a memory."""
        return True


MEMORIES: dict[str, type[Memory]] = {}

Kind = TypeVar("Kind", bound=type[Memory])


def register(name: str) -> Callable[[Kind], Kind]:
    """Register a memory class under `name`.

    Raises:
        ValueError: the name is taken by another class.
    """

    def decorate(kind: Kind) -> Kind:
        taken = MEMORIES.get(name)
        if taken is not None and taken.__qualname__ != kind.__qualname__:
            raise ValueError(f"name must be free, {name!r} is taken by {taken.__qualname__}")
        MEMORIES[name] = kind
        kind.registered_name = name
        return kind

    return decorate


def memory_class(name: str) -> type[Memory]:
    """The class registered under `name`.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    if name not in MEMORIES:
        raise ValueError(f"name must be one of {sorted(MEMORIES)}, got {name!r}")
    return MEMORIES[name]


def present_rows(patterns: Tensor, stored: Callable[[Tensor], Tensor], if_present: IfPresent) -> Tensor:
    """Which rows of `patterns` to store, as a Boolean mask, by what `if_present` says of those already `stored`.

    Raises:
        ValueError: `if_present` is unknown, or is `"raise"` and a row is stored already.
    """
    if if_present not in ("add", "skip", "raise"):
        raise ValueError(f"if_present must be 'add', 'skip' or 'raise', got {if_present!r}")
    if if_present == "add":
        return torch.ones(len(patterns), dtype=torch.bool, device=patterns.device)
    there = stored(patterns) | repeated_rows(patterns)
    if if_present == "raise" and bool(there.any()):
        raise ValueError(f"patterns must be new, already stored: rows {there.nonzero().flatten().tolist()[:8]}")
    return ~there


def repeated_rows(patterns: Tensor) -> Tensor:
    """Which rows equal an earlier one, `(n,)` Boolean."""
    _, group = patterns.unique(dim=0, return_inverse=True)
    order = group.argsort(stable=True)
    repeated = torch.zeros_like(group, dtype=torch.bool)
    repeated[order[1:]] = group[order[1:]] == group[order[:-1]]
    return repeated
