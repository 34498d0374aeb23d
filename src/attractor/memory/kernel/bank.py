"""A bank seen through a feature map: its rows are the features of the patterns, its values the patterns themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from attractor.bank import Bank
from attractor.bank.base import Metadata
from attractor.read import Block, Kernel
from attractor.read.similarity import widened


class FeatureBank(Bank):
    """The rows of `bank` as `kernel` sees them, computed block by block; nothing is kept.

    Example:
        >>> from attractor.bank import RamBank
        >>> from attractor.read import Linear
        >>> patterns = RamBank(2)
        >>> ids = patterns.append(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        >>> FeatureBank(patterns, Kernel(Linear(2))).get(ids).patterns.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, bank: Bank, kernel: Kernel):
        self.bank = bank
        self.kernel = kernel
        with torch.no_grad():
            self.dim = kernel.features(torch.zeros(1, bank.dim, device=bank.device)).shape[-1]

    @property
    def value_dim(self) -> int:
        return self.bank.dim if self.bank.value_dim is None else self.bank.value_dim

    @property
    def version(self) -> int:
        return self.bank.version + self.kernel.version

    @property
    def dtype(self) -> torch.dtype | None:
        return self.bank.dtype

    @property
    def device(self) -> torch.device | None:
        return self.bank.device

    def seen(self, block: Block) -> Block:
        """A block of patterns as a block of features."""
        values = block.patterns if block.values is None else block.values
        return Block(block.ids, self.kernel.features(widened(block.patterns)).to(block.patterns.dtype), values)

    def blocks(self, rows: int) -> Iterator[Block]:
        return map(self.seen, self.bank.blocks(rows))

    def get(self, ids: Tensor) -> Block:
        return self.seen(self.bank.get(ids))

    def metadata(self, ids: Tensor) -> list[dict[str, object] | None]:
        return self.bank.metadata(ids)

    def ids(self) -> Tensor:
        return self.bank.ids()

    def compact(self) -> None:
        """Nothing to give back."""

    def __len__(self) -> int:
        return len(self.bank)

    def _append(self, patterns: Tensor, values: Tensor | None, metadata: Sequence[Metadata | None] | None) -> NoReturn:
        raise TypeError("a FeatureBank only shows another bank: store patterns in that one")

    def _forget(self, ids: Tensor) -> NoReturn:
        raise TypeError("a FeatureBank only shows another bank: forget patterns in that one")

    def _ever_stored(self) -> bool:
        return len(self.bank) > 0
