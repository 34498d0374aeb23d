"""Banks as plain data, for memories that are saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from attractor.bank.base import Bank


class Savable(Protocol):
    """What a bank that is saved with a memory can do besides."""

    def settings(self, folder: Path) -> dict[str, Any]:
        """What finds or rebuilds it from a memory saved in `folder`, as JSON values. Raises ValueError: it cannot be saved."""

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        """The bank that `settings` described. Raises ValueError: there is none."""


SavableBank = TypeVar("SavableBank", bound=Savable)
KINDS: dict[str, type[Any]] = {}


def savable(kind: str) -> Callable[[type[SavableBank]], type[SavableBank]]:
    """Enter a class of banks under the name that stands in the files of memories."""

    def enter(bank_class: type[SavableBank]) -> type[SavableBank]:
        KINDS[kind] = bank_class
        return bank_class

    return enter


def bank_settings(bank: Bank, folder: Path) -> dict[str, Any]:
    """What finds or rebuilds `bank` from a memory saved in `folder`: a bank with a path by its path from there.

    Raises:
        ValueError: this bank cannot be saved.
    """
    kind = next((kind for kind, known in KINDS.items() if isinstance(bank, known)), None)
    if kind is None:
        names = ", ".join(known.__name__ for known in KINDS.values())
        raise ValueError(f"bank must be one of {names} to be saved, got {bank!r}")
    return {"kind": kind, **KINDS[kind].settings(bank, folder)}


def bank_from(settings: dict[str, Any], dim: int, folder: Path) -> Bank:
    """The bank that `bank_settings` described.

    Raises:
        ValueError: unknown kind, or no bank where it should be.
    """
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ValueError(f"bank must be of one of the kinds {', '.join(KINDS)}, got {kind!r}")
    bank: Bank = KINDS[kind].from_settings(settings, dim, folder)
    if bank.dim != dim:
        raise ValueError(f"bank of {settings} must have dim {dim} like the memory, got {bank.dim}")
    return bank


def path_from(folder: Path, path: Path) -> str:
    """`path` as it is reached from `folder`, the same on all systems."""
    return Path(os.path.relpath(path, folder)).as_posix()
