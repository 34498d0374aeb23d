"""Patterns that are learned: a bank over a given tensor, with gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from torch import Tensor, nn

from attractor.bank.base import Bank, Metadata
from attractor.bank.serial import savable
from attractor.read import Block
from attractor.validation import check_floating, check_shape


@savable("parameter")
class ParameterBank(Bank, nn.Module):
    """A bank over `patterns (n, dim)` themselves, so that gradients reach them; rows are neither added nor removed.

    An `nn.Parameter` is part of the `state_dict`; another tensor, the output of a network say, is only read.

    Raises:
        TypeError, ValueError: `patterns` is no floating-point matrix.

    Example:
        >>> bank = ParameterBank(nn.Parameter(torch.eye(2)))
        >>> len(bank), list(bank.state_dict())
        (2, ['patterns'])
    """

    def __init__(self, patterns: Tensor):
        super().__init__()
        check_floating("patterns", patterns)
        check_shape("patterns", patterns)
        self.patterns = patterns
        self.dim = patterns.shape[1]

    @property
    def version(self) -> int:
        return self.patterns._version  # torch counts the changes in place, an optimiser's step among them

    @property
    def value_dim(self) -> None:
        return None

    @property
    def dtype(self) -> torch.dtype:
        return self.patterns.dtype

    @property
    def device(self) -> torch.device:
        return self.patterns.device

    def blocks(self, rows: int) -> Iterator[Block]:
        for ids, patterns in zip(self.ids().split(rows), self.patterns.split(rows), strict=True):
            yield Block(ids, patterns)

    def get(self, ids: Tensor) -> Block:
        place = self.positions(ids)
        return Block(place, self.patterns[place])

    def metadata(self, ids: Tensor) -> list[dict[str, Any] | None]:
        return [None] * len(self.positions(ids))

    def ids(self) -> Tensor:
        return torch.arange(len(self.patterns), device=self.patterns.device)

    def compact(self) -> None:
        """Nothing to give back."""

    def settings(self, folder: Path) -> dict[str, Any]:
        if not isinstance(self.patterns, nn.Parameter):
            raise ValueError(f"bank must be over an nn.Parameter to be saved, got {self!r}")
        return {"rows": len(self), "dtype": str(self.dtype).removeprefix("torch.")}

    @classmethod
    def from_settings(cls, settings: dict[str, Any], dim: int, folder: Path) -> Self:
        return cls(nn.Parameter(torch.zeros(settings["rows"], dim, dtype=getattr(torch, settings["dtype"]))))

    def __len__(self) -> int:
        return len(self.patterns)

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> NoReturn:
        raise TypeError("a ParameterBank learns its rows: it cannot append; use a RamBank to store patterns")

    def _forget(self, ids: Tensor) -> NoReturn:
        raise TypeError("a ParameterBank learns its rows: it cannot forget; use a RamBank to store patterns")

    def _ever_stored(self) -> bool:
        return True
